"""Bulk simulation: many components in one Verilated model, a new pair of operands every clock.

The operands come from files and the results go to files, without any Python per clock.
"""

from collections import defaultdict

import numpy as np
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.verilog import place, to_verilog
from sim import simulator

# Clocks that the bench runs on after the last operands: more than any latency.
_DRAIN = 16


class Devices(wiring.Component):
    """The components, with ports `a_...` and `b_...` for each format of operands, and `o_...` for
    each one. A component of one operand takes `a_...`.

    In one design, they are translated to Verilog together, which is faster.
    """

    module_name = "devices"
    clocked = True

    def __init__(self, components):
        self.components = components
        ports = {}
        for index, component in enumerate(components):
            source = operand_format(component)
            ports |= {f"{x}_{source.name}": In(source.width) for x in "ab"}
            ports[f"o_{index}"] = Out(len(component.o))
        super().__init__(ports)

    def elaborate(self, platform):
        m = Module()
        for index, component in enumerate(self.components):
            place(m, f"device_{index}", component, platform)
            name = operand_format(component).name
            for operand, port in zip(component.operands, "ab", strict=False):
                m.d.comb += getattr(component, operand).eq(getattr(self, f"{port}_{name}"))
            m.d.comb += getattr(self, f"o_{index}").eq(component.o)
        return m


def operand_format(component):
    """The format of its operands, which is the same for all of them."""
    (format,) = set(component.operands.values())
    return format


def replay(components, operands, folder, optimize=1):
    """Results of each component: `operands[format]` are the two arrays of its format."""
    formats = sorted(set(map(operand_format, components)), key=lambda f: f.name)
    source = folder / "bench.sv"
    longest = max(len(operands[format][0]) for format in formats)
    bench = _bench(components, formats, longest)
    source.write_text(to_verilog(Devices(components)) + bench)
    build = simulator.build([source], "bench", public=["clk", "done"], optimize=optimize)
    for format in formats:
        words = np.stack(operands[format], axis=1).astype(">u4")
        words.tofile(folder / f"operands_{format.name}.bin")
    simulator.run(build, "fp_bench", log=folder / "bench.log")
    results = {}
    for index, component in enumerate(components):
        seen = np.fromfile(folder / f"results_{index}.bin", np.uint32)
        count = len(operands[operand_format(component)][0])
        assert len(seen) == count + _DRAIN
        # The bench sees its own operand register a clock after it reads the memory.
        results[component] = seen[1 + component.latency :][:count]
    return results


def complain(component, want, got, a, b):
    """Fail, with the index and the operands in hex, if results are wrong or too few."""
    assert len(got) == len(want) > 0
    wrong = np.flatnonzero(got != want)
    lines = [
        f"{i}: a={a[i]:#x} b={b[i]:#x} gives {got[i]:#x}, should be {want[i]:#x}" for i in wrong[:5]
    ]
    assert not len(wrong), "\n".join([f"{component.module_name}: {len(wrong)} wrong", *lines])


def _bench(components, formats, longest):
    part = defaultdict(list)
    for format in formats:
        name, width = format.name, format.width
        part["declare"].append(f"""
  reg [63:0] memory_{name} [0:{longest - 1}];
  reg [63:0] pair_{name};
  integer count_{name};""")
        part["connect"].append(f".a_{name}(pair_{name}[{31 + width}:32])")
        part["connect"].append(f".b_{name}(pair_{name}[{width - 1}:0])")
        part["open"].append(f"""
    file = $fopen("operands_{name}.bin", "rb");
    count_{name} = $fread(memory_{name}, file) / 8;
    $fclose(file);
    if (count_{name} > last) last = count_{name};""")
        part["clock"].append(f"    if (t < count_{name}) pair_{name} <= memory_{name}[t];")
    for i, component in enumerate(components):
        name, width = operand_format(component).name, len(component.o)
        part["declare"].append(f"  integer file_{i};\n  wire [{width - 1}:0] result_{i};")
        part["connect"].append(f".o_{i}(result_{i})")
        part["open"].append(f'    file_{i} = $fopen("results_{i}.bin", "wb");')
        part["clock"].append(
            f'    if (t < count_{name} + {_DRAIN}) $fwrite(file_{i}, "%u", 32\'(result_{i}));'
        )
        part["close"].append(f"      $fclose(file_{i});")
    lines = {name: "\n".join(texts) for name, texts in part.items()}
    connections = ",\n    ".join([".clk(clk)", ".rst(1'b0)", *part["connect"]])
    return f"""
module bench(input wire clk, output reg done);
  integer t, file, last;
{lines["declare"]}
  devices devices({connections});
  initial begin
    done = 0;
    t = 0;
    last = 0;
{lines["open"]}
  end
  always @(posedge clk) if (!done) begin
    t <= t + 1;
{lines["clock"]}
    if (t == last + {_DRAIN}) begin
{lines["close"]}
      done <= 1;
    end
  end
endmodule
"""
