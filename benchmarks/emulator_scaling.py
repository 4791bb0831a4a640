"""How the emulator scales: with threads, with the size of the problem, and how much memory it takes.

Everything is measured on this machine in this run: medians of several calls, counters off. Two threads are compared
with one on kernels that take a millisecond or more on one. Peak memory is that of a child process which launches one
kernel, counters on, less what the child takes before; it is compared with the tensors' own size.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the kernels live beside the tests; beside this script, coverage.py would hide a package

from benchmarks.parts.timing import median_seconds, medians_in_turns

THREADS_BAR = 1.7
MEMORY_BAR_MB = 500
SCALED = ("gelu_tanh", "softmax", "dropout", "layer_norm", "transpose_tiled", "matmul_f16", "attention_f16")
SIZES = tuple(10**power for power in range(3, 9))


def case_named(name: str) -> Any:
    from benchmarks.parts.dense_kernels import DENSE_CASES
    from tests.frontends.triton_kernels import CASES

    return next(case for case in (*CASES, *DENSE_CASES) if case.name == name)


def inputs_of(case: Any, shape: tuple[int, ...]) -> tuple[Any, ...]:
    import torch

    return tuple(case.inputs(shape, torch.float32, torch.Generator().manual_seed(0)))


def machine_row() -> dict[str, Any]:
    """What two threads gain on this machine on arithmetic that shares nothing: 2, unless they share a core."""
    import concurrent.futures

    import numba
    import numpy as np

    @numba.njit(nogil=True, fastmath=True)
    def work(x: Any, turns: int) -> None:
        for _ in range(turns):
            for i in range(x.size):
                x[i] = x[i] * np.float32(0.5) + np.float32(1)

    rooms, turns = [np.ones(4096, np.float32) for _ in range(2)], 20_000
    with concurrent.futures.ThreadPoolExecutor(2) as pool:

        def both() -> None:
            list(pool.map(lambda room: work(room, turns), rooms))

        calls = (lambda: work(rooms[0], turns), both)
        one, two = (min(median_seconds(call, 0.3, at_least=5) for _ in range(3)) for call in calls)
    speedup = 2 * one / two
    print(
        f"{'this machine':16} one thread {1e3 * one:8.2f} ms, two with as much each {1e3 * two:8.2f} ms: {speedup:.2f}x"
    )
    return {"kind": "machine", "one_s": one, "two_s": two, "speedup": speedup}


def thread_rows(budget_s: float) -> list[dict[str, Any]]:
    """One thread against two, in turn, so that both see the same machine."""
    from teachkit.emulator import configure

    rows = []
    for name in SCALED:
        case = case_named(name)
        inputs = inputs_of(case, case.benchmark_shape)
        launch = functools.partial(case.launch, *inputs)
        seconds: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(3):
            for n in (1, 2):
                configure(n_threads=n)
                seconds[n].append(median_seconds(launch, budget_s, at_least=5))
        one, two = (min(seconds[n]) for n in (1, 2))
        rows.append({"kind": "threads", "kernel": name, "one_s": one, "two_s": two, "speedup": one / two})
        print(f"{name:16} one thread {1e3 * one:8.2f} ms, two {1e3 * two:8.2f} ms: {one / two:.2f}x")
    configure(n_threads=None)
    return rows


def size_rows(budget_s: float) -> list[dict[str, Any]]:
    """Vector addition from a thousand elements to a hundred million, on one thread, beside PyTorch's."""
    import torch

    from teachkit.emulator import configure

    configure(n_threads=1)
    torch.set_num_threads(1)
    case, rows = case_named("vector_add"), []
    for n in SIZES:
        inputs = inputs_of(case, (n,))
        calls = {"ours": functools.partial(case.launch, *inputs), "torch": functools.partial(torch.add, *inputs)}
        ours, torchs = medians_in_turns(calls, budget_s, at_least=5).values()
        rows.append({"kind": "size", "n": n, "emulator_s": ours, "torch_s": torchs})
        print(
            f"vector add, {n:11,} elements: {1e3 * ours:9.3f} ms, {1e9 * ours / n:7.3f} ns an element, "
            f"{ours / torchs:6.2f} times torch"
        )
    configure(n_threads=None)
    return rows


def peak_bytes() -> int:
    """Peak memory of this process. ``getrusage`` would not do: its peak survives exec, so a child starts at its
    parent's."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def memory_child(name: str, factor: int) -> None:
    """Print the tensors' bytes and by how many bytes a counted launch raised this process's peak."""
    from teachkit.emulator import observe

    case = case_named(name)
    first, *rest = case.benchmark_shape
    with observe(lambda launch: launch.counters):
        case.launch(*inputs_of(case, case.benchmark_shape))  # compilers and the cache model's own code
        inputs = inputs_of(case, (first * factor, *rest))
        before = peak_bytes()
        out = case.launch(*inputs)
    after = peak_bytes()
    n_bytes = sum(t.untyped_storage().nbytes() for t in (*inputs, out))
    print(json.dumps([n_bytes, after - before]))


def memory_rows() -> list[dict[str, Any]]:
    rows = []
    for name, factor in (("vector_add", 64), ("softmax", 64), ("strided_copy_8", 8), ("transpose_naive", 16)):
        command = [sys.executable, __file__, "--memory-child", name, "--factor", str(factor)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        tensors, extra = json.loads(done.stdout.splitlines()[-1])
        # The output is among the tensors and among what the launch raised; inputs were there before.
        rows.append({"kind": "memory", "kernel": name, "tensor_bytes": tensors, "extra_bytes": extra})
        print(f"{name:16} tensors {tensors / 1e6:7.0f} MB, the counted launch raised the peak by {extra / 1e6:6.0f} MB")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--budget", type=float, default=0.2, help="seconds behind each median")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--memory-child", help=argparse.SUPPRESS)
    parser.add_argument("--factor", type=int, default=1, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_child:
        memory_child(options.memory_child, options.factor)
        return
    machine = machine_row()
    threads = thread_rows(options.budget)
    sizes = size_rows(options.budget)
    memory = memory_rows()
    long_ones = [row["speedup"] for row in threads if row["one_s"] >= 1e-3]
    over = max(row["extra_bytes"] - row["tensor_bytes"] for row in memory)
    summary = {
        "two_threads_machine": machine["speedup"],
        "two_threads_worst": min(long_ones, default=math.nan),
        "two_threads_geomean": math.exp(statistics.fmean(map(math.log, long_ones))) if long_ones else math.nan,
        "memory_beyond_twice_the_tensors_mb": over / 1e6,
    }
    print(
        f"two threads: {summary['two_threads_geomean']:.2f}x in the geometric mean, "
        f"{summary['two_threads_worst']:.2f}x at worst on kernels of 1 ms or more (bar: {THREADS_BAR}x; two "
        f"threads that share nothing: {machine['speedup']:.2f}x)\n"
        f"memory beyond twice the tensors: {over / 1e6:.0f} MB (bar: {MEMORY_BAR_MB} MB)"
    )
    if options.json:
        print(json.dumps({"rows": [machine, *threads, *sizes, *memory], "summary": summary}))


if __name__ == "__main__":
    main()
