"""The command line that makes a design again."""

import shlex
from collections.abc import Mapping
from typing import Any

from hw.design import Design


def command(verb: str, design: Design, options: str, *more: str) -> str:
    """A command of gradwire on this design."""
    return " ".join(filter(None, ["gradwire", verb, design.topology, options, *more]))


def design_options(chosen: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """The options that were chosen for a design, as they are written on a command line."""
    words = []
    for name, value in chosen.items():
        if value == defaults[name]:
            continue
        option = f"--{name.replace('_', '-')}"
        words += [option] if value is True else [option, shlex.quote(str(value))]
    return " ".join(words)
