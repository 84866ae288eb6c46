"""Figures and tables of the docs, from the code: python -m docs.figures [--check] [--measured].

Writes the drawn figures beside this file, and into each page the tables between the lines
`<!-- begin NAME -->` and `<!-- end -->`. With --measured also those that take minutes: training
runs, and the schedules of ten shapes. With --check it writes nothing and fails, naming what is out
of date.
"""

import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from docs import learning, sdram
from docs.operations import operations
from docs.shapes import chart
from docs.shapes import rows as shape_rows
from gradwire import grouped
from gradwire.gantt import draw
from gradwire.training import Task, train
from hw.activation import DERIVATIVES, EXACT_ENTRIES, interpolation, make_function, table
from hw.axi.registers import ACCESS, AddressMap
from hw.design import ACTIVATIONS, reduction_blocks
from hw.fp.adder import Adder
from hw.fp.format import BFLOAT16, BINARY16, BINARY32, E4M3, E5M2
from hw.fp.multiplier import Multiplier
from hw.grouping import grouped_design_for
from hw.pipeline import GroupedSchedule, make_grouped_schedule
from hw.pipelining import KINDS
from hw.program import LOAD_LATENCY
from hw.schedule import Schedule, design_for, make_schedule
from sim.activations import interpolate, look_up

HERE = Path(__file__).parent
BIG = (784, 100, 100, 10)
GROUPS = "48-32/32-32/32-10:16,16,5"
SIGMOIDS = {
    "`sigmoid`, 2,048 entries": {},
    "`sigmoid`, degree 1, 2,048 entries": {"table_degree": 1},
    "`sigmoid-exact`": {"activation": "sigmoid-exact"},
}


def schedule(layers: tuple[int, ...] = (3, 3, 3, 1), pes: int | None = None, **more) -> Schedule:
    """Of the fastest mapping."""
    return make_schedule(design_for(layers, pes, **more))


def groups(kind: str) -> GroupedSchedule:
    """A machine of three groups that take about as long, by each schedule of groups."""
    batch = 4 if kind == "fill-drain" else None
    return make_grouped_schedule(grouped_design_for(None, GROUPS, kind, batch=batch))


def rows(head: str, lines: Iterable[Iterable[object]]) -> str:
    """A table in Markdown; the columns of `head` are separated by bars."""
    columns = head.split("|")
    found = [columns, ["---"] * len(columns), *lines]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in found)


# Figures.


def tree(leaves: int) -> str:
    """SVG of the adder tree that REDUCE makes of `leaves` PEs."""
    wide, high, left, top = 96, 34, 130, 40
    levels = len(bin(leaves)) - 2
    parts, adders = [], 0

    def place(level: int, y: float, label: str, colour: str) -> tuple[int, float]:
        x = left + level * wide
        parts.append(f'<circle cx="{x}" cy="{y:.1f}" r="11" fill="white" stroke="{colour}"/>')
        parts.append(
            f'<text x="{x}" y="{y + 4:.1f}" text-anchor="middle" fill="{colour}">{label}</text>'
        )
        return level, y

    def add(a: tuple[int, float], b: tuple[int, float]) -> tuple[int, float]:
        nonlocal adders
        level, y = max(a[0], b[0]) + 1, (a[1] + b[1]) / 2
        for from_level, from_y in (a, b):
            parts.insert(
                0,
                f'<path d="M{left + from_level * wide + 11} {from_y:.1f}'
                f'L{left + level * wide - 11} {y:.1f}" stroke="#9ca3af"/>',
            )
        adders += 1
        return place(level, y, f"+{adders - 1}", "#2563eb")

    def name(y: float, text: str) -> None:
        parts.append(f'<text x="{left - 18}" y="{y + 4:.1f}" text-anchor="end">{text}</text>')

    first, sums = 0, []
    for size in reduction_blocks(leaves):
        block = []
        for pe in range(first, first + size):
            y = top + pe * high
            name(y, f"product of PE {pe}")
            block.append(place(0, y, "&#215;", "#111827"))
        while len(block) > 1:
            odd = block[len(block) & ~1 :]
            block = [add(a, b) for a, b in zip(block[::2], block[1::2], strict=False)] + odd
        sums += block
        first += size
    y = top + leaves * high
    root = place(levels - len(sums), y, "c", "#dc2626")
    name(y, "carried value")
    for block in reversed(sums):
        root = add(block, root)
    width, height = max(460, left + levels * wide + 40), y + 34
    blocks = " + ".join(map(str, reduction_blocks(leaves)))
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            'font-family="sans-serif" font-size="11">',
            f'<rect width="{width}" height="{height}" fill="white"/>',
            f'<text x="20" y="18" font-size="14">{leaves} products in blocks of {blocks}; '
            f"+n is the adder of PE n</text>",
            *parts,
            "</svg>",
            "",
        ]
    )


