"""The command line: `gradwire --help`."""

import dataclasses
import functools
import inspect
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fpga_flows import ecp5
from fpga_flows.components import COMPONENTS, Component, best_stages
from fpga_flows.fpga import TARGETS, TIME_LIMIT, check_speed
from fpga_flows.liberty import find as find_library
from fpga_flows.ulx3s import BOARDS, CLOCK_MHZ, check_board
from gradwire import (
    __version__,
    bitstream,
    board,
    cells,
    describe,
    gantt,
    grouped,
    machine,
    memory,
    models,
    results,
    saved,
    tables,
    training,
)
from gradwire import component as alone
from gradwire import demo as main_job
from gradwire.board import Epochs, Outcome
from gradwire.console import FAILED, Commands, Interrupted, Reporter, end_on_signals
from gradwire.explore import command as exploring
from gradwire.files import check_folder, write_files
from gradwire.grouped import AnyDesign, AnySchedule
from gradwire.models import report as model_report
from gradwire.package.scripts import FREQUENCY_MHZ, check_frequency
from gradwire.placing import Placing, parse_frequencies
from gradwire.report import command as report_command
from gradwire.report import compare as comparison
from gradwire.report.collect import TARGETS as REPORT_TARGETS
from gradwire.report.model import read as read_report
from gradwire.report.options import design_options
from gradwire.sdram import supply as sdram_supply
from gradwire.training import (
    SAMPLES,
    SEED,
    TESTS,
    Simulated,
    Task,
    Trained,
    check_seed,
)
from hw import tool
from hw.design import ACTIVATIONS, SAMPLE_FORMATS, Design, parse_topology
from hw.errors import InputError
from hw.grouping import grouped_design_for
from hw.pipeline import GroupedSchedule, make_grouped_schedule
from hw.pipelining import KINDS
from hw.schedule import (
    FREQUENCIES,
    NANGATE45_FREQUENCIES,
    Schedule,
    design_for,
    make_schedule,
)
from hw.sdram.chips import CHIPS, SdramTiming, find_chip

app = typer.Typer(
    cls=Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Generate machines that train neural networks, prove them and say what they cost.\n\n"
    "A TOPOLOGY is the sizes of a network's layers joined by dashes: inputs, hidden layers, "
    "outputs. 3-3-3-1 has 3 inputs, two hidden layers of 3 neurons and 1 output.\n\n"
    "Exit codes: 0 all is well, 1 a tool failed or the machine was not exact, 2 bad input.",
)

boards = typer.Typer(cls=Commands, help="Machines on boards.")
app.add_typer(boards, name="board")


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise typer.BadParameter(f"must be a whole number, not {text!r}") from None


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise typer.BadParameter(f"must be a number, not {text!r}") from None


Topology = Annotated[
    str,
    typer.Argument(
        metavar="TOPOLOGY",
        help="Layer sizes joined by dashes: inputs, hidden layers, outputs; such as 3-3-3-1.",
        show_default=False,
    ),
]
_DESIGN_OPTIONS = {
    "pes": Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Processing elements: neuron ALUs that work in lock step. The widest layer, "
            "inputs apart, by default.",
            show_default=False,
        ),
    ],
    "mapping": Annotated[
        str,
        typer.Option(
            metavar="auto|row,column,...",
            help="How each layer of weights is spread over the processing elements: by its "
            "neurons (row) or by its inputs (column). auto takes the fastest.",
        ),
    ],
    "activation": Annotated[
        str,
        typer.Option(
            metavar="NAME[,NAME...]",
            help=f"Activation function, of all layers or one for each: {', '.join(ACTIVATIONS)}.",
        ),
    ],
    "table_entries": Annotated[
        int, typer.Option(parser=_whole, metavar="N", help="Entries of sigmoid's and tanh's table.")
    ],
    "table_degree": Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="0|1|2",
            help="Look sigmoid and tanh up (0), or interpolate by polynomials of this degree.",
        ),
    ],
    "subnormals": Annotated[
        str,
        typer.Option(
            metavar="flush|ieee", help="Subnormal numbers: taken as zero, or as they are."
        ),
    ],
    "batch": Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Mini-batches of up to N samples; train and simulate take batches of N.",
        ),
    ],
    "memory": Annotated[
        str,
        typer.Option(
            metavar="distributed|unified",
            help="A weight bank for each processing element, or one memory for the weights of all, "
            "for which they wait.",
        ),
    ],
    "multiplier_stages": Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Pipeline stages of the multipliers. The best for the network by default.",
            show_default=False,
        ),
    ],
    "adder_stages": Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Pipeline stages of the adders. The best for the network by default.",
            show_default=False,
        ),
    ],
    "buffer_vectors": Annotated[
        int,
        typer.Option(parser=_whole, metavar="N", help="Training vectors that the buffer holds."),
    ],
    "buffer_parts": Annotated[
        int,
        typer.Option(
            parser=_whole, metavar="N", help="In how many parts SDRAM refills the buffer."
        ),
    ],
    "sample_format": Annotated[
        str,
        typer.Option(
            metavar="|".join(SAMPLE_FORMATS),
            help="Inputs of samples: FP32 words, or bytes that stand for 256ths.",
        ),
    ],
    "seeded_weights": Annotated[
        bool,
        typer.Option(
            "--seeded-weights",
            help="The machine can also make its initial weights itself, from a seed.",
        ),
    ],
    "loss": Annotated[
        bool,
        typer.Option(
            "--loss",
            help="The machine also puts out the loss of each sample: the sum of its squared output "
            "errors.",
        ),
    ],
    "broadcast_stages": Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Registers on the way to the processing elements: for arrays that fill an FPGA.",
        ),
    ],
}
_DESIGN_DEFAULTS = {field.name: field.default for field in dataclasses.fields(Design)} | {
    "pes": None,
    "mapping": "auto",
    # The best for the network.
    "multiplier_stages": None,
    "adder_stages": None,
}


