"""What the tests of explorations share: an executor that does everything at once."""

import dataclasses
from concurrent.futures import Executor, Future

import pytest

from fpga_flows import ecp5_model
from gradwire.explore import tasks


class Here(Executor):
    """Does everything at once, in this thread, and counts it; synthesis is the model's."""

    def __init__(self, more=None):
        self.done = []
        self.tasks = {tasks.cells: self.cells, tasks.placed: self.placed} | (more or {})

    def submit(self, task, *given):
        self.done.append(task.__name__)
        future = Future()
        try:
            future.set_result(self.tasks.get(task, task)(*given))
        except Exception as error:
            future.set_exception(error)
        return future

    @staticmethod
    def cells(design, limit):
        found = dataclasses.asdict(ecp5_model.cells(design))
        return found | {"ffs": 7, "model_luts": found["luts"]}

    @staticmethod
    def placed(design, target, speed, aim, limit):
        found = Here.cells(design, limit)
        model = ecp5_model.fmax_mhz(design, found["luts"], speed)
        mhz = {"fmax_mhz": 0.8 * model, "model_mhz": model}
        return found | mhz | {"target": target, "speed": speed}


@pytest.fixture
def executor():
    """The class of that executor."""
    return Here
