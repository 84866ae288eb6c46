"""SDRAM on a board: what its chips demand, and the controller that gives it."""
