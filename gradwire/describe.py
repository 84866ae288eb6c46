"""What stands in NAME.json beside NAME.v: all that benches and drivers need, so that none retypes.

The format is the same for every design; lists are in the order of the hardware. Clocks of the
schedule count from the first clock of an iteration.
"""

import dataclasses
import hashlib
import inspect
import re
from typing import Any

from gradwire import grouped
from hw.axi.core import AxiCore
from hw.axi.registers import ACCESS
from hw.core import Core, WeightAddress
from hw.design import Design, Layer
from hw.initializer import initial_scale, initialize_clocks
from hw.pipeline import GroupedWeightAddress, Pipeline
from hw.program import LOAD_LATENCY
from hw.schedule import RUN_OVERHEAD, Schedule
from hw.verilog import port_list
from sim.cycles import CycleModel

_ALWAYS = {"clk": "clock; everything happens at its rising edge", "rst": "synchronous reset"}


def clocks(schedule: Schedule) -> dict[str, Any]:
    """Clocks of one iteration: what `gradwire clocks --json` prints."""
    design = schedule.design
    return {
        "topology": design.topology,
        "pes": design.processing_elements,
        "batch": design.batch,
        "clocks_per_iteration": schedule.clocks_per_iteration,
        "clocks_per_sample": round(schedule.clocks_per_sample, 6),
        "inference_clocks": schedule.inference_clocks,
        "useful_multiply_adds": design.useful_multiply_adds,
        "limit_clocks": design.limit_clocks,
        "multiply_add_busy": round(schedule.multiply_add_busy, 6),
        "phases": [
            {"name": phase.name, "layer": phase.layer, "start": phase.start, "clocks": phase.clocks}
            for phase in CycleModel(schedule).phases()
        ],
    }


def description(schedule: Schedule, verilog: str) -> dict[str, Any]:
    """Everything about the machine of `schedule`, whose Verilog is `verilog`."""
    design = schedule.design
    return {
        "name": design.name,
        "topology": design.topology,
        "verilog": _verilog(design.name, verilog),
        "design": dataclasses.asdict(design),
        "ports": ports(Core(schedule)),
        "weight_port": _weight_port(design),
        "initializer": _initializer(design),
        "latencies": _latencies(schedule),
        "schedule": _schedule(schedule),
    }


def _verilog(name: str, verilog: str) -> dict[str, str]:
    digest = hashlib.sha256(verilog.encode()).hexdigest()
    return {"file": f"{name}.v", "top": name, "sha256": digest}


def axi_description(core: AxiCore, verilog: str) -> dict[str, Any]:
    """The same of a core with AXI outside; the weights are reached through its window."""
    found = description(core.schedule, verilog)
    name = core.module_name
    weight_port = {**found["weight_port"]}
    del weight_port["read_latency"]
    address = f"{core.map.weights} + 4 * ({weight_port['address']})"
    return found | {
        "name": name,
        "verilog": found["verilog"] | {"file": f"{name}.v", "top": name},
        "ports": ports(core),
        "weight_port": weight_port | {"address": address},
        "bus": {
            "kind": "axi",
            "address_bits": core.map.bits,
            "header": f"{name}.h",
            "registers": [
                dataclasses.asdict(register) | {"access": ACCESS[register.access]}
                for register in core.map.registers
            ],
        },
    }


def grouped_description(core: Pipeline, verilog: str) -> dict[str, Any]:
    """The same of a machine of groups: each with its part of the weights, the address in common."""
    schedule, design = core.schedule, core.design
    inner = GroupedWeightAddress(design).inner_bits
    groups = []
    for number, each in enumerate(schedule.groups):
        weight_port = _weight_port(each.design)
        del weight_port["read_latency"]
        weight_port["address"] = f"{number} << {inner} | {weight_port['address']}"
        groups.append(
            {
                "design": dataclasses.asdict(each.design),
                "weight_port": weight_port,
                "latencies": _latencies(each),
                "schedule": _schedule(each),
            }
        )
    return {
        "name": design.name,
        "topology": design.topology,
        "verilog": _verilog(design.name, verilog),
        "design": grouped.parameters(design),
        "ports": ports(core),
        "weight_port": {"read_latency": schedule.weight_port},
        "groups": groups,
        "schedule": grouped.clocks(schedule),
    }


