"""The Verilog of the bench: core_bench.sv, with what looks into each core."""

from pathlib import Path

from hw.schedule import Schedule
from hw.shape import below
from sim.bench.checksum import address_bits

BENCH = Path(__file__).parent


def observed(schedule: Schedule) -> tuple[str, ...]:
    """Signals inside modules that the bench looks at, their ports apart."""
    if not schedule.design.bias_words:
        return ()
    latency = 1 + schedule.latencies.adder
    return f"update_{latency}", f"update_address_{latency}"


def bench_source(header: str, observers: str) -> str:
    """core_bench.sv with all that it includes."""
    source = (BENCH / "core_bench.sv").read_text(encoding="utf-8")
    source = source.replace('`include "core_bench.vh"\n', header)
    return source.replace('`include "core_observer.sv"\n', observers)


def observer(
    schedule: Schedule,
    name: str,
    folder: str,
    machine: str,
    enable: str = "1",
    *,
    in_pe: bool,
    of: str = "core",
) -> str:
    """core_observer.sv for a core, with its macros.

    `folder` is that of its files, `machine` the instance of what is in the core; `in_pe` if it
    shall look for writes of weights in a PE; `of` is "vectors" or "weights" if it shall look at
    one of the two alone.
    """
    macros = {
        "OBSERVER": name,
        "FOLDER": f'"{folder}"',
        "MACHINE": machine,
        "ENABLE": enable,
        "WORD_BITS": str(address_bits(schedule.design)),
        "BIAS_WORDS": str(len(below(schedule.design.bias_words))),
    }
    if of != "weights":
        macros["SEES_VECTORS"] = ""
    if of != "vectors":
        macros |= {"SEES_WEIGHTS": "", **_observed_words(schedule, in_pe=in_pe)}
    source = (BENCH / "core_observer.sv").read_text(encoding="utf-8")
    define = [f"`define {macro} {text}".rstrip() for macro, text in macros.items()]
    undefine = [f"`undef {macro.partition('(')[0]}" for macro in macros]
    return "\n".join([*define, source, *undefine, ""])


def _observed_words(schedule: Schedule, *, in_pe: bool) -> dict[str, str]:
    """The macros of core_observer.sv that depend on the design."""
    design = schedule.design
    pes = range(design.processing_elements)
    sums = ", ".join(f"`MACHINE.neurons.pe_{index}.sum" for index in reversed(pes))
    written = schedule.latencies.sum
    write, write_address = f"write_{written}", f"write_address_{written}"
    if in_pe:
        # With broadcast stages, the host's last words may come when a run has begun.
        write = "pe_0.write && !`MACHINE.neurons.pe_0.host"
        write_address = "pe_0.write_address"
    found = {
        "WRITE": write,
        "WRITE_ADDRESS": write_address,
        "SUMS": f"{{{sums}}}",
        "COMBINED(count)": f"({' ^ '.join(map(_counted, pes))})",
    }
    if design.bias_words:
        update, address = observed(schedule)
        found |= {
            "HAS_BIAS_BANK": "",
            "BIAS_WRITE": update,
            "BIAS_ADDRESS": address,
            "BIAS_BITS": str(max(1, (design.bias_words - 1).bit_length())),
        }
    return found


def _counted(pe: int) -> str:
    """Verilog: the sum of a PE, turned left by its number, if it is among the first `count`."""
    turn, word = pe % 32, f"`MACHINE.neurons.pe_{pe}.sum"
    turned = f"{{{word}[{31 - turn}:0], {word}[31:{32 - turn}]}}" if turn else word
    return f"({{32{{count > {pe}}}}} & {turned})"
