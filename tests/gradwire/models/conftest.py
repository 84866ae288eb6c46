"""What the tests of models share."""

import sys
from pathlib import Path

import pytest

# Examples and what computes them stand in a module beside the tests.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed")