_GROUP_OPTIONS = {
    "groups": Annotated[
        str | None,
        typer.Option(
            metavar="auto|SIZES/SIZES:N,N",
            help="Several arrays, each with some of the layers: their sizes and processing "
            "elements, such as 784-100/100-100-10:80,20; auto balances them, --pes in all. One "
            "array by default.",
            show_default=False,
        ),
    ],
    "schedule": Annotated[
        str,
        typer.Option(
            metavar="|".join(KINDS),
            help="How groups share samples: one at a time; a batch at a time; or always one each, "
            "with weights that are late, in one pipeline or in two (docs/pipelining.md). All but "
            "the first imply --groups auto.",
        ),
    ],
}


def _with_options(
    group: str, options: dict[str, Any], defaults: dict[str, Any]
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command `options`; it gets their values as one dict, the argument `group`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(**values: object) -> None:
            command(**{group: {name: values.pop(name) for name in options}}, **values)

        own = [p for p in inspect.signature(command).parameters.values() if p.name != group]
        added = [
            inspect.Parameter(
                name, inspect.Parameter.KEYWORD_ONLY, default=defaults[name], annotation=kind
            )
            for name, kind in options.items()
        ]
        keywords = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        wrapped.__signature__ = inspect.Signature([*keywords, *added])
        wrapped.__annotations__ = {p.name: p.annotation for p in [*keywords, *added]}
        return wrapped

    return decorate


_for_a_design = _with_options("chosen", _DESIGN_OPTIONS, _DESIGN_DEFAULTS)
_for_a_machine = _with_options(
    "chosen",
    _DESIGN_OPTIONS | _GROUP_OPTIONS,
    _DESIGN_DEFAULTS | {"groups": None, "schedule": "sequential"},
)
# A serial line and an SDRAM make bytes worth while.
_for_a_board = _with_options(
    "chosen", _DESIGN_OPTIONS, _DESIGN_DEFAULTS | {"sample_format": "bytes"}
)

_for_a_bitstream = _with_options("chosen", _DESIGN_OPTIONS, _DESIGN_DEFAULTS | bitstream.DEFAULTS)

# Of the designs that explore chooses among: what is not chosen here is chosen by it.
_EXPLORE_OPTIONS = {
    name: kind for name, kind in _DESIGN_OPTIONS.items() if name not in ("pes", "memory")
} | {
    "pes": Annotated[
        str | None,
        typer.Option(
            metavar="N[,N...]",
            help="Numbers of processing elements to choose among; all by default.",
            show_default=False,
        ),
    ],
    **{
        name: Annotated[
            int | None,
            typer.Option(parser=_whole, metavar="N", help=text, show_default=False),
        ]
        for name, text in {
            "multiplier_stages": "Pipeline stages of the multipliers. The best by default.",
            "adder_stages": "Pipeline stages of the adders. The best by default.",
            "broadcast_stages": "Registers on the way to the processing elements. The best by "
            "default.",
            "buffer_vectors": "Training vectors that the buffer holds. As many as there is room "
            "for, and 256 at most, by default.",
        }.items()
    },
}
_for_an_exploration = _with_options(
    "chosen",
    _EXPLORE_OPTIONS,
    _DESIGN_DEFAULTS
    | dict.fromkeys(("multiplier_stages", "adder_stages", "broadcast_stages"))
    | {"buffer_vectors": None},
)


Json = Annotated[
    bool,
    typer.Option("--json", help="Print one JSON object on standard output instead of tables."),
]
TimeLimit = Annotated[
    float,
    typer.Option(
        parser=_number, metavar="MINUTES", help="Longest run of a tool before it is given up."
    ),
]
Samples = Annotated[int, typer.Option(parser=_whole, metavar="N", help="Samples to train on.")]
Tests = Annotated[
    int, typer.Option(parser=_whole, metavar="N", help="Samples to test on afterwards.")
]
Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="W.npz",
        help="File for the weights, numpy's .npz: weights1, biases1, weights2, ...",
        show_default=False,
    ),
]