def figures(*, measured: bool) -> dict[str, str]:
    """Drawn figures by file name."""
    found = {
        "iteration-784-100-100-10.svg": draw(schedule(BIG, 100)),
        "operations.svg": operations(schedule()),
        "learning.svg": learning.chart(),
        "tree-3.svg": tree(3),
        "tree-12.svg": tree(12),
        **{f"schedule-{kind}.svg": draw(groups(kind)) for kind in KINDS},
    }
    return found | ({"shapes.svg": chart()} if measured else {})


# Tables.


def components() -> str:
    """Latencies and contents of the components of the default 3-3-3-1."""
    made = schedule()
    lat, design = made.latencies, made.design
    sums = {op.sums.length: op.sums.ready for op in made.operations if op.sums}
    accumulate = ", ".join(
        f"{lat.product + ready} after the last of {length}" for length, ready in sums.items()
    )
    return rows(
        "component|file|latency, clocks|throughput|made of",
        [
            ("multiplier", "`hw/fp/multiplier.py`", lat.multiplier, "1 a clock",
             "four partial products of at most 18 by 18 bits, rounding"),
            ("adder", "`hw/fp/adder.py`", lat.adder, "1 a clock",
             "alignment, addition, normalisation, rounding"),
            ("processing element", "`hw/pe.py`", "", "1 multiply-add a clock",
             "multiplier, adder, weight bank, register files, a word of the drain chain"),
            ("array, ACCUMULATE", "`hw/array.py`", accumulate, "P multiply-adds a clock",
             "P processing elements"),
            ("array, REDUCE", "`hw/array.py`", lat.root, "P multiply-adds, 1 sum a clock",
             "the same, their adders as a tree"),
            ("array, UPDATE", "`hw/array.py`", f"{lat.sum} until written",
             "P weights a clock", "the same"),
            ("forward unit", "`hw/forward.py`", lat.activations[0], "1 activation a clock",
             "one unit for each activation function in use"),
            ("backpropagation unit", "`hw/backpropagation.py`",
             f"{lat.adder} for a delta of the outputs, {lat.multiplier} for others, "
             f"{lat.derivatives[0]} for a derivative", "1 a clock",
             "adder, multiplier, memory of derivatives"),
            ("gradient-descent unit", "`hw/gradient_descent.py`", lat.multiplier, "1 a clock",
             "multiplier"),
            ("bias bank", "`hw/bias.py`", f"1 to read, {1 + lat.adder} to update", "1 bias a clock",
             "memory, adder"),
            ("vector store", "`hw/vectors.py`", 1, "1 in, 1 out a clock", "memory"),
            ("training-vector buffer", "`hw/buffer.py`",
             f"{made.load_clocks} to load a sample ({LOAD_LATENCY} and 1 a word)", "1 word a clock",
             f"memory of {design.buffer_vectors} vectors, loader"),
            ("sequencer", "`hw/sequencer.py`", "0: addresses are preloaded", "1 slot a clock",
             f"ROM of {len(made.operations + made.inference.operations)} instructions, counters"),
        ],
    )  # fmt: skip


