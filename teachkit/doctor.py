"""The doctor: what this machine is, then one real use of each back end, with what to do about one that fails.

Measured: the seconds of each use, on this machine.
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from teachkit.hardware.describe import BackEnd, describe


@dataclasses.dataclass(frozen=True)
class Trial:
    """What happened when a back end was really used; seconds are measured."""

    name: str
    works: bool
    detail: str
    seconds: float
    hint: str | None = None


def try_back_ends(back_ends: tuple[BackEnd, ...]) -> list[Trial]:
    """Use each back end once.

    Parameters
    ----------
    back_ends
        What ``describe()`` found. One that is not live is not tried: its reason is passed on.

    Returns
    -------
    list of Trial
        One for each, in the same order.
    """
    tries: dict[str, Callable[[], str]] = {
        "Triton": _run_triton,
        "Numba-CUDA": _compile_numba,
        "CUDA C++": _compile_cuda_c,
        "torch.compile to C++": _compile_cxx,
    }
    return [_try(back_end, tries[back_end.name]) for back_end in back_ends]


def _try(back_end: BackEnd, use: Callable[[], str]) -> Trial:
    if not back_end.live:
        return Trial(back_end.name, False, back_end.detail, 0.0, back_end.hint)
    started = time.perf_counter()
    try:
        detail, works = use(), True
    except Exception as error:  # the doctor's work is to report whatever a broken installation raises
        first = str(error).strip().splitlines()[:1]
        detail, works = f"{type(error).__name__}: {first[0] if first else 'no message'}", False
    hint = None if works else "Delete .venv and run `make setup`; if it stays so, report it with this output."
    return Trial(back_end.name, works, detail, time.perf_counter() - started, hint)


def _run_triton() -> str:
    import torch

    from teachkit.hardware.device import device
    from teachkit.kernels.vector_add import vector_add

    x = torch.arange(1000.0, device=device())
    if not torch.equal(vector_add(x, x), 2 * x):
        raise ArithmeticError("a vector addition of 1000 elements came out wrong")
    return f"a kernel ran on {'the GPU' if x.is_cuda else 'the emulator'} and its result is right"


def _compile_numba() -> str:
    from numba import cuda, float32

    def double(x):  # type: ignore[no-untyped-def]
        i = cuda.grid(1)
        if i < x.size:
            x[i] *= 2

    text, _ = cuda.compile_ptx(double, (float32[::1],), cc=(8, 0))
    return f"a kernel compiled to {len(text.splitlines())} lines of PTX"


def _compile_cuda_c() -> str:
    from cuda.bindings import nvrtc

    source = b'extern "C" __global__ void twice(float *x) { x[threadIdx.x] *= 2; }'
    status, program = nvrtc.nvrtcCreateProgram(source, b"twice.cu", 0, [], [])
    statuses = [status, *nvrtc.nvrtcCompileProgram(program, 1, [b"-arch=compute_80"])]
    status, n_bytes = nvrtc.nvrtcGetPTXSize(program)
    nvrtc.nvrtcDestroyProgram(program)
    if any(int(s) for s in [*statuses, status]):
        raise RuntimeError(f"NVRTC answered {', '.join(str(s) for s in statuses)}")
    return f"a kernel compiled to {n_bytes} bytes of PTX"


def _compile_cxx() -> str:
    compiler = os.environ.get("CXX") or "g++"
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "one.cpp"
        source.write_text("#include <cmath>\ndouble f(double x) { return std::tanh(x); }\n")
        command = [compiler, "-std=c++17", "-shared", "-fPIC", str(source), "-o", str(Path(folder) / "one.so")]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError((done.stderr or done.stdout).strip())
    return f"{compiler} built a shared library"


def main(console: Console | None = None) -> int:
    """Print the report; return 0 when Triton kernels run here, else 1."""
    console = console or Console()
    report = describe()
    facts = Table(title="This machine", title_justify="left", show_header=False)
    for name, value in report.rows():
        facts.add_row(name, value)
    console.print(facts)
    trials = try_back_ends(report.back_ends)
    table = Table(title="Back ends, each used once", title_justify="left")
    for head in ("back end", "works", "what happened", "measured"):
        table.add_column(head)
    for trial in trials:
        took = f"{trial.seconds:.2f} s" if trial.seconds else ""
        table.add_row(trial.name, "yes" if trial.works else "no", trial.detail, took)
    console.print(table)
    for trial in trials:
        if not trial.works:
            console.print(f"{trial.name}: {trial.detail}. {trial.hint or ''}".strip(), highlight=False)
    return 0 if trials[0].works else 1
