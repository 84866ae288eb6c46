"""Floating-point arithmetic for any IEEE-style format: pipelined, one result each clock."""