def clocks() -> str:
    """Clocks per iteration of some machines."""
    made = [schedule(), *(schedule(BIG, pes) for pes in (32, 100, 210))]
    return rows(
        "network|PEs|mapping|clocks per iteration|limit|multiply-adds retire in",
        [
            (
                s.design.topology,
                s.design.processing_elements,
                ", ".join(s.design.mapping),
                f"{s.clocks_per_iteration:,}",
                f"{s.design.limit_clocks:,}",
                f"{s.multiply_add_busy:.0%}",
            )
            for s in made
        ],
    )


def group_clocks() -> str:
    """A machine of groups by each schedule, in slots and in clocks."""
    lines = []
    for kind in KINDS:
        found = grouped.clocks(groups(kind))
        run, each = found["run"], f"{found['clocks_per_sample']:,.1f}".removesuffix(".0")
        formula = "" if run["dapp_slots"] is None else f"{run['dapp_slots']:,.0f}"
        said = f"`{kind}`" + (", batch 4" if kind == "fill-drain" else "")
        busy = f"{found['multiply_add_busy']:.0%}"
        lines.append((said, f"{run['slots']:,}", formula, f"{run['clocks']:,}", each, busy))
    head = "schedule|slots|DAPP's formula|clocks|clocks per sample|multiply-adds retire in"
    return rows(head, lines)


def batches() -> str:
    """Clocks per sample with and without batches, and of forward passes alone."""
    lines = []
    for layers, pes in (((3, 3, 3, 1), 3), ((4, 8, 3), 8), ((16, 64, 64, 4), 64), (BIG, 210)):
        made = [schedule(layers, pes, batch=batch) for batch in (1, 8, 64)]
        clocks = [f"{s.clocks_per_sample:,.1f}".removesuffix(".0") for s in made]
        name = made[0].design.topology
        lines.append((name, pes, *clocks, f"{made[0].inference_clocks:,}"))
    return rows("network|PEs|batch 1|batch 8|batch 64|inference", lines)


def formats() -> str:
    """Named formats."""
    names = {
        "binary32": BINARY32, "binary16": BINARY16, "bfloat16": BFLOAT16, "e5m2": E5M2,
        "e4m3": E4M3,
    }  # fmt: skip
    return rows(
        "format|bits|exponent|fraction|bias|least normal|largest finite|NaN",
        [
            (
                name,
                f.width,
                f.exponent_bits,
                f.fraction_bits,
                f.bias,
                f"2^{1 - f.bias}",
                f"(2 - 2^-{f.fraction_bits}) 2^{f.bias}",
                f"`0x{f.nan:0{-(-f.width // 4)}x}`",
            )
            for name, f in names.items()
        ],
    )


def stages() -> str:
    """Steps that end in registers, by component and number of stages."""
    lines = []
    for kind in (Multiplier, Adder):
        modes = kind.REGISTERED
        for count in modes["flush"]:
            for mode in modes:
                if mode == "flush" or modes["flush"][count] != modes["ieee"][count]:
                    same = modes["flush"][count] == modes["ieee"][count]
                    default = kind().stages == count
                    lines.append(
                        (
                            kind.__name__.lower(),
                            f"{count} (default)" if default else count,
                            "both" if same else mode,
                            ", ".join(modes[mode][count]),
                        )
                    )
    return rows("component|stages|subnormals|registers after", lines)


def activations() -> str:
    """Latency and derivative of each activation function."""
    lines = []
    for name in ACTIVATIONS:
        units = [make_function(name, schedule(table_degree=d).design) for d in (0, 1)]
        latency = " or ".join(map(str, dict.fromkeys(unit.latency for unit in units)))
        lat = schedule(activation=name).latencies
        lines.append((f"`{name}`", latency, f"`{DERIVATIVES[name]}`", lat.derivatives[0]))
    return rows("function|latency, clocks|derivative from a|latency of the derivative", lines)