Activation = Annotated[
    str | None,
    typer.Option(
        metavar="NAME[,NAME...]",
        help=f"Activation function, of all layers or one for each: {', '.join(ACTIVATIONS)}. By "
        "default what the file says, and sigmoid if it says nothing.",
        show_default=False,
    ),
]


def _open(kind: type, metavar: str, text: str) -> Any:
    """An option without a default of its own: see `training.plan`."""
    parser = {int: _whole, float: _number}.get(kind)
    more = {"parser": parser} if parser else {}
    return Annotated[
        kind | None, typer.Option(metavar=metavar, help=text, show_default=False, **more)
    ]


_TASK_OPTIONS = {
    "data": _open(
        str,
        "red|digits|idx:FOLDER",
        "Data set. red, the default: whether an RGB pixel is red, for 3 inputs and 1 output. "
        "digits: scikit-learn's, for 64 inputs and 10 outputs. idx: images and labels in IDX "
        "files, such as MNIST's, for 784 inputs and 10 outputs.",
    ),
    "samples": _open(int, "N", f"Samples to train on; {SAMPLES} by default."),
    "tests": _open(
        int, "N", f"Samples to test on afterwards; of red {TESTS}, else all up to 10000 by default."
    ),
    "rate": _open(
        float, "A", "Learning rate; by default one that suits data and activations (docs/data.md)."
    ),
    "halve_every": _open(
        int,
        "K",
        "Samples after which the rate is halved, 0 for never. Never for red, else a quarter of all "
        "by default.",
    ),
    "rate_floor": _open(
        float,
        "A",
        "The rate does not fall below it. 0 for red, else a tenth of the rate by default.",
    ),
    "gain": _open(
        float,
        "G",
        "Initial weights have a deviation of G / sqrt(inputs of the layer); by default as suits "
        "data and activations.",
    ),
    "seed": _open(int, "S", f"Of the data and of the initial weights; {SEED} by default."),
    "resume": _open(
        Path,
        "W.npz",
        "Begin with the weights of this file. What -o or Ctrl-C has saved is trained on where it "
        "stopped, with its data and rates where none are given; --samples counts from the very "
        "first one, and 0 of them only tests.",
    ),
}
_for_training = _with_options("asked", _TASK_OPTIONS, dict.fromkeys(_TASK_OPTIONS))


