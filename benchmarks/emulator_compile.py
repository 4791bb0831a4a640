"""What it costs to translate and compile a kernel for the emulator, cold, and to load it from the disk cache.

Everything is measured in this run, in processor time of this process, which other programs disturb less than the
clock: medians of several compilations. "cold" is parsing, translation and LLVM with counters on, without what Triton,
NVRTC or NVVM take to make the PTX. A file is parsed once for all of its kernels, so that each bears its share by
instructions. "from disk" is what a new process pays for a kernel that was compiled before, parsing included.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the kernels live beside the tests; beside this script, coverage.py would hide a package

COLD_BAR_MS = 1.0  # an instruction
DISK_BAR_MS = 5.0


def programs() -> Iterator[tuple[str, str, str]]:
    """Compiler, name and PTX of each kernel."""
    import torch
    from rich.progress import track

    from benchmarks.parts.dense_kernels import DENSE_CASES
    from benchmarks.parts.numba_kernels import calls
    from benchmarks.parts.wide_kernels import launch_sines
    from teachkit.emulator import launches, observe
    from teachkit.frontends.cuda_c import compile_cuda_c
    from tests.frontends.triton_kernels import CASES

    seen: list[launches.Launch] = []
    with observe(seen.append):
        for case in track((*CASES, *DENSE_CASES), "compiling", transient=True):
            shape = case.shapes[-1] if case.shapes else (256, 64) if "attention" in case.name else (128, 128)
            case.launch(*case.inputs(shape, torch.float32, torch.Generator().manual_seed(0)))
            yield "Triton", seen[-1].name, seen[-1].ptx
        launch_sines()
        yield "Triton", seen[-1].name, seen[-1].ptx
        for _, _, launch, _ in calls():
            launch()
            yield "Numba", seen[-1].name.rpartition(".")[2], seen[-1].ptx
    module = compile_cuda_c((ROOT / "tests" / "emulator" / "kernels" / "counting.cu").read_text())
    for name in module:
        yield "CUDA C++", name, module.ptx


def median_ms(call: Callable[[], Any], n: int) -> float:
    """Median processor time of ``n`` calls."""
    times = []
    for _ in range(n):
        started = time.process_time()
        call()
        times.append(time.process_time() - started)
    return 1e3 * statistics.median(times)


def measure(compiler: str, name: str, text: str, n: int) -> dict[str, Any]:
    """Compile one kernel cold and load it from disk."""
    from teachkit.emulator import load_ptx
    from teachkit.emulator.engine import jit
    from teachkit.emulator.engine.program import Program
    from teachkit.emulator.engine.translate import translate
    from teachkit.emulator.engine.warp_code import Mode
    from teachkit.emulator.ptx import parse

    module = parse(text)
    function = next(f for f in module.functions.values() if f.is_entry and (f.name == name or compiler == "Numba"))
    n_instructions = _n_instructions(function)
    share = n_instructions / sum(map(_n_instructions, module.functions.values()))
    mode = Mode(counting=True, rows=True)  # as for every block whose width is a multiple of 32
    parts = {
        "parse_ms": share * median_ms(lambda: parse(text), n),
        "translate_ms": median_ms(lambda: translate(module, function, mode), n),
    }
    t = translate(module, function, mode)
    parts["llvm_ms"] = median_ms(lambda: jit.compile_object(t.text), n)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TEACHKIT_CACHE_DIR"] = folder
        Program(load_ptx(text)[function.name], mode)
        disk_ms = median_ms(lambda: Program(load_ptx(text)[function.name], mode), max(n, 5))
    cold_ms = sum(parts.values())
    return {
        "compiler": compiler,
        "kernel": name,
        "n_instructions": n_instructions,
        **parts,
        "cold_ms": cold_ms,
        "ms_per_instruction": cold_ms / n_instructions,
        "disk_ms": disk_ms,
    }


def _n_instructions(function: Any) -> int:
    from teachkit.emulator.ptx.model import Instruction

    return sum(isinstance(item, Instruction) for item in function.body)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=3, help="compilations behind each median")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    rows = []
    print(f"{'compiler':9} {'kernel':26} instructions    parse  translate     LLVM  ms an instruction  from disk  (ms)")
    for compiler, name, text in programs():
        row = measure(compiler, name, text, options.repeat)
        rows.append(row)
        print(
            f"{compiler:9} {name[:26]:26} {row['n_instructions']:12} {row['parse_ms']:8.1f} "
            f"{row['translate_ms']:10.1f} {row['llvm_ms']:8.1f} {row['ms_per_instruction']:18.2f} "
            f"{row['disk_ms']:10.1f}"
        )
    total = sum(row["cold_ms"] for row in rows) / sum(row["n_instructions"] for row in rows)
    summary = {
        "ms_per_instruction": total,
        "ms_per_instruction_median": statistics.median(row["ms_per_instruction"] for row in rows),
        "ms_per_instruction_worst": max(row["ms_per_instruction"] for row in rows),
        "disk_ms_worst": max(row["disk_ms"] for row in rows),
        "disk_ms_median": statistics.median(row["disk_ms"] for row in rows),
    }
    print(
        f"cold: {summary['ms_per_instruction_median']:.2f} ms an instruction for the median kernel, "
        f"{total:.2f} over all, {summary['ms_per_instruction_worst']:.2f} at worst (bar: {COLD_BAR_MS:.1f}); "
        f"from disk: {summary['disk_ms_median']:.1f} ms for the median, {summary['disk_ms_worst']:.1f} at worst "
        f"(bar: {DISK_BAR_MS:.0f})"
    )
    if options.json:
        print(json.dumps({"rows": rows, "summary": summary}))


if __name__ == "__main__":
    main()