def errors() -> str:
    """Bound and worst error of tables and interpolations."""
    rng = np.random.default_rng(1)
    x = np.linspace(-20, 20, 1 << 20).astype(np.float32)
    x += rng.random(len(x), np.float32) * np.float32(2**-15)
    wide = x.astype(np.float64)
    exact = {"sigmoid": 1 / (1 + np.exp(-wide)), "tanh": np.tanh(wide)}
    cases = [(name, entries, 0) for name in exact for entries in (256, 1024, 2048, 4096, 65536)]
    cases += [(name, entries, 1) for name in exact for entries in (64, 256, 2048)]
    cases += [(name, entries, 2) for name in exact for entries in (64, 256, EXACT_ENTRIES)]
    lines = []
    for name, entries, degree in cases:
        if degree:
            bound = interpolation.error_bound(entries, degree) * (2 if name == "tanh" else 1)
            found = interpolate(name, x, entries, degree)
        else:
            bound = table.error_bound(name, entries)
            found = look_up(name, x, entries)
        worst = np.abs(found - exact[name]).max()
        lines.append((name, degree or "0 (table)", f"{entries:,}", f"{bound:.2e}", f"{worst:.2e}"))
    return rows("function|degree|entries|bound|worst of 2^20", lines)


def sigmoid_clocks() -> str:
    """Clocks per iteration of 3-3-3-1 by kind of sigmoid."""
    lines = []
    base = schedule().clocks_per_iteration
    for name, more in SIGMOIDS.items():
        made = schedule(**more)
        found = made.clocks_per_iteration
        lines.append((name, made.latencies.activations[0], found, f"{found / base:.2f}"))
    return rows("sigmoid|latency|clocks per iteration|relative", lines)


def estimate() -> str:
    """Latency of 1 / (1 + exp(-x)) on the FP32 units, operation by operation."""
    lat = schedule().latencies
    m, a = lat.multiplier, lat.adder
    steps = [
        ("n = round(x / ln 2)", "1 multiplication, 1 addition", m + a),
        ("r = x - n ln 2, ln 2 in two parts", "2 multiplications, 2 additions", 2 * (m + a)),
        ("polynomial of degree 6 in r", "6 multiplications, 6 additions", 6 * (m + a)),
        ("times 2^n", "addition to the exponent", 1),
        ("1 + e", "1 addition", a),
        ("first guess of 1 / (1 + e)", "table", 1),
        ("two steps of Newton's method", "4 multiplications, 2 additions", 4 * m + 2 * a),
    ]
    total = ("**in all**", "13 multiplications, 12 additions", f"**{sum(s[2] for s in steps)}**")
    return rows("step|operations|clocks", [*steps, total])


def sdram_chips() -> str:
    """The SDRAM chips, as their data sheets have them."""
    return rows(*sdram.chips())


def sdram_clocks() -> str:
    """The same in clocks."""
    return rows(*sdram.clocks())


def late_weights() -> str:
    """Accuracy by schedule of groups, from the runs that docs.learning has made."""
    head = "network|trained by|accuracy by seed, %|mean, %|mean difference to exact|furthest"
    return rows(head, learning.rows())


# Tables that take minutes.


def shapes() -> str:
    """How busy networks of ten shapes keep the multipliers."""
    return rows("network|PEs|clocks per iteration|limit|busy|mapping", shape_rows())


def _accuracies(seeds: range, **more: object) -> list[float]:
    design = schedule(**more).design
    return [train(design, Task(seed=seed)).accuracy for seed in seeds]


def sigmoid_accuracy() -> str:
    """Accuracy of each kind of sigmoid on the red pixels."""
    seeds = range(1, 6)
    lines = []
    for name, more in SIGMOIDS.items():
        found = _accuracies(seeds, **more)
        lines.append((name, *(f"{x:.1%}" for x in found), f"{np.mean(found):.2%}"))
    return rows("sigmoid|" + "|".join(f"seed {s}" for s in seeds) + "|mean", lines)


