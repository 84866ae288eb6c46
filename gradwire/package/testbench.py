"""The self-checking bench beside the Verilog, for any simulator of SystemVerilog."""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from gradwire.describe import description
from gradwire.package.template import (
    instance,
    template_name,
    template_ports,
    width,
)
from hw.axi.core import AxiCore
from hw.core import Core, WeightAddress
from hw.design import Design
from hw.verilog import port_list
from sim.golden import Golden, LearningRate, Sample, Weights, loss

TRAINED, INFERRED = 4, 2
#: Of 4 samples: a whole batch and a short one.
_BATCH = 3
_RATE = 1 / 64
_WEIGHT_SEED, _SAMPLE_SEED = 0x6772_6164, 0x7769_7265

# Results of a core with plain ports: the loss, if there is one, comes after the outputs.
_NO_LOSS = """  wire result_valid = prediction_valid;
  wire [31:0] result = prediction;
"""
_LOSS = """  wire result_valid = prediction_valid || loss_valid;
  wire [31:0] result = loss_valid ? loss : prediction;
"""

_FOLDER = Path(__file__).parent
_MASK = 0xFFFFFFFF
_CLOCKS_EACH = 20  # at least what an access to a weight takes

# What the bench makes itself, and what it connects to the template's ports.
_MADE = {"clk": "clk", "rst": "rst", "aclk": "clk", "aresetn": "!rst"}
_ADDRESSES = ("weight_address", "s_axi_awaddr", "s_axi_araddr")
# Of the registers that the bench checks.
_CONSTANTS = ("magic", "version", "design")


def testbench(core: Core | AxiCore) -> str:
    """SystemVerilog of a bench that trains `core` in its template and compares it with the golden
    model.

    Raises ToolError when the golden model cannot be compiled.
    """
    design, axi = core.design, isinstance(core, AxiCore)
    parameters = _parameters(core) | (_axi_parameters(core) if axi else _core_parameters(core))
    results, checksum = _expected(design)
    parameters |= {"RESULTS": len(results), "CHECKSUM": checksum}
    driver = (_FOLDER / f"{'axi' if axi else 'core'}_driver.sv").read_text(encoding="utf-8")
    high = design.batch.bit_length() - 1
    batch = "write(BATCH_ADDRESS, BATCH);" if axi else f"batch <= BATCH[{high}:0];"
    parts = {
        "DRIVER": f"{_machine(core)}\n{driver}",
        "RESULT": _LOSS if design.loss else _NO_LOSS,
        "BATCH": f"      {batch}\n" if design.batch > 1 else "",
        "PARAMETERS": "".join(map(_localparam, parameters, parameters.values())),
        "EXPECTED": "".join(
            f"    expected[{i}] = {_hex(word)};\n" for i, word in enumerate(results)
        ),
        "WEIGHTS": "".join(map(_loops, description(core.schedule, "")["weight_port"]["layers"])),
    }
    text = (_FOLDER / "testbench.sv").read_text(encoding="utf-8")
    for key, part in parts.items():
        text = text.replace(f"<{key}>\n", part)
    for key, value in {"NAME": core.module_name, "TRAINED": TRAINED, "INFERRED": INFERRED}.items():
        text = text.replace(f"<{key}>", str(value))
    return text


def _machine(core: Core | AxiCore) -> str:
    """The template's instance, and what is connected to it."""
    ports = [port for port in port_list(core) if port["name"] not in ("clk", "rst")]
    lines = []
    for port in ports:
        driven = port["direction"] == "input" and port["name"] not in _ADDRESSES
        start = " = 0" if driven else ""
        lines.append(f"  {'reg' if driven else 'wire'} {width(port)}{port['name']}{start};\n")
    connections = {name: _MADE.get(name, name) for name in template_ports(core)}
    return "".join(lines) + instance(template_name(core), "template", connections)


def _parameters(core: Core | AxiCore) -> dict[str, int]:
    design = core.design
    words = sum(layer.outputs * (layer.inputs + 1) for layer in design.weight_layers)
    samples = (TRAINED + INFERRED) * (
        design.record_words * 2 + core.schedule.clocks_per_iteration * 2
    )
    learning = LearningRate(rate=_RATE).words(_batch(design))
    return {
        "TRAINED": TRAINED,
        "INFERRED": INFERRED,
        "BATCH": _batch(design),
        "RATE": int(learning[0].view(np.uint32)),
        "BYTES": int(design.sample_format == "bytes"),
        "LAST_BYTES": (1 << 8 * ((design.layers[0] - 1) % 4 + 1)) - 1,
        "INPUT_WORDS": design.record_words - design.layers[-1],
        "OUTPUTS": design.layers[-1],
        "WEIGHT_SEED": _WEIGHT_SEED,
        "SAMPLE_SEED": _SAMPLE_SEED,
        "WORD_BITS": WeightAddress(design).word_bits,
        "MOST_CLOCKS": 2 * _CLOCKS_EACH * words + samples + 10_000,
    }