@app.callback(invoke_without_command=True)
def _start(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        typer.echo(f"gradwire {__version__}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command()
@_for_a_machine
def generate(
    chosen: dict[str, Any],
    topology: Topology,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")
    ] = Path("rtl_out"),
    bus: Annotated[
        str | None,
        typer.Option(
            metavar="axi",
            help="AXI outside of the core: AXI4-Lite for a host, AXI4-Stream for samples and "
            "results. Its plain ports by default.",
            show_default=False,
        ),
    ] = None,
    frequency: Annotated[
        float,
        typer.Option(parser=_number, metavar="MHZ", help="Clock frequency of the constraints."),
    ] = FREQUENCY_MHZ,
    as_json: Json = False,
) -> None:
    """Write the Verilog of a machine, and what tools and people need beside it.

    NAME.v holds one module per distinct component. NAME.json has the ports, the latencies of the
    components, the memory map of the weights, the schedule and every parameter of the design, for
    benches and drivers to read. NAME_template.v shows how the core is placed in a design,
    NAME_tb.sv is a bench that checks itself, NAME.core is for FuseSoC, NAME_filelist.f for tools'
    option -f; NAME.sdc has constraints and NAME.vlt the waivers of Verilator's lint. With --bus
    axi, NAME is followed by _axi, and NAME_axi.h has the registers for C. Of several groups there
    is no bench and no FuseSoC core.
    """
    machine.check_bus(bus)
    check_frequency(frequency)
    with Reporter(quiet=as_json) as reporter:
        schedule = _machine(reporter, topology, chosen)
        machine.check_bus(bus, schedule)
        check_folder(output)
        with reporter.working("generating the Verilog"):
            found = machine.generate(schedule, output, bus, frequency)
    _show(as_json, found, tables.generated(found))


@app.command()
@_for_a_machine
def clocks(
    chosen: dict[str, Any],
    topology: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPOLOGY",
            help="Layer sizes joined by dashes: inputs, hidden layers, outputs; such as 3-3-3-1.",
            show_default=False,
        ),
    ] = None,
    neuron_table: Annotated[
        bool,
        typer.Option(
            "--neuron-table",
            help="Instead: one neuron with 2, 4, ... 128 inputs, beside the published machine's.",
        ),
    ] = False,
    sdram: Annotated[
        str | None,
        typer.Option(
            "--sdram",
            metavar="CHIP",
            help=f"Also whether the array waits for samples from this SDRAM: {', '.join(CHIPS)}.",
            show_default=False,
        ),
    ] = None,
    frequency: Annotated[
        float,
        typer.Option(parser=_number, metavar="MHZ", help="Clock frequency of machine and SDRAM."),
    ] = 50.0,
    samples: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help=f"Of groups: samples of the run whose clocks and slots are told; "
            f"{grouped.SAMPLES} by default.",
            show_default=False,
        ),
    ] = None,
    chart: Annotated[
        Path | None,
        typer.Option(
            "--gantt",
            metavar="F.svg",
            help="File for a Gantt chart: of an iteration, or of groups' work on some samples.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many clocks an iteration takes: training on one sample.

    The figures come from the cycle model, which is equal to the hardware in every clock; `gradwire
    simulate` proves it. Of several groups, they are those from one sample to the next, when all
    groups are at work.
    """
    if neuron_table:
        given = (topology, chosen["pes"], chosen["groups"])
        if given != (None, None, None):
            raise InputError(
                "--neuron-table takes no topology, no --pes and no --groups: all are given by it"
            )
        rows = tables.neuron_rows()
        _show(as_json, {"neurons": rows}, tables.neurons(rows))
        return
    if topology is None:
        raise InputError("clocks needs a topology, such as 3-3-3-1, or --neuron-table")
    with Reporter(quiet=as_json) as reporter:
        schedule = _machine(reporter, topology, chosen)
        _check_output(chart)
        if isinstance(schedule, GroupedSchedule):
            _refuse("--sdram", sdram, "for one array, not for groups")
            found = grouped.clocks(schedule, grouped.SAMPLES if samples is None else samples)
            parts = tables.group_clocks(found)
        else:
            _refuse("--samples", samples, "for groups, not for one array")
            found, parts = describe.clocks(schedule), tables.clocks(schedule)
        if sdram is not None:
            timing = SdramTiming(find_chip(sdram), frequency)
            found["sdram"] = supply = sdram_supply(schedule, timing, reporter)
            parts = [*parts, *tables.supply(schedule, supply)]
    if chart:
        write_files(chart.parent, {chart.name: gantt.draw(schedule).encode()})
        found["gantt"] = str(chart)
        parts.append(f"Gantt chart: {chart}")
    _show(as_json, found, parts)


@app.command("memory")
@_for_a_design
def _memory(chosen: dict[str, Any], topology: Topology, as_json: Json = False) -> None:
    """Price a machine's memories as 45 nm SRAM, and weigh them against one memory for all weights.

    The prices are OpenRAM's, which must be installed: this Python has the package openram, or
    $GRADWIRE_OPENRAM names one that has. They take a minute once, and are kept.
    """
    with Reporter(quiet=as_json) as reporter:
        found = memory.price(_schedule(reporter, topology, chosen), reporter)
    _show(as_json, found, memory.table(found))


@app.command()
@_for_a_machine
@_for_training
def train(
    chosen: dict[str, Any],
    asked: dict[str, Any],
    topology: Topology,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Train a network on the golden model: what the machine would learn, without simulating it.

    The golden model is equal to the hardware in every bit of every weight. (The number of
    processing elements is the order of additions, and so matters to the last bit.)

    Ctrl-C saves the weights, and --resume goes on from there.
    """
    with Reporter(quiet=as_json) as reporter:
        design = _machine(reporter, topology, chosen).design
        task = _task(design, asked)
        _check_output(output)
        found = training.train(design, task, reporter)
    file = _save(design, task, found, output)
    parts = tables.training(task, found)
    if file:
        parts.append(f"Weights: {file}")
    _show(as_json, results.trained(design, task, found, file), parts)
    _end_if_interrupted(task, found, file)


@app.command()
@_for_a_machine
@_for_training
def simulate(
    chosen: dict[str, Any],
    asked: dict[str, Any],
    topology: Topology,
    output: Output = None,
    waves: Annotated[
        Path | None,
        typer.Option(
            metavar="F",
            help="File for the waves (VCD). For 3-3-3-1 half a megabyte a sample: take few.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train and test on the Verilog in a simulator, and compare with the models.

    Every activation, delta and weight of every sample must be equal to the golden model's in every
    bit, and happen in the clock that the cycle model says. Exit code 1 if anything differs.

    Ctrl-C ends it early, compares what there is and saves the weights; --resume goes on from there.
    """
    with Reporter(quiet=as_json) as reporter:
        schedule = _machine(reporter, topology, chosen)
        design = schedule.design
        task = _task(design, asked)
        _check_output(output)
        _check_output(waves)
        outcome = training.simulate(schedule, task, reporter, waves)
    file = _save(design, task, outcome, output)
    found = results.simulated(design, task, outcome, file, waves)
    _show(as_json, found, tables.simulation(found))
    _fail_unless_exact(found)
    _end_if_interrupted(task, outcome, file)


@boards.command("build")
@_for_a_bitstream
def board_build(
    chosen: dict[str, Any],
    topology: Topology,
    name: Annotated[
        str,
        typer.Option("--board", metavar="|".join(BOARDS), help="The board."),
    ] = "ulx3s-85f",
    clock: Annotated[
        float, typer.Option(parser=_number, metavar="MHZ", help="The machine's clock, MHz.")
    ] = CLOCK_MHZ,
    baud: Annotated[
        int, typer.Option(parser=_whole, metavar="N", help="Bits a second on the serial port.")
    ] = board.BAUD,
    seed: Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="S",
            help="Of the placement: another one may meet a clock that this one misses.",
        ),
    ] = 1,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for the bitstream, with its JSON; netlists and logs go below it.",
        ),
    ] = Path("build"),
    as_json: Json = False,
) -> None:
    """Make a bitstream of a machine with its link and its SDRAM, for a board.

    Synthesis, placement and routing take minutes for small machines and more than an hour for one
    that fills the board. No bitstream is written of a machine that misses its clock.
    """
    check_seed(seed)
    check_board(name)
    layers = parse_topology(topology)
    check_folder(output)
    with Reporter(quiet=as_json, lines=True) as reporter:
        with reporter.working("making the schedule"):
            more = _parameters(chosen)
            if chosen["pes"] is None:
                schedule = bitstream.make_largest(layers, name, **more)
            else:
                schedule = bitstream.make(layers, chosen["pes"], **more)
        found = bitstream.build(schedule, name, clock, baud, seed, output, reporter)
    _show(as_json, found, tables.bitstream(found))


@boards.command("train")
@_for_a_board
@_for_training
def board_train(
    chosen: dict[str, Any],
    asked: dict[str, Any],
    topology: Topology,
    port: Annotated[
        str,
        typer.Option(
            metavar="sim|DEV",
            help="Serial port of the board, such as /dev/ttyUSB0; sim simulates the machine with "
            "its link and its SDRAM, packet for packet.",
            show_default=False,
        ),
    ],
    baud: Annotated[
        int, typer.Option(parser=_whole, metavar="N", help="Bits a second on the serial port.")
    ] = board.BAUD,
    records: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Samples to store in the machine's SDRAM, which are trained on again and again; "
            "all by default.",
            show_default=False,
        ),
    ] = None,
    shuffle_seed: Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="S",
            help="Of the order of the stored samples, another one in each epoch; 0 for the order "
            "in which they are stored.",
        ),
    ] = 0,
    output: Output = None,
    as_json: Json = False,
) -> None:
    """Train and test on a machine at the other end of a serial port, and read its weights back.

    The samples are written to the machine's SDRAM, from which it takes them while it trains. The
    options must be those that the machine was made with. Exit code 1 if its weights are not
    those of the golden model, bit for bit.
    """
    with Reporter(quiet=as_json) as reporter:
        schedule = _schedule(reporter, topology, chosen)
        design = schedule.design
        task = _task(design, asked)
        _check_output(output)
        epochs = Epochs(records, shuffle_seed)
        outcome = board.train(schedule, task, epochs, port, baud, reporter)
    file = _save(design, task, outcome, output)
    found = results.on_board(design, task, outcome, port, file)
    _show(as_json, found, tables.on_board(found))
    if not outcome.exact:
        sys.stdout.flush()
        typer.echo("gradwire: not exact: weights differ from the golden model's", err=True)
        raise typer.Exit(FAILED)


@app.command("import")
def _import(
    model: Annotated[
        Path,
        typer.Argument(
            metavar="MODEL",
            help="ONNX (.onnx), a state dict of PyTorch (.pt, .pth) or arrays of numpy (.npz).",
            show_default=False,
        ),
    ],
    activation: Activation = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="W.npz",
            help="File for the weights, for --resume; build/MODEL.npz by default.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Make a file of weights of another program's model, and say how training goes on from there.

    docs/models.md says what is read. Whatever a machine cannot do is refused by name, and nothing
    of the model is executed.
    """
    found = models.read(model, activation)
    file = _other_file(model, output, "npz")
    known = {"activation": found.activation} if found.said else {}
    content = saved.beginning(found.weights, {"layers": found.layers} | known)
    write_files(file.parent, {file.name: content})
    told = model_report.imported(found, model, file)
    rows = [*model_report.rows(told), ("weights", file)]
    parts = [tables.facts(f"Model {model}", rows), "To go on:", *told["commands"]]
    _show(as_json, told, parts)


@app.command("export")
def _export(
    weights: Annotated[
        Path,
        typer.Argument(
            metavar="W.npz", help="Weights, as -o has written them.", show_default=False
        ),
    ],
    to: Annotated[
        str,
        typer.Option(
            metavar="|".join(models.FORMATS),
            help="ONNX, a state dict of PyTorch, or plain arrays of numpy.",
            show_default=False,
        ),
    ],
    activation: Activation = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="File to write; build/W.onnx or the like by default.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Write weights for other programs: ONNX, PyTorch, numpy."""
    found = models.read(weights, activation)
    content = models.write(found, to)
    file = _other_file(weights, output, to)
    write_files(file.parent, {file.name: content})
    told = model_report.exported(found, weights, file, to)
    parts = [tables.facts(f"Weights {weights}", [*model_report.rows(told), ("file", file)])]
    if "module" in told:
        parts.append(f"It is for {told['module']}")
    _show(as_json, told, parts)


@app.command()
@_for_a_design
def synth(
    chosen: dict[str, Any],
    topology: Annotated[
        str | None,
        typer.Argument(
            metavar="TOPOLOGY",
            help="Layer sizes joined by dashes: inputs, hidden layers, outputs; such as 3-3-3-1.",
            show_default=False,
        ),
    ] = None,
    component: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(COMPONENTS),
            help="Instead of a machine, one arithmetic component alone.",
            show_default=False,
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(help=f"FPGA: {', '.join(TARGETS)}; standard cells: {cells.TARGET}."),
    ] = main_job.TARGET,
    stages: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Pipeline stages of the component; what is best for the target by default.",
            show_default=False,
        ),
    ] = None,
    dsps: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="4|2|1",
            help="Multiplier blocks of a multiplier: 4 by default, the rest in LUTs.",
            show_default=False,
        ),
    ] = None,
    liberty: Annotated[
        Path | None,
        typer.Option(
            metavar="F",
            help="Liberty file of the standard cells; $GRADWIRE_LIBERTY by default.",
            show_default=False,
        ),
    ] = None,
    energy: Annotated[
        str | None,
        typer.Option(
            metavar="red|digits|idx:FOLDER",
            help="Of a machine in standard cells: simulate the netlist as it trains on this data, "
            "and measure its energy.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(parser=_whole, metavar="S", help="Of the placement.")] = SEED,
    seeds: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Placements, as many at a time as there are processors: the median one counts. 1 "
            "of a machine, 3 of a component by default.",
            show_default=False,
        ),
    ] = None,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="6|7|8",
            help="Speed grade of an ECP5; 6, the slowest, by default.",
            show_default=False,
        ),
    ] = None,
    frequency: Annotated[
        str | None,
        typer.Option(
            metavar="MHZ[,MHZ...]",
            help="Clock frequencies that placements aim at, each with all seeds. 100 of a machine, "
            "150 of a component by default.",
            show_default=False,
        ),
    ] = None,
    time_limit: TimeLimit = TIME_LIMIT / 60,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Folder for netlists and logs; build/NAME-TARGET by default.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Synthesize a machine: its clock frequency and its area.

    For an FPGA, placed and routed, or in 45 nm standard cells, before layout. Or one arithmetic
    component, alone between registers. Placements that are finished are kept: asked for again, they
    are there at once.
    """
    check_seed(seed)
    aims = (100.0 if component is None else 150.0,)
    asked = Placing(
        seed=seed,
        seeds=(1 if component is None else 3) if seeds is None else seeds,
        speed=speed,
        frequencies_mhz=aims if frequency is None else parse_frequencies(frequency),
        time_limit=60 * time_limit,
    )
    if component is None:
        if topology is None:
            raise InputError("synth needs a topology, such as 3-3-3-1, or --component")
        for option, value in (("stages", stages), ("dsps", dsps)):
            if value is not None:
                raise InputError(f"--{option} is for --component")
        if target == cells.TARGET:
            liberty = find_library(liberty)
        else:
            check_speed(target, speed)
            for option, value in (("liberty", liberty), ("energy", energy)):
                if value is not None:
                    raise InputError(f"--{option} is for --target {cells.TARGET}, not {target}")
    else:
        _check_component_alone(topology, chosen)
        if energy is not None:
            raise InputError("--component takes no --energy: that is a machine's")
    with Reporter(quiet=as_json) as reporter:
        if component is None:
            in_cells = target == cells.TARGET
            frequencies = NANGATE45_FREQUENCIES if in_cells else FREQUENCIES
            schedule = _schedule(reporter, topology, chosen, frequencies)
            work = output or Path("build") / f"{schedule.design.name}-{target}"
            check_folder(work)
            if in_cells:
                found = cells.synthesize(
                    schedule, work, reporter, liberty, energy, asked.time_limit
                )
                parts = cells.table(found)
            else:
                found = machine.synthesize(schedule, target, asked, work, reporter)
                parts = tables.synthesis(found)
        else:
            part = Component(
                name=component,
                subnormals=chosen["subnormals"],
                stages=best_stages(component, target) if stages is None else stages,
                dsps=4 if dsps is None else dsps,
            )
            work = output or Path("build") / f"{part.top}-{target}"
            check_folder(work)
            found = alone.synthesize(part, target, work, reporter, library=liberty, asked=asked)
            parts = alone.table(found)
    _show(as_json, found, parts)


def _check_component_alone(topology: str | None, chosen: dict[str, Any]) -> None:
    if topology is not None:
        raise InputError(f"--component takes no topology: {topology!r}")
    for name, value in chosen.items():
        if name != "subnormals" and value != _DESIGN_DEFAULTS[name]:
            raise InputError(
                f"--component takes no --{name.replace('_', '-')}: that is a machine's"
            )


@app.command()
@_for_a_design
def report(
    chosen: dict[str, Any],
    topology: Topology,
    target: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            help=f"Also synthesize for it: {', '.join(REPORT_TARGETS)}. FPGAs are placed and "
            "routed. May be given more than once.",
            show_default=False,
        ),
    ] = None,
    liberty: Annotated[
        Path | None,
        typer.Option(
            metavar="F",
            help="Liberty file of the standard cells; $GRADWIRE_LIBERTY by default.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(parser=_whole, metavar="S", help="Of the placement.")] = SEED,
    data: Annotated[
        str | None,
        typer.Option(
            metavar="red|digits|idx:FOLDER",
            help="Data set to train on, with the golden model, for the curve of accuracy; red by "
            "default for networks that it fits.",
            show_default=False,
        ),
    ] = None,
    train: Annotated[
        int | None,
        typer.Option(
            parser=_whole, metavar="N", help=f"Samples to train on; {SAMPLES} by default."
        ),
    ] = None,
    tdp: Annotated[
        float | None,
        typer.Option(
            parser=_number,
            metavar="W",
            help="Thermal design power of this machine's processor: for the energy of software, "
            "where the kernel counts none.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="FILE.html", help="The page; its data go beside it, as JSON."
        ),
    ] = Path("report.html"),
    as_json: Json = False,
) -> None:
    """Write a page about a machine: what it is and costs, beside the paper and other software.

    The page needs nothing but itself. What takes long is there if it is asked for: place and route
    by --target, a curve of accuracy by --data. A tool that fails costs its section: exit code 1.
    """
    check_seed(seed)
    targets = tuple(dict.fromkeys(target or ()))
    library = report_command.check(targets, liberty, tdp, output)
    in_cells = cells.TARGET in targets
    with Reporter(quiet=as_json) as reporter:
        frequencies = NANGATE45_FREQUENCIES if in_cells else FREQUENCIES
        schedule = _schedule(reporter, topology, chosen, frequencies)
        if in_cells:
            # Not every command of the page would choose these.
            for name in ("multiplier_stages", "adder_stages"):
                chosen[name] = getattr(schedule.design, name)
        found = report_command.make(
            schedule,
            output,
            reporter,
            options=design_options(chosen, _DESIGN_DEFAULTS),
            targets=targets,
            seed=seed,
            task=report_command.plan(schedule.design, data, train),
            liberty=library,
            tdp=tdp,
        )
    _show(as_json, json.loads(found.to_json()), report_command.table(found, output))


@app.command()
def compare(
    before: Annotated[
        Path, typer.Argument(metavar="A.json", help="A report's data.", show_default=False)
    ],
    after: Annotated[Path, typer.Argument(metavar="B.json", help="Another's.", show_default=False)],
    as_json: Json = False,
) -> None:
    """Say what changed from one report to another: the design, and every figure."""
    found = comparison.compare(read_report(before), read_report(after))
    _show(as_json, found, comparison.table(found, (before, after)))


@app.command()
@_for_an_exploration
def explore(
    topology: Topology,
    chosen: dict[str, Any],
    target: Annotated[
        str, typer.Option(help=f"FPGA: {', '.join(ecp5.TARGETS)}.")
    ] = main_job.TARGET,
    speed: Annotated[
        str | None,
        typer.Option(
            metavar="6|7|8", help="Its speed grade; 6, the slowest, by default.", show_default=False
        ),
    ] = None,
    goal: Annotated[
        str,
        typer.Option(
            metavar="|".join(exploring.GOALS),
            help="What is wanted: most samples a second, least energy for each, or least area.",
        ),
    ] = exploring.GOALS[0],
    at_least: Annotated[
        float,
        typer.Option(
            parser=_number, metavar="N", help="Samples a second that the machine must reach."
        ),
    ] = 0.0,
    confirm: Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Machines of the front to synthesize; the best is always among them.",
        ),
    ] = 6,
    place: Annotated[
        int,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Best machines to place and route too, which can take an hour for each: the clock "
            "frequency is then measured.",
        ),
    ] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(
            parser=_whole,
            metavar="N",
            help="Processes; as many as there are processors by default.",
            show_default=False,
        ),
    ] = None,
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Dask scheduler whose workers do the work instead, such as tcp://host:8786.",
            show_default=False,
        ),
    ] = None,
    time_limit: TimeLimit = TIME_LIMIT / 60,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="F.svg",
            help="File for the chart; build/explore-TOPOLOGY-TARGET.svg by default.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Find the best machine for a network on an FPGA.

    Chooses the number of processing elements, their stages, the mapping and the memories. Models
    sort out what cannot be best, and synthesis confirms what is. All results are kept: killed half
    way, or asked something similar, it goes on from there.
    """
    pes = chosen.pop("pes")
    asked = exploring.Asked(
        layers=parse_topology(topology),
        target=target,
        speed=speed,
        goal=goal,
        at_least=at_least,
        pes=None if pes is None else exploring.parse_pes(pes),
        fixed=_fixed(chosen),
    )
    chart = output or Path("build") / f"explore-{topology}-{target}.svg"
    _check_output(chart)
    with Reporter(quiet=as_json) as reporter:
        found = exploring.explore(
            asked,
            chart=chart,
            reporter=reporter,
            confirm=confirm,
            place=place,
            jobs=jobs,
            cluster=cluster,
            time_limit=60 * time_limit,
        )
    _show(
        as_json,
        exploring.told.to_json(found, asked) | {"chart": str(chart)},
        exploring.told.parts(found, asked, [chart]),
    )


