"""What a report says: the JSON file beside the page.

Everything on the page is in here, and nothing in here is formatted. Where a figure is not there,
`missing` says what it would take.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from hw.errors import InputError

#: What stands in the file for this format; a file of another version is refused.
FORMAT: dict[str, Any] = {"kind": "gradwire report", "version": 1}

#: What the memories that are SRAM are within, among the parts of a cost.
SRAM = "SRAM"

_MOST_BYTES = 64 << 20

Count = Annotated[int, Field(ge=0)]
Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class _Entry(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, ser_json_inf_nan="null"
    )


class Made(_Entry):
    """How the report came about.

    Members
    -------
    command : that made it.
    date : UTC, such as 2026-01-31 12:00.
    gradwire, python : their versions.
    processor : of the machine that ran it, and how many cores.
    """

    command: str
    date: str
    gradwire: str
    python: str
    processor: str
    cores: Count


class BuiltLayer(_Entry):
    """One layer of weights: how many, and how they are spread over the PEs."""

    number: Count
    inputs: Count
    outputs: Count
    activation: str
    mapping: str
    folds: Count


class Built(_Entry):
    """What was built.

    Members
    -------
    name : of the Verilog module.
    topology, pes : layer sizes joined by dashes, processing elements.
    design : every parameter of the Design.
    layers : the layers of weights.
    options : of the command line that make this design, without the topology.
    """

    name: str
    topology: str
    pes: Count
    design: dict[str, Any]
    layers: tuple[BuiltLayer, ...]
    options: str


class Bar(_Entry):
    """An operation in the schedule of an iteration; clocks count from its start.

    Members
    -------
    unit, layer, operation, mapping : which.
    start, issued, end : the clock of the first issue, the clock after the last one, and the clock
        after the last result or write.
    multiply_adds : useful ones.
    """

    unit: str
    layer: Count
    operation: str
    mapping: str
    start: int
    issued: int
    end: int
    multiply_adds: Count


class Clocks(_Entry):
    """Clocks of an iteration, by the cycle model.

    Members
    -------
    busy : useful multiply-adds for every PE and clock.
    bars : the schedule.
    shares : share of the PEs that begin a useful multiply-add, 0 to 1, in successive stretches of
        the iteration that are as long as each other.
    paper : the published machine's clocks for this network, where it has any.
    """

    per_iteration: Count
    per_sample: Positive
    inference: Count
    limit: Count
    multiply_adds: Count
    busy: Amount
    bars: tuple[Bar, ...]
    shares: tuple[Amount, ...]
    paper: Count | None
    command: str


class Part(_Entry):
    """A component: `amount` is that of all its instances without the parts below them."""

    name: str
    within: str
    instances: Count
    amount: Amount


class Resource(_Entry):
    """Resources of a kind that a device has, such as LUTs."""

    name: str
    used: Count
    available: Count | None


class Cost(_Entry):
    """Area and timing on a target.

    Members
    -------
    target : such as ecp5-85k.
    how : what was done, such as "synthesized, neither placed nor routed".
    unit : of the amounts, "LUT4" or "um2".
    total : amount of the whole machine.
    parts : what it is made of; their amounts add up to the total.
    resources : all kinds, for FPGAs.
    fits : whether they suffice; None where nothing limits them.
    pe_um2 : area of a processing element in standard cells, its SRAM apart.
    fmax_mhz : highest clock frequency; None if it was not measured.
    timing_by : by which tool, and what it leaves out.
    critical_path : in the design's terms, from and to.
    """

    target: str
    how: str
    unit: str
    total: Amount
    parts: tuple[Part, ...]
    resources: tuple[Resource, ...] = ()
    fits: bool | None = None
    pe_um2: Amount | None = None
    fmax_mhz: Positive | None = None
    timing_by: str = ""
    critical_path: tuple[str, ...] = ()
    command: str


class Share(_Entry):
    """Part of a power or an energy: of a phase and a layer, of the memories, of leakage."""

    name: str
    kind: str
    energy_nj: Amount


class Power(_Entry):
    """Power and energy on a target.

    Members
    -------
    target : as in Cost.
    how : where the activity is from, and what is left out.
    frequency_mhz : at which.
    power_mw : average while training.
    energy_nj : of a sample.
    shares : of that energy, by phase.
    guess_mw : power with one activity for all nets, for comparison.
    """

    target: str
    how: str
    frequency_mhz: Positive
    power_mw: Amount
    energy_nj: Amount
    shares: tuple[Share, ...] = ()
    guess_mw: Amount | None = None
    command: str


class Point(_Entry):
    """Where a training stands after so many samples; accuracies 0 to 1."""

    samples: Count
    accuracy: Amount
    loss: Amount | None


class Learning(_Entry):
    """Accuracy over samples, by the golden model, to which the hardware is equal in every bit.

    Members
    -------
    data : name of the data set.
    points : accuracy on the test samples, and mean cross-entropy since the point before.
    tests : number of test samples.
    paper : samples and test accuracy of the paper's software, where it trained this network.
    """

    data: str
    rate: Amount
    seed: Count
    points: tuple[Point, ...]
    tests: Count
    paper: tuple[Point, ...] = ()
    command: str


class Bank(_Entry):
    """Memories of one kind; area and energy are of all of them and of an access, at 45 nm."""

    name: str
    instances: Count
    words: Count
    bits: Count
    fixed: bool
    area_um2: Amount | None = None
    access_ns: Amount | None = None
    access_energy_pj: Amount | None = None


class Organisation(_Entry):
    """One memory organisation; what needs prices is None without them."""

    name: str
    clocks_per_iteration: Count
    reads_in_turn: Count
    access_time_ns: Amount | None = None
    read_power_mw: Amount | None = None
    weights_area_um2: Amount | None = None
    paper_access_time_ns: Amount | None = None
    paper_read_power_mw: Amount | None = None


class Stream(_Entry):
    """How training vectors come from SDRAM.

    Members
    -------
    sample_format : "fp32" or "bytes".
    chip, frequency_mhz : the SDRAM, and the clock of both.
    bytes : of a sample.
    clocks : in which one comes.
    vectors, parts : of the buffer.
    waits : whether the array waits for them.
    """

    sample_format: str
    chip: str
    frequency_mhz: Positive
    bytes: Count
    clocks: Positive
    vectors: Count
    parts: Count
    waits: bool


class Memories(_Entry):
    """The memories of the machine, distributed and unified, and the buffer of training vectors."""

    organisation: str
    banks: tuple[Bank, ...]
    organisations: tuple[Organisation, ...]
    streams: tuple[Stream, ...]
    priced_by: str
    command: str
    stream_command: str


class Neuron(_Entry):
    """Clocks of one neuron with so many inputs, ours and the paper's."""

    inputs: Count
    clocks: Count
    paper: Count