def _core_parameters(core: Core) -> dict[str, int]:
    return {
        "ADDRESS_BITS": core.address.word_bits + core.address.bank_bits,
        "WEIGHT_LATENCY": core.schedule.latencies.weight_port,
    }


def _axi_parameters(core: AxiCore) -> dict[str, int]:
    found = {"ADDRESS_BITS": core.map.bits, "WEIGHTS": core.map.weights}
    for register in core.map.registers:
        found[f"{register.name}_ADDRESS".upper()] = register.offset
        if register.name in _CONSTANTS:
            found[register.name.upper()] = register.reset
    return found


def _localparam(name: str, value: int) -> str:
    return f"  localparam [31:0] {name} = {_hex(value) if value > 0xFFFF else value};\n"


def _loops(layer: Mapping) -> str:
    """SystemVerilog that accesses the weights of a layer, each neuron's bias after its weights."""
    weight, bias = (
        ", ".join(layer[which][part].replace("//", "/") for part in ("bank", "word"))
        for which in ("weight", "bias")
    )
    return (
        f"      for (n = 0; n < {layer['outputs']}; n = n + 1) begin\n"
        f"        for (k = 0; k < {layer['inputs']}; k = k + 1) access(reading, {weight});\n"
        f"        access(reading, {bias});\n"
        "      end\n"
    )


def _hex(word: int) -> str:
    return f"32'h{word:08x}"


# The same in numpy.


def _words(state: int) -> Iterator[int]:
    while True:
        a = (state ^ state << 13) & _MASK
        b = a ^ a >> 17
        state = (b ^ b << 5) & _MASK
        yield state


def _draw(words: Iterator[int], *shape: int) -> np.ndarray:
    return np.fromiter(words, np.uint32, int(np.prod(shape))).reshape(shape)


def _number(words: np.ndarray, exponent: int, *, signed: bool = True) -> np.ndarray:
    """FP32 numbers of this exponent field; fraction, and sign, are the words'."""
    kept = 0x807FFFFF if signed else 0x007FFFFF
    return (words & np.uint32(kept) | np.uint32(exponent << 23)).view(np.float32)


def _batch(design: Design) -> int:
    return min(_BATCH, design.batch)


def _expected(design: Design) -> tuple[list[int], int]:
    """All results, in order, and the checksum of the weights after training."""
    golden = Golden(design, _weights(design), LearningRate(rate=_RATE), _batch(design))
    words = _words(_SAMPLE_SEED)
    outputs = []
    for number in range(1, TRAINED + 1):
        inputs, labels = _sample(design, words)
        sample = golden.train(inputs, labels, last=number == TRAINED)
        outputs += _results(design, sample)
    for _ in range(INFERRED):
        outputs += _results(design, golden.forward(*_sample(design, words)))
    return np.concatenate(outputs).view(np.uint32).tolist(), _checksum(golden.weights)


def _results(design: Design, sample: Sample) -> list[np.ndarray]:
    """What the core puts out for a sample."""
    found = [sample.activations[-1]]
    return [*found, np.array([loss(design, sample)], np.float32)] if design.loss else found


def _weights(design: Design) -> Weights:
    words = _words(_WEIGHT_SEED)
    drawn = [
        _number(_draw(words, outputs, inputs + 1), 0x7C)
        for inputs, outputs in itertools.pairwise(design.layers)
    ]
    return Weights(tuple(d[:, :-1].copy() for d in drawn), tuple(d[:, -1].copy() for d in drawn))


def _sample(design: Design, words: Iterator[int]) -> tuple[np.ndarray, np.ndarray]:
    size, labels = design.layers[0], design.layers[-1]
    stored = _draw(words, design.record_words - labels)
    if design.sample_format == "bytes":
        inputs = stored.astype("<u4").view(np.uint8)[:size] / np.float32(256)
    else:
        inputs = _number(stored, 0x7D)
    return inputs, _number(_draw(words, labels), 0x7E, signed=False)


def _checksum(weights: Weights) -> int:
    found = 0
    for matrix, bias in zip(weights.weights, weights.biases, strict=True):
        rows = np.column_stack([matrix, bias]).view(np.uint32)
        for word in rows.ravel().tolist():
            found = (found << 1 & _MASK | found >> 31) ^ word
    return found