def ports(core: Core | AxiCore | Pipeline) -> list[dict[str, Any]]:
    """Ports of the core: name, direction, width in bits, and what its docstring says."""
    said = _members(inspect.getdoc(type(core)) or "")
    if isinstance(core, Pipeline):
        # Its docstring says of most of them that they are a core's.
        own = {name: text for name, text in said.items() if "see" not in text.split()}
        said = _members(inspect.getdoc(Core) or "") | own
    said |= _ALWAYS
    return [{**port, "is": said.get(port["name"].split("__")[0], "")} for port in port_list(core)]


def _members(doc: str) -> dict[str, str]:
    """Text of each member in a class docstring; one line may name several members."""
    lines = doc.partition("Members\n-------\n")[2]
    found = {}
    for match in re.finditer(r"^(\w[\w, ]*) : (.*(?:\n +.*)*)", lines, re.MULTILINE):
        text = " ".join(match[2].split())
        found |= dict.fromkeys(match[1].split(", "), text)
    return found


def _weight_port(design: Design) -> dict[str, Any]:
    address = WeightAddress(design)
    p = design.processing_elements
    return {
        "address": f"bank << {address.word_bits} | word",
        "word_bits": address.word_bits,
        "bank_bits": address.bank_bits,
        "banks": p,
        "bank_words": design.bank_words,
        "bias_bank": p if design.bias_words else None,
        "bias_words": design.bias_words,
        "read_latency": 2,
        "formulas": "n: neuron of the layer, k: input of the layer, from 0; // divides and drops "
        "the rest, % is that rest",
        "layers": [_layer(layer) for layer in design.weight_layers],
    }


def _initializer(design: Design) -> dict[str, Any] | None:
    """Clocks for which `initializing` stays, and what weights are below; None if there is none."""
    if not design.seeded_weights:
        return None
    scales = map(initial_scale, design.weight_layers, design.activations)
    return {
        "clocks": initialize_clocks(design),
        "limits": [whole * 2.0**exponent for whole, exponent in scales],
    }


def _layer(layer: Layer) -> dict[str, Any]:
    p, base, length = layer.processing_elements, layer.base, layer.fold_length
    if layer.mapping == "row":
        weight = {"bank": f"n % {p}", "word": f"{base} + n // {p} * {length} + 1 + k"}
        bias = {"bank": f"n % {p}", "word": f"{base} + n // {p} * {length}"}
    elif layer.lanes == 1:
        weight = {"bank": f"k % {p}", "word": f"{base} + k // {p} * {length} + n"}
        bias = {"bank": f"{p}", "word": f"{layer.bias_base} + n"}
    else:
        lane, place = f"n // {length}", f"n % {length}"
        weight = {
            "bank": f"{lane} * {p} + k % {p}",
            "word": f"{base} + k // {p} * {length} + {place}",
        }
        bias = {"bank": f"{layer.lanes * p} + {lane}", "word": f"{layer.bias_base} + {place}"}
    return {
        "layer": layer.number,
        "inputs": layer.inputs,
        "outputs": layer.outputs,
        "mapping": layer.mapping,
        "base": base,
        "folds": layer.folds,
        "fold_words": length,
        "weight": weight,
        "bias": bias,
    }


def _latencies(schedule: Schedule) -> dict[str, Any]:
    """Components and paths in machine cycles; the adder tree's two figures in adders."""
    found = dataclasses.asdict(schedule.latencies)
    tree = {name: found.pop(name) for name in ("depth", "carry_path")}
    paths = inspect.getmembers(
        type(schedule.latencies), lambda member: isinstance(member, property)
    )
    return {
        "components": found,
        "adder_tree": tree,
        "paths": {name: getattr(schedule.latencies, name) for name, _ in paths},
        "load": LOAD_LATENCY,
        "run_overhead": RUN_OVERHEAD,
    }


def _schedule(schedule: Schedule) -> dict[str, Any]:
    found = clocks(schedule)
    program = schedule.training
    return {
        "clocks_per_iteration": found["clocks_per_iteration"],
        "clocks_per_sample": found["clocks_per_sample"],
        "inference_clocks": found["inference_clocks"],
        "useful_multiply_adds": found["useful_multiply_adds"],
        "limit_clocks": found["limit_clocks"],
        "multiply_add_busy": found["multiply_add_busy"],
        "load_clocks": program.clocks_until(schedule.load_clocks),
        "finish": program.clocks_until(program.finish),
        "phases": [dataclasses.asdict(phase) for phase in CycleModel(schedule).phases()],
    }
