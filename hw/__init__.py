"""What the machine is: Amaranth components, and the description of a design."""

import warnings

from amaranth.hdl import UnusedElaboratable

# Components are also made to be asked for their latency, and of equal ones only the first is
# elaborated; Amaranth would complain of the others.
warnings.filterwarnings("ignore", category=UnusedElaboratable)
