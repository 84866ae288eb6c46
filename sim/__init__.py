"""What the machine must compute, and when: golden model, cycle model, data sets, benches."""
