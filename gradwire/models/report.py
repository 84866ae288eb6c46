"""What `gradwire import` and `gradwire export` tell."""

import shlex
from pathlib import Path
from typing import Any

from gradwire.models import state_dict
from gradwire.models.network import Network
from hw.design import MOST_PROCESSING_ELEMENTS

# The data sets that networks of those inputs and outputs are for.
_DATA = {(3, 1): "red", (64, 10): "digits"}


def network(found: Network, model: Path) -> dict[str, Any]:
    """What is in the file."""
    return {
        "model": str(model),
        "topology": found.design.topology,
        "activation": found.activation,
        "activation_assumed": not found.said,
        "parameters": found.parameters,
        "rounded": found.rounded,
    }


def imported(found: Network, model: Path, weights: Path) -> dict[str, Any]:
    """What `gradwire import --json` prints."""
    options = f"{found.design.topology} --activation {found.activation}"
    if max(found.layers[1:]) > MOST_PROCESSING_ELEMENTS:
        options += f" --pes {MOST_PROCESSING_ELEMENTS}"
    if "tanh" in found.design.activations:
        options += " --table-degree 2"
    data = _DATA.get((found.layers[0], found.layers[-1]), "idx:FOLDER")
    more = f"--data {data} --resume {shlex.quote(str(weights))}"
    commands = [f"gradwire {name} {options} {more}" for name in ("train", "simulate")]
    return network(found, model) | {
        "weights": str(weights),
        "commands": [*commands, f"gradwire generate {options}"],
    }


def exported(found: Network, model: Path, file: Path, to: str) -> dict[str, Any]:
    """What `gradwire export --json` prints."""
    made = network(found, model) | {"to": to, "file": str(file)}
    return made | {"module": state_dict.module(found)} if to == "pt" else made


def rows(found: dict[str, Any]) -> list[tuple[str, object]]:
    """What both show."""
    assumed = " (assumed: the file names none; --activation does)"
    rounded = f"{found['rounded']:,} of {found['parameters']:,}"
    return [
        ("topology", found["topology"]),
        ("activation", found["activation"] + assumed * found["activation_assumed"]),
        ("parameters", f"{found['parameters']:,}"),
        ("rounded to FP32", rounded if found["rounded"] else "none"),
    ]
