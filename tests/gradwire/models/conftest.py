"""What the tests of models share."""

import sys
from pathlib import Path

import pytest

# Examples and what computes them stand in a module beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


from model_examples import library


@pytest.fixture
def torch():
    return library("torch")


@pytest.fixture
def onnx():
    return library("onnx")
