"""What stands beside the Verilog, for the tools and the people of a system on chip."""