class Row(_Entry):
    """A figure beside the paper's.

    Members
    -------
    network : of both.
    what, unit : which figure.
    ours, paper : the figures.
    ratio : by how much ours is better; above 1 is better.
    how : what ours stands on.
    command : that reproduces ours.
    """

    network: str
    what: str
    unit: str
    ours: Amount | None
    paper: Amount
    ratio: Amount | None
    how: str
    command: str


class Paper(_Entry):
    """Our figures beside the paper's: its Table I, its small network, its MNIST network."""

    neurons: tuple[Neuron, ...]
    neuron_command: str
    rows: tuple[Row, ...]


class Software(_Entry):
    """Training of the same network by other software, on the machine that made the report.

    Members
    -------
    name : and version.
    samples_per_second : batch 1, one thread, the best of several rounds.
    energy_uj : of a sample; None if it could not be measured.
    energy_by : how it was.
    """

    name: str
    samples_per_second: Positive
    energy_uj: Amount | None
    energy_by: str
    command: str


class Missing(_Entry):
    """What was not measured, and what it would need."""

    section: str
    what: str
    needs: str


class Report(_Entry):
    """All of it; see the classes of the members."""

    kind: Literal["gradwire report"]
    version: Literal[1]
    made: Made
    built: Built
    clocks: Clocks
    costs: tuple[Cost, ...]
    power: tuple[Power, ...]
    learning: Learning | None
    memories: Memories
    paper: Paper
    software: tuple[Software, ...]
    missing: tuple[Missing, ...]

    def to_json(self) -> str:
        """The file's text."""
        return self.model_dump_json(indent=2) + "\n"


def read(file: Path) -> Report:
    """The report in a JSON file.

    Raises InputError if it cannot be read, is no report, or one of another version.
    """
    try:
        if file.stat().st_size > _MOST_BYTES:
            raise InputError(f"{file} is no report of gradwire: it is of more than 64 MB")
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise InputError(f"{file} is no report of gradwire: it is no text") from None
    except OSError as error:
        raise InputError(f"report {file} cannot be read: {error.strerror}") from None
    try:
        return Report.model_validate_json(text, strict=True)
    except pydantic.ValidationError as error:
        raise InputError(f"{file} is no report of gradwire: {_first(error)}") from None


def _first(error: pydantic.ValidationError) -> str:
    """The first of what is wrong."""
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))
    return f"{where}: {found['msg']}" if where else found["msg"]
