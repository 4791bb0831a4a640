"""Kernels with one mistake each: every one is found, with its kind, line, block, thread and argument."""

import functools
import pathlib
import re
from typing import NamedTuple

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.emulator import check
from teachkit.errors import KernelCheckError

HERE = pathlib.Path(__file__).parent


@functools.cache
def cuda_kernels(name):
    return tk.compile_cuda_c((HERE / f"{name}.cu").read_text(), file_name=f"{name}.cu")


def lines_of(file, name):
    """Lines marked with the kernel's name: the mistake, and where it may also show."""
    lines = (HERE / file).read_text().splitlines()

    def marked(word):
        return {i for i, line in enumerate(lines, start=1) if re.search(rf"{word}: .*\b{name}\b", line)}

    return marked("BUG"), marked("BUG") | marked("ALSO")


def ramp(n):
    return torch.arange(n, dtype=torch.float32)


def zeros(n, dtype=torch.float32):
    return torch.zeros(n, dtype=dtype)


def mod(n, m):
    return (torch.arange(n, dtype=torch.int32) * 7 + 3) % m


class Planted(NamedTuple):
    """``finding``: kind and what; ``block``, ``thread`` and ``other`` (block, thread) of its first occurrence."""

    name: str
    grid: object
    block: object
    arguments: object  # called inside the check
    kind: str
    what: str
    at: tuple
    other: tuple | None = None
    argument: int | None = None
    place: int | None = None  # element of the argument, else byte of shared or local memory

    def __str__(self):
        return self.name


CUDA = [
    Planted("missing_barrier", 2, 128, lambda: [ramp(256), zeros(256)], "race", "read after write",
            (0, 64), (0, 63), None, 252),
    Planted("reduction_last_step", 1, 128, lambda: [ramp(128), zeros(128)], "race", "read after write",
            (0, 1), (0, 0), None, 0),
    Planted("reduction_in_warp", 1, 64, lambda: [ramp(64), zeros(1)], "race", "read after write",
            (0, 0), (0, 16), None, 64),
    Planted("reused_tile", 1, 64, lambda: [ramp(256), zeros(64)], "race", "write after read", (0, 0), (0, 1), None, 0),
    Planted("stale_buffer", 1, 64, lambda: [ramp(256), zeros(64)], "race", "read after write",
            (0, 32), (0, 31), None, 256 + 4 * 31),
    Planted("histogram", 2, 64, lambda: [mod(128, 5), zeros(5, torch.int32), 128], "race", "read after write",
            (0, 32), (0, 27), 1, 2),
    Planted("two_blocks", 3, 32, lambda: [zeros(8)], "race", "write after write", (1, 5), (0, 5), 0, 3),
    Planted("two_lanes", 1, 32, lambda: [zeros(16, torch.int32)], "race", "one instruction", (0, 1), (0, 0), 0, 0),
    Planted("halo", 2, 64, lambda: [ramp(100), zeros(100), 100], "memory", "out of bounds", (1, 35), None, 0, 100),
    Planted("misaligned", 1, 32, lambda: [ramp(132), zeros(32)], "memory", "misaligned", (0, 0), None, 0, 1),
    Planted("shared_index", 1, 64, lambda: [ramp(64), zeros(64)], "memory", "out of bounds", (0, 63), None, None, 256),
    Planted("unwritten_tail", 1, 64, lambda: [ramp(64), zeros(64), 50], "init", "uninitialised read",
            (0, 0), None, None, 252),
    Planted("unwritten_local", 1, 32, lambda: [ramp(8), zeros(32), 6], "init", "uninitialised read",
            (0, 6), None, None, 24),
    Planted("unwritten_sum", 1, 64, lambda: [ramp(64), torch.empty(1)], "init", "uninitialised read",
            (0, 0), None, 1, 0),
    Planted("divergent_barrier", 1, 64, lambda: [ramp(64), zeros(64)], "sync", "divergent barrier", (0, 48)),
    Planted("early_exit", 1, 64, lambda: [ramp(64), zeros(64), 40], "sync", "barrier after exit", (0, 40)),
    Planted("early_exit_of_group", 1, 64, lambda: [ramp(64), zeros(64), 40], "sync", "barrier after exit", (0, 40)),
    Planted("two_barriers", 1, 64, lambda: [ramp(64), zeros(64)], "sync", "deadlock", (0, 0)),
    Planted("absent_lane", 1, 32, lambda: [ramp(32), zeros(32)], "sync", "absent lane", (0, 16)),
    Planted("unnamed_lane", 1, 32, lambda: [ramp(32), zeros(32)], "sync", "unnamed lane", (0, 16)),
    Planted("exited_lane", 1, 32, lambda: [ramp(32), zeros(32), 20], "sync", "absent lane", (0, 4)),
    Planted("missing_wait", 1, 64, lambda: [ramp(64), zeros(64)], "sync", "missing wait", (0, 0), (0, 63), None, 252),
    Planted("missing_commit", 1, 64, lambda: [ramp(64), zeros(64)], "sync", "missing commit",
            (0, 0), (0, 63), None, 252),
    Planted("wait_without_barrier", 1, 64, lambda: [ramp(64), zeros(64)], "race", "read after write",
            (0, 32), (0, 31), None, 124),
    Planted("flag_without_fence", 2, 64, lambda: [zeros(64), zeros(1, torch.int32), zeros(64)], "race",
            "read after write", (1, 0), (0, 0), 0, 0),
    Planted("fence_before_the_data", 2, 1, lambda: [zeros(n, torch.int32) for n in (2, 1, 1)], "race",
            "read after write", (1, 0), (0, 0), 0, 1),
    Planted("last_block_without_fence", 4, 32, lambda: [ramp(4), zeros(4), zeros(1, torch.int32), zeros(4)], "race",
            "read after write", (3, 0), (0, 0), 1, 0),
    Planted("narrow_scope", 2, 32, lambda: [zeros(1, torch.int32)], "race", "read after write", (1, 0), None, 0, 0),
]  # fmt: skip