def _fixed(chosen: dict[str, Any]) -> dict[str, Any]:
    """Parameters of Design that are not left to an exploration."""
    return {name: value for name, value in _parameters(chosen).items() if value is not None}


@app.command()
def demo(
    samples: Samples = SAMPLES,
    tests: Tests = TESTS,
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="DIR", help="Folder to write to.")
    ] = Path("build/demo"),
    as_json: Json = False,
) -> None:
    """Show everything at once on the network 3-3-3-1, which learns whether a pixel is red.

    Generates the Verilog, trains the golden model, simulates the whole training run and the tests
    at RTL, compares all of it, and synthesizes the machine for a Lattice ECP5. Exit code 1 if
    anything differs.
    """
    task = Task(samples=samples, tests=tests)
    check_folder(output)
    with Reporter(quiet=as_json, lines=True) as reporter:
        found = main_job.demo(output, task, reporter)
    _show(as_json, found, tables.demo(found, output))
    _fail_unless_exact(found["simulate"])


def _schedule(
    reporter: Reporter,
    topology: str,
    chosen: dict[str, Any],
    frequencies: Mapping[tuple[int, int], float] = FREQUENCIES,
) -> Schedule:
    layers = parse_topology(topology)
    more = _parameters(chosen)
    pes = chosen["pes"]
    with reporter.working("making the schedule"):
        return make_schedule(design_for(layers, pes, frequencies=frequencies, **more))