def accuracy() -> str:
    """Accuracy of the default machine on the red pixels, seed by seed."""
    seeds = range(1, 11)
    found = _accuracies(seeds)
    head = "seed|" + "|".join(map(str, seeds)) + "|mean|least|most"
    ends = (np.mean(found), min(found), max(found))
    return rows(head, [("accuracy", *(f"{x:.1%}" for x in [*found, *ends]))])


def sdram_rates() -> str:
    """Words a clock of each SDRAM chip, from simulation."""
    return rows(*sdram.rates())


def sdram_waits() -> str:
    """From how many processing elements on SDRAM does not keep up with them."""
    return rows(*sdram.waits())


def registers() -> str:
    """The register map of a design that has all registers, constants and fields."""
    layers = (3, 3, 1)
    plain = AddressMap(design_for(layers))
    always = {register.name for register in plain.registers}
    lines: list[tuple[object, ...]] = []
    for register in AddressMap(
        design_for(layers, batch=2, seeded_weights=True, loss=True)
    ).registers:
        name = f"`{register.name}`" + ("" if register.name in always else " *")
        offset, reset = f"`{register.offset:03x}`", register.reset
        if register.access == "constant" and register.name not in ("magic", "version"):
            reset = "the design's"
        if register.name == "layer_0":
            name, offset = "`layer_n`", f"`{register.offset:03x}` + 4 n"
        elif register.name.startswith("layer_"):
            continue
        shown = f"`{reset:08x}`" if isinstance(reset, int) else reset
        lines.append((offset, name, "", ACCESS[register.access], shown, register.meaning))
        for field in register.fields:
            lines.append(("", "", f"{field.bit}: `{field.name}`", "", "", field.meaning))
    return rows("offset|register|bit|access|after reset|what it is", lines)


TABLES: dict[str, Callable[[], str]] = {
    "components": components,
    "clocks": clocks,
    "group clocks": group_clocks,
    "batches": batches,
    "formats": formats,
    "stages": stages,
    "activations": activations,
    "errors": errors,
    "sigmoid clocks": sigmoid_clocks,
    "estimate": estimate,
    "sdram chips": sdram_chips,
    "sdram clocks": sdram_clocks,
    "registers": registers,
    "late weights": late_weights,
}
MEASURED: dict[str, Callable[[], str]] = {
    "shapes": shapes,
    "sigmoid accuracy": sigmoid_accuracy,
    "accuracy": accuracy,
    "sdram rates": sdram_rates,
    "sdram waits": sdram_waits,
}


def filled(page: str, tables: dict[str, Callable[[], str]]) -> str:
    """`page` with those of `tables` written anew that it has a place for."""
    for name, make in tables.items():
        begin = f"<!-- begin {name} -->\n"
        before, found, rest = page.partition(begin)
        if found:
            _, end, after = rest.partition("<!-- end -->")
            page = f"{before}{begin}\n{make()}\n\n{end}{after}"
    return page


def made(*, measured: bool) -> dict[Path, str]:
    """What every generated file and page should contain."""
    found = {HERE / name: text for name, text in figures(measured=measured).items()}
    tables = TABLES | (MEASURED if measured else {})
    for page in sorted(HERE.glob("*.md")):
        found[page] = filled(page.read_text(encoding="utf-8"), tables)
    return found


def main(arguments: list[str]) -> int:
    """Write, or check; the exit code."""
    code = 0
    for path, text in made(measured="--measured" in arguments).items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old == text:
            continue
        if "--check" in arguments:
            print(f"docs/{path.name} is out of date: run python -m docs.figures", file=sys.stderr)
            code = 1
        else:
            path.write_text(text, encoding="utf-8")
            print(f"docs/{path.name}")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
