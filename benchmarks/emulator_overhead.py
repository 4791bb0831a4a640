"""What counters, bounds checks and the checks on request cost, each against the same kernel without.

Everything is measured on this machine in this run, warm, on one thread: medians of several calls. Bounds checks are
always on, so the times without them come from a child process whose copy of the engine has them taken out, in turns
with this one; nothing else may ever run like that. The bar is for counters and bounds checks together. Each check on
request is measured alone and all of them together; they have no bar. Reading the counters (the replay of the cache
model) is not in here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the kernels live beside the tests; beside this script, coverage.py would hide a package

from benchmarks.parts.timing import median_seconds, medians_in_turns

BAR = 2.0
ROUNDS = 3  # in which the processes take turns
KERNELS = ("vector_add", "strided_copy_8", "transpose_tiled", "gelu_tanh", "softmax", "layer_norm", "matmul_f16")
CHECKS = ("memory", "race", "init", "sync")


def launches(only: str | None, scale: int) -> dict[str, Callable[[], Any]]:
    """Return a call for each kernel, on float32 inputs of benchmark size with the first dimension cut by ``scale``."""
    import torch

    from benchmarks.parts.dense_kernels import DENSE_CASES
    from tests.frontends.triton_kernels import CASES

    torch.set_num_threads(1)
    found: dict[str, Callable[[], Any]] = {}
    for case in (*CASES, *DENSE_CASES):
        if case.name in KERNELS and (only is None or only in case.name):
            shape = (max(1, case.benchmark_shape[0] // scale), *case.benchmark_shape[1:])
            shape = (shape[0],) * len(shape) if case in DENSE_CASES else shape
            inputs = case.inputs(shape, torch.float32, torch.Generator().manual_seed(0))
            found[case.name] = lambda case=case, inputs=inputs: case.launch(*inputs)
    return found


def take_out_bounds() -> None:
    """Make this process's engine skip its bounds checks."""
    from teachkit.emulator.engine import access, ir, jit, neighbours

    replacements = {
        "define internal i32 @tk_in_bounds(": (
            "define internal i32 @tk_in_bounds(ptr %ctx, ptr %addresses, i32 %active, i64 %low, i64 %high, i64 %site, "
            "i64 %size) {\n  ret i32 %active\n}\n\ndefine internal i32 @tk_in_bounds_unused("
        ),
        "%ok.1 = and i1 %even, %above": "%ok.1 = and i1 %even, true",
        "%ok.2 = and i1 %ok.1, %below": "%ok.2 = and i1 %ok.1, true",
    }
    compile_object = jit.compile_object

    def compile_without(text: str, **how: bool) -> bytes:
        if "@tk_in_bounds" in text:
            for old, new in replacements.items():
                if text.count(old) != 1:
                    raise SystemExit(f"the runtime has changed: {text.count(old)} times {old!r}")
                text = text.replace(old, new)
        return compile_object(text, **how)

    jit.compile_object = compile_without
    access.inside = neighbours.inside = lambda *_: ir.Constant(ir.IntType(1), 1)


def without_bounds(options: argparse.Namespace) -> None:
    """Answer each kernel's name on standard input with its seconds without bounds checks and without counters."""
    take_out_bounds()
    from teachkit import emulator

    emulator.configure(n_threads=1)
    calls = launches(options.only, options.scale)
    for line in sys.stdin:
        print(f"answer {median_seconds(calls[line.strip()], options.budget / ROUNDS)}", flush=True)


@contextlib.contextmanager
def child(options: argparse.Namespace) -> Iterator[Callable[[str], float]]:
    """A process of its own that does :func:`without_bounds`, with a cache of its own: from kernel to seconds."""
    command = [sys.executable, __file__, "--without-bounds", "--budget", str(options.budget)]
    command += ["--scale", str(options.scale)]
    if options.only:
        command += ["--only", options.only]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"TEACHKIT_CACHE_DIR": folder}
        with subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdin is not None
            assert process.stdout is not None

            def seconds(name: str) -> float:
                print(name, file=process.stdin, flush=True)
                for line in process.stdout:
                    if line.startswith("answer "):
                        return float(line.split()[1])
                raise SystemExit("the process without bounds checks ended")

            yield seconds  # then Popen closes what the child reads from, which ends it


def row_of(name: str, call: Callable[[], Any], bare: Callable[[str], float], budget_s: float) -> dict[str, Any]:
    """Measure one kernel without bounds checks, with them, with counters too, and with each check on request."""
    from teachkit.emulator import check, observe

    def counted() -> None:
        with observe(lambda launch: None):
            call()

    def checked(wanted: tuple[str, ...]) -> None:
        with check(**{kind: kind in wanted for kind in CHECKS}):
            call()

    rounds = [
        {"bare_s": bare(name), **medians_in_turns({"bounds_s": call, "counted_s": counted}, budget_s / ROUNDS)}
        for _ in range(ROUNDS)
    ]
    row: dict[str, Any] = {"kernel": name}
    row |= {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    for wanted in (*((kind,) for kind in CHECKS), CHECKS):
        label = wanted[0] if len(wanted) == 1 else "all"
        row[f"{label}_s"] = median_seconds(lambda wanted=wanted: checked(wanted), budget_s)
    for part in ("bounds", "counted"):
        row[f"{part}_ratio"] = row[f"{part}_s"] / row["bare_s"]
    for label in (*CHECKS, "all"):
        row[f"{label}_ratio"] = row[f"{label}_s"] / row["bounds_s"]
    return row


def report(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Print the table and return its summary."""
    columns = ("bounds", "counted", *CHECKS, "all")
    print(f"{'kernel':<18} {'bare':>8}  " + "".join(f"{column:>10}" for column in columns))
    for row in rows:
        ratios = "".join(f"{row[f'{column}_ratio']:>9.1f}x" for column in columns)
        print(f"{row['kernel']:<18} {1e3 * row['bare_s']:>6.2f}ms  {ratios}")
    print(
        "bounds and counted: times the bare kernel, without bounds checks and counters; the checks on request: times\n"
        "the kernel with bounds checks"
    )
    summary: dict[str, float] = {}
    for column in columns:
        ratios = [row[f"{column}_ratio"] for row in rows]
        summary[f"{column}_worst"] = max(ratios)
        summary[f"{column}_geomean"] = math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))
    print(
        f"counters and bounds checks: {summary['counted_geomean']:.2f} times in the geometric mean, "
        f"{summary['counted_worst']:.2f} at worst (bar: {BAR:.0f})\n"
        f"all checks on request: {summary['all_geomean']:.1f} times in the geometric mean, "
        f"{summary['all_worst']:.1f} at worst"
    )
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=0.3, help="seconds for each median, after three calls")
    parser.add_argument("--only", help="kernels whose name contains this")
    parser.add_argument("--scale", type=int, default=1, help="divide the first dimension of every problem by this")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--without-bounds", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.without_bounds:
        without_bounds(options)
        return
    from rich.progress import track

    from teachkit import emulator

    emulator.configure(n_threads=1)
    calls = launches(options.only, options.scale)
    if not calls:
        parser.error(f"--only {options.only}: no kernel's name contains it; there are {', '.join(KERNELS)}")
    with child(options) as bare:
        names = track(calls, description="kernels", transient=True)
        rows = [row_of(name, calls[name], bare, options.budget) for name in names]
    summary = report(rows)
    if options.json:
        print(json.dumps({"rows": rows, "summary": summary}))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("stopped")