def thread_of(party):
    return party.block[0], party.thread[0]


def expect(report, planted, file, argument_names):
    """One finding is the mistake; there is none on any other line."""
    bug, allowed = lines_of(file, planted.name)
    assert len(bug) == 1, planted.name
    assert {finding.line for finding in report.findings} <= allowed, str(report)
    found = [f for f in report.findings if (f.kind, f.what, f.line) == (planted.kind, planted.what, *bug)]
    assert found, str(report)
    first = found[0]
    assert thread_of(first.thread) == planted.at, str(first)
    if planted.other is not None:
        assert thread_of(first.other) == planted.other, str(first)
    assert first.argument == (None if planted.argument is None else argument_names[planted.argument]), str(first)
    if planted.place is not None:
        assert (first.offset if planted.argument is None else first.element) == planted.place, str(first)
    assert "BUG: " + planted.name in first.thread.source_text
    assert first.thread.source_text in str(report)
    assert first.hint


@pytest.mark.parametrize("planted", CUDA, ids=str)
def test_cuda(planted):
    kernel = cuda_kernels("planted")[planted.name]
    with check(raises=False) as report:
        kernel[planted.grid, planted.block](*planted.arguments())
    expect(report, planted, "planted.cu", [p.name for p in kernel.owner.parameters[kernel.name]])


TRITON = [
    Planted("overlapping_programs", 3, 64, lambda: [zeros(256, torch.int32)], "race", "write after write",
            (1, 0), (0, 63), 0, 63),
    Planted("missing_mask", 2, 128, lambda: [ramp(200), zeros(256), 200], "memory", "out of bounds",
            (1, 72), None, 0, 200),
    Planted("missing_debug_barrier", 1, 256, lambda: [ramp(256), zeros(256), zeros(256)], "race", "read after write",
            None, None, 1),
    Planted("shift_in_place", 1, 256, lambda: [ramp(260)], "race", "write after read", None, None, 0),
    Planted("lock_let_go_early", 3, 256, lambda: [ramp(768), zeros(256), zeros(1, torch.int32)], "race",
            "read after write", None, None, 1),
    Planted("sum_without_atomics", 2, 128, lambda: [ramp(256), zeros(1)], "race", "read after write",
            (1, 0), (0, 0), 1, 0),
    Planted("unwritten_total", 1, 128, lambda: [ramp(128), torch.empty(1)], "init", "uninitialised read",
            (0, 0), None, 1, 0),
]  # fmt: skip


@pytest.mark.parametrize("planted", TRITON, ids=str)
def test_triton(planted, programs):
    kernel = getattr(programs, planted.name)
    with check(raises=False) as report:
        kernel[planted.grid,](*planted.arguments(), BLOCK=planted.block)
    found = next(f for f in report.findings if f.kind == planted.kind)
    at = planted.at if planted.at is not None else thread_of(found.thread)
    expect(report, planted._replace(at=at), "programs.py", [p for p in kernel.arg_names if p != "BLOCK"])


NUMBA = [
    Planted("numba_missing_barrier", 1, 128, lambda: [np.ones(128, np.float32), np.zeros(128, np.float32)], "race",
            "read after write", (0, 64), (0, 63), None, 252),
    Planted("numba_histogram", 2, 64, lambda: [np.arange(128) % 5, np.zeros(5, np.int64)], "race", "read after write",
            (0, 32), (0, 27), 1, 2),
    Planted("numba_off_by_one", 2, 64, lambda: [np.ones(100, np.float32), np.zeros(101, np.float32)], "memory",
            "out of bounds", (1, 36), None, 0, 100),
    Planted("numba_barrier_in_branch", 1, 64, lambda: [np.ones(64, np.float32), np.zeros(64, np.float32)], "sync",
            "divergent barrier", (0, 40)),
]  # fmt: skip


@pytest.mark.parametrize("planted", NUMBA, ids=str)
def test_numba(planted, programs):
    kernel = getattr(programs, planted.name)
    with check(raises=False) as report:
        kernel[planted.grid, planted.block](*planted.arguments())
    expect(report, planted, "programs.py", kernel.parameters)


def test_by_default_a_launch_with_findings_raises():
    x, out = ramp(64), zeros(64)
    with pytest.raises(KernelCheckError, match=r"kernel 'missing_wait' to find, got 1 finding \(") as caught, check():
        cuda_kernels("planted")["missing_wait"][1, 64](x, out)
    (finding,) = caught.value.findings
    assert finding.what == "missing wait"
    assert caught.value.n_occurrences == finding.count == 64
    assert "out[t] = tile[63 - t];" in str(caught.value)
    assert "Hint: " in str(caught.value)
    assert out.isnan().all()  # 0xFF in every byte: the copies never arrived


def test_the_launch_after_a_finding_is_checked_anew():
    kernel = cuda_kernels("planted")["halo"]
    with check(raises=False) as report:
        kernel[1, 64](ramp(64), zeros(64), 64)
        kernel[1, 64](ramp(65), zeros(64), 64)
        kernel[1, 64](ramp(64), zeros(64), 64)
    assert (report.n_launches, len(report.findings), report.n_occurrences) == (3, 2, 2)
