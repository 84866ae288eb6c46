"""Other software that trains the same network on this machine."""

import json
import os
import sys
from pathlib import Path

from gradwire.report.model import Software
from hw import tool
from hw.design import Design
from hw.errors import ToolError

# One thread: what there is to share between threads is too little at batch 1.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_TIMEOUT = 600


def software(design: Design, tdp: float | None, log: Path) -> list[Software]:
    """Samples a second of what is installed, and energy of a sample.

    `tdp` is the processor's thermal design power in W, if the user states it: it stands in where
    the kernel counts no energy. Raises ToolError when a measurement fails.
    """
    words = ["-m", "sim.software", design.topology, ",".join(design.activations)]
    text = tool.run(
        [sys.executable, *words],
        tool="software beside it",
        log=log,
        env=os.environ | _ONE_THREAD,
        timeout=_TIMEOUT,
    )
    command = " ".join(["OMP_NUM_THREADS=1 python", *words])
    found = [_entry(line, tdp, command) for line in text.splitlines() if line.startswith("{")]
    if not found:
        raise ToolError(f"software beside it gave no figure: {tool.telling_line(text)}; log: {log}")
    return found


def _entry(line: str, tdp: float | None, command: str) -> Software:
    told = json.loads(line)
    energy, by = told["energy_uj"], "RAPL: all of the processor's packages"
    if energy is None:
        energy = 1e6 * tdp / told["samples_per_second"] if tdp else None
        by = f"TDP of {tdp:g} W times the time, as stated by --tdp" if tdp else ""
    return Software(
        name=told["name"],
        samples_per_second=round(told["samples_per_second"], 1),
        energy_uj=energy,
        energy_by=by,
        command=command,
    )
