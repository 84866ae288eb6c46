"""The main job in one: generate, train, simulate, compare, synthesize."""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from gradwire import machine, training
from gradwire.console import Reporter
from gradwire.files import write_files
from gradwire.placing import Placing
from gradwire.results import simulated
from gradwire.saved import archive
from hw.design import parse_topology
from hw.schedule import design_for, make_schedule

TOPOLOGY = "3-3-3-1"
TARGET = "ecp5-85k"


def demo(folder: Path, task: training.Task, reporter: Reporter) -> dict[str, Any]:
    """Run the main job on the network of the paper; returns what `gradwire demo --json` prints.

    Synthesis, which is one long thread, runs beside the simulation. Raises InputError when the
    folder cannot be written, ToolError when a tool is missing or fails.
    """
    schedule = make_schedule(design_for(parse_topology(TOPOLOGY)))
    with reporter.working("generating the Verilog"):
        generated = machine.generate(schedule, folder)
    asked = Placing(seed=training.SEED)
    synthesis = _in_background(
        lambda: machine.synthesize(schedule, TARGET, asked, folder / TARGET, reporter)
    )

    def progress(what: str, done: int, total: int, note: str = "") -> None:
        if synthesis.done():
            synthesis.result()  # raises at once what would else come up after the simulation
        reporter(what, done, total, note)

    design = schedule.design
    trained = training.train(design, task, progress)
    if trained.interrupted:
        raise KeyboardInterrupt
    found = training.simulate(schedule, task, progress)
    if found.interrupted:
        raise KeyboardInterrupt
    weights = archive(found.weights, design, task.kept(), task.samples)
    write_files(folder, {"weights.npz": weights})
    return {
        "generate": generated,
        "train": {"accuracy": trained.accuracy},
        "simulate": simulated(design, task, found),
        "synth": synthesis.result(),
    }


def _in_background(work: Callable[[], dict[str, Any]]) -> Future[dict[str, Any]]:
    """Start `work` in a thread that does not keep the program from ending."""
    future: Future[dict[str, Any]] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future