def _refuse(option: str, value: object, why: str) -> None:
    if value is not None:
        raise InputError(f"{option} is {why}")


def _machine(reporter: Reporter, topology: str, chosen: dict[str, Any]) -> AnySchedule:
    """Of one array, or of groups where they are asked for."""
    own = dict(chosen)
    groups, schedule = own.pop("groups"), own.pop("schedule")
    if groups is None and schedule == "sequential":
        return _schedule(reporter, topology, own)
    layers = parse_topology(topology)
    with reporter.working("making the schedule"):
        design = grouped_design_for(
            layers, groups or "auto", schedule, own["pes"], **_parameters(own)
        )
        return make_grouped_schedule(design)


def _parameters(chosen: dict[str, Any]) -> dict[str, Any]:
    """Parameters of Design but for the number of processing elements."""
    more = {name: value for name, value in chosen.items() if name not in ("pes", "mapping")}
    if chosen["mapping"] != "auto":
        more["mapping"] = tuple(chosen["mapping"].split(","))
    return more


def _task(design: AnyDesign, asked: dict[str, Any]) -> Task:
    given = dict(asked)
    file = given.pop("resume")
    return training.plan(design, given, saved.load(file, design) if file else None)


def _save(
    design: AnyDesign, task: Task, found: Trained | Simulated | Outcome, file: Path | None
) -> Path | None:
    """Save the weights if there is a file for them, or if they would be lost; returns the file."""
    trained = task.before + found.samples
    if found.interrupted and found.samples:
        file = file or Path("build") / f"{design.name}-interrupted.npz"
    elif found.interrupted:
        return None
    if file:
        content = saved.archive(found.weights, design, task.kept(), trained)
        write_files(file.parent, {file.name: content})
    return file


