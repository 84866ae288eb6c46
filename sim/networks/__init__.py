"""Networks of layers of any kind, forward and backward, trained by a schedule of groups.

No RTL computes these yet: unlike sim.golden they are equal to no machine in every bit.
"""
