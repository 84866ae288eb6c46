"""The bench: whole runs of the core's RTL in Verilator under cocotb, against both models."""
