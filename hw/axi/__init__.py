"""The core as a part of a system on chip: AXI4-Lite and AXI4-Stream around it."""