def _end_if_interrupted(task: Task, found: Trained | Simulated, file: Path | None) -> None:
    if not found.interrupted:
        return
    text = f"interrupted after {task.before + found.samples:,} of {task.total:,} samples"
    if file:
        text += f"; the weights are in {file}: the same command with --resume {file} goes on"
    sys.stdout.flush()
    raise Interrupted(text)


def _check_output(file: Path | None) -> None:
    if file is None:
        return
    if file.is_dir():
        raise InputError(f"output file {file} cannot be written: it is a folder")
    check_folder(file.parent)


def _other_file(model: Path, output: Path | None, suffix: str) -> Path:
    """The file to write what is in `model` to, which must be another one."""
    file = output or Path("build") / f"{model.stem}.{suffix}"
    if file.exists() and file.samefile(model):
        raise InputError(f"output file {file} must be another one than the model: -o names it")
    _check_output(file)
    return file


def _show(as_json: bool, found: dict[str, Any], parts: list[object]) -> None:
    if as_json:
        typer.echo(json.dumps(found, indent=2, allow_nan=False))
    else:
        tables.show(*parts)


def _fail_unless_exact(found: dict[str, Any]) -> None:
    if not found["bit_exact"]:
        sys.stdout.flush()
        typer.echo(f"gradwire: not exact: {found['first_mismatch']}", err=True)
        raise typer.Exit(FAILED)


def main() -> None:
    """Run the command line; ends with SystemExit."""
    end_on_signals()
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 (open to the end)
        # A terminal that knows no bars shall show question marks, not a failure.
        getattr(sys, name).reconfigure(errors="replace")
    try:
        app(prog_name="gradwire")
    finally:
        tool.stop()
