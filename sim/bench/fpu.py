"""Simulate a floating-point unit over any number of operands, in bulk."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from hw import tool
from hw.errors import ToolError
from hw.fp.pipeline import Operator
from hw.verilog import to_verilog
from sim import simulator

BENCH = Path(__file__).parent / "fpu_bench.sv"


class Fpu:
    """The RTL of a floating-point unit, in Verilator. Use it as `with fpu(operator) as unit`.

    Parameters
    ----------
    operator : the unit.
    folder : for the bench's files.

    Raises ToolError when the simulator is missing or fails to build.
    """

    def __init__(self, operator: Operator, folder: Path) -> None:
        self._folder = folder
        header = [
            f"`define UNIT {operator.module_name}",
            f"`define WIDTH {operator.format.width}",
            f"`define LATENCY {operator.latency}",
        ]
        source = folder / "fpu.sv"
        parts = [*header, BENCH.read_text(encoding="utf-8"), to_verilog(operator)]
        source.write_text("\n".join(parts), encoding="utf-8")
        self._build = simulator.build([source], "fpu_bench", public=["finished"])

    def results(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Encodings of the results of operands `a` and `b`, one pair each clock.

        Raises ToolError when the simulator fails, or has not given as many results.
        """
        # The bench's $fread takes the first byte as the highest.
        np.stack([a, b], axis=1).astype(">u4").tofile(self._folder / "operands.bin")
        log = self._folder / "simulation.log"
        try:
            simulator.run(self._build, "sim.bench.fpu_bench", log=log)
            found = np.fromfile(self._folder / "results.bin", np.uint32)
            if len(found) != len(a):
                raise ToolError(
                    f"the simulator gave {len(found)} results of {len(a)} pairs; log: {log}"
                )
        except ToolError as error:
            # The folder may be a temporary one: what the tool said shall outlive it.
            kept = tool.cache_dir() / "fpu_vectors.log"
            shutil.copy(log, kept)
            raise ToolError(str(error).replace(str(log.absolute()), str(kept))) from None
        return found


@contextmanager
def fpu(operator: Operator) -> Iterator[Fpu]:
    """The RTL of `operator`, with its files in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        yield Fpu(operator, Path(folder))
