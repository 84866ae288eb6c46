"""What the machine is: Amaranth components, and the description of a design."""
