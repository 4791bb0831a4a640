"""The patterns of textbooks, with a mistake and without: what has one is told at its place, nothing else is."""

import functools
import importlib.util
import pathlib
import re

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.emulator import check

HERE = pathlib.Path(__file__).parent
INT = torch.int32


@functools.cache
def cuda_kernels(name):
    return tk.compile_cuda_c((HERE / f"{name}.cu").read_text(), file_name=f"{name}.cu")


@functools.cache
def pattern_programs():
    spec = importlib.util.spec_from_file_location("teachkit_test_pattern_programs", HERE / "pattern_programs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def ramp(n):
    return torch.arange(n, dtype=torch.float32)


def count(n):
    return torch.arange(n, dtype=INT)


def zeros(n, dtype=torch.float32):
    return torch.zeros(n, dtype=dtype)


def empty(n, dtype=torch.float32):
    return torch.empty(n, dtype=dtype)


def mod(n, m):
    return (count(n) * 7 + 3) % m


def lines_of(file, name):
    """Lines marked as the kernel's mistake, and those where it may also show."""
    lines = (HERE / file).read_text().splitlines()

    def marked(word):
        return {i for i, line in enumerate(lines, start=1) if re.search(rf"{word}: {name}$", line)}

    return marked("BUG"), marked("BUG") | marked("ALSO")


def expect(report, name, file, parameters, kind, what, at, other, argument, place):
    """The finding that is the mistake; there is none on any line that is not marked."""
    bug, allowed = lines_of(file, name)
    assert len(bug) == 1, name
    assert {finding.line for finding in report.findings} <= allowed, str(report)
    found = [f for f in report.findings if (f.kind, f.what, f.line) == (kind, what, *bug)]
    assert found, str(report)
    first = found[0]
    if at is not None:
        assert (first.thread.block[0], first.thread.thread[0]) == at, str(first)
    if other is not None:
        assert (first.other.block[0], first.other.thread[0]) == other, str(first)
    expected = parameters[argument] if isinstance(argument, int) else argument
    assert first.argument == expected, str(first)
    if place is not None:
        assert (first.offset if first.element is None else first.element) == place, str(first)


# kernel: grid, block, arguments (made inside the check); kind, what; (block, thread) and the other party's; argument,
# and its element, or the byte of shared or local memory.
RAW, WAW, WAR = "read after write", "write after write", "write after read"
PLANTED = {
    "scan_in_one_buffer": (1, 128, lambda: [ramp(128), zeros(128)], "race", WAR, (0, 1), (0, 2), None, 4),
    "halo_never_set": (
        *(2, 64, lambda: [ramp(128), zeros(128)]),
        *("init", "uninitialised read", (0, 0), None, None, 0),
    ),
    "swapped_stride": (
        *(5, 32, lambda: [ramp(100), zeros(100), 5, 20]),
        *("memory", "out of bounds", (0, 5), None, 0, 100),
    ),
    "before_the_start": (2, 32, lambda: [ramp(64), zeros(64)], "memory", "out of bounds", (0, 0), None, 0, -1),
    "odd_pair": (1, 32, lambda: [zeros(128, INT)], "memory", "misaligned", (0, 1), None, 0, 3),
    "odd_shared": (1, 32, lambda: [ramp(32), zeros(32)], "memory", "misaligned", (0, 1), None, None, 6),
    "shared_before_the_start": (
        *(1, 64, lambda: [ramp(64), zeros(64)]),
        *("memory", "out of bounds", (0, 0), None, None, -4),
    ),
    "no_syncwarp": (1, 32, lambda: [ramp(32), zeros(32)], "race", RAW, (0, 0), (0, 31), None, 124),
    "half_a_syncwarp": (1, 32, lambda: [ramp(32), zeros(32)], "race", RAW, (0, 0), (0, 31), None, 124),
    "halves_that_did_not_meet": (1, 32, lambda: [ramp(32), zeros(32)], "race", RAW, (0, 8), (0, 16), None, 64),
    "neighbour_of_another_block": (2, 64, lambda: [ramp(128)], "race", RAW, (1, 0), (0, 63), 0, 63),
    "plain_read_of_a_counter": (3, 32, lambda: [zeros(1, INT), zeros(3, INT)], "race", WAR, (1, 0), (0, 0), 0, 0),
    "reset_by_every_block": (3, 32, lambda: [mod(96, 5), zeros(1, INT)], "race", WAW, (1, 0), (0, 31), 1, 0),
    "waits_for_too_few": (1, 32, lambda: [ramp(64), zeros(32)], "sync", "missing wait", (0, 0), (0, 31), None, 252),
    "overwrites_what_is_read": (1, 64, lambda: [ramp(192), zeros(64)], "race", WAR, (0, 32), (0, 31), None, 128),
    "unlock_without_fence": (
        *(3, 32, lambda: [zeros(1, INT), zeros(1), ramp(3) + 1]),
        *("race", RAW, (1, 0), (0, 0), 1, 0),
    ),
    "barriers_in_a_ragged_loop": (
        *(1, 64, lambda: [torch.tensor([2, 3], dtype=INT), zeros(64, INT)]),
        *("sync", "barrier after exit", (0, 0), None, None, None),
    ),
    "rows_that_overlap": (3, 32, lambda: [zeros(128), 32], "race", WAW, (1, 0), (0, 31), 0, 31),
    "local_past_the_end": (
        1,
        32,
        lambda: [count(8), zeros(32, INT)],
        "memory",
        "out of bounds",
        (0, 7),
        None,
        None,
        32,
    ),
    "constant_past_the_end": (
        *(1, 32, lambda: [count(32) % 5, zeros(32)]),
        *("memory", "out of bounds", (0, 4), None, "TABLE", None),
    ),
    "dynamic_too_small": (1, 64, lambda: [ramp(64), zeros(64)], "memory", "out of bounds", (0, 32), None, None, 128),
    "flag_without_barriers": (1, 64, lambda: [count(64), zeros(64, INT)], "race", WAR, (0, 40), (0, 0), None, 0),
    "shuffle_in_a_ragged_loop": (
        *(1, 32, lambda: [count(32) % 3, zeros(32, INT)]),
        *("sync", "absent lane", (0, 0), None, None, None),
    ),
    "key_without_value": (
        *(2, 32, lambda: [mod(64, 5) + 1, zeros(16, INT), zeros(16, INT), zeros(64, INT)]),
        *("race", RAW, (0, 5), (0, 0), 2, 4),
    ),
    "second_half_unwritten": (
        *(1, 64, lambda: [ramp(64), empty(64), zeros(64)]),
        *("init", "uninitialised read", (0, 0), None, 1, 63),
    ),
    "wrong_half": (1, 64, lambda: [ramp(64), zeros(64)], "race", RAW, (0, 32), (0, 0), None, 0),
    "one_barrier_short": (1, 64, lambda: [ramp(192), zeros(192), 3], "race", RAW, (0, 32), (0, 0), None, 0),
}
SHARED_BYTES = {"dynamic_too_small": 128}


@pytest.mark.parametrize("name", PLANTED)
def test_planted(name):
    grid, block, arguments, *finding = PLANTED[name]
    kernel = cuda_kernels("planted_patterns")[name]
    with check(raises=False) as report:
        kernel[grid, block, SHARED_BYTES.get(name, 0)](*arguments())
    expect(report, name, "planted_patterns.cu", [p.name for p in kernel.owner.parameters[kernel.name]], *finding)


def of_four():
    x = ramp(512).view(4, 32, 4)
    return sum(part.flip(0)[:, 0] + part[:, 3] for part in x)


def half_warps():
    x = mod(64, 9).view(4, 16)
    parts = [x[k].sum().expand(16) if k % 2 else (x[k] > 5).any().int().expand(16) for k in range(4)]
    return torch.cat(parts).int()


def red_black():
    x = ramp(100)
    x[0:100:2] = torch.tensor([0.5 * ((x[i - 1] if i else 0) + x[i + 1]) for i in range(0, 100, 2)])
    return x


# kernel: grid, block, arguments (made inside the check), index of the result, expected
CORRECT = {
    "found_flag": (1, 64, lambda: [count(64), empty(64, INT)], 1, lambda: zeros(64, INT) + 1),
    "scan_in_two_buffers": (1, 128, lambda: [ramp(128), empty(128)], 1, lambda: ramp(128).cumsum(0)),
    "scan_with_two_barriers": (1, 128, lambda: [ramp(128), empty(128)], 1, lambda: ramp(128).cumsum(0)),
    "swizzled_transpose": (
        *(1, (32, 32), lambda: [ramp(1024), empty(1024)], 1),
        lambda: ramp(1024).view(32, 32).T.reshape(-1),
    ),
    "volatile_warp_sum": (1, 32, lambda: [ramp(32), empty(1)], 1, lambda: ramp(32).sum(0, keepdim=True)),
    "last_block_resets": (
        *(4, 64, lambda: [ramp(256), empty(4), zeros(1, INT), zeros(1)], 3),
        lambda: 2 * ramp(256).sum(0, keepdim=True),
    ),
    "half_warps": (1, 64, lambda: [mod(64, 9), empty(64, INT)], 1, half_warps),
    "halves_then_pairs_of_halves": (1, 32, lambda: [count(32), empty(32, INT)], 1, None),
    "one_lane_waits_for_another": (
        *(1, 64, lambda: [zeros(1, INT), mod(64, 9), empty(64, INT)], 2),
        lambda: mod(64, 9) + 1,
    ),
    "ring_between_warps": (1, 64, lambda: [mod(13, 9), empty(13, INT), 13], 1, lambda: mod(13, 9) + 1),
    "hand_over": (5, 32, lambda: [empty(32), zeros(1, INT), empty(32)], 2, lambda: 5 * ramp(32)),
    "ticket_lock": (3, 96, lambda: [zeros(1, INT), zeros(1, INT), zeros(1, INT)], 2, lambda: zeros(1, INT) + 27),
    "work_queue": (
        *(3, 32, lambda: [zeros(1, INT), mod(200, 9), empty(200, INT), 200], 2),
        lambda: 2 * mod(200, 9),
    ),
    "histograms_of_warps": (
        *(1, 128, lambda: [mod(128, 50), empty(16, INT)], 1),
        lambda: torch.bincount(mod(128, 50) % 16, minlength=16).int(),
    ),
    "vectors_and_a_tail": (2, 32, lambda: [ramp(103), empty(103), 103], 1, lambda: ramp(103)),
    "in_place": (2, 32, lambda: [ramp(150), 150], 0, lambda: ramp(150) ** 2 + 1),
    "async_vectors": (1, 32, lambda: [ramp(512), empty(32)], 1, of_four),
    "barrier_if_uniform": (1, 64, lambda: [ramp(64), empty(64), 11], 1, lambda: ramp(64).flip(0)),
    "until_nothing_changes": (
        *(1, 64, lambda: [mod(64, 50), empty(1, INT)], 0),
        lambda: zeros(64, INT) + mod(64, 50).max(),
    ),
    "idle_warps_leave": (
        *(1, 128, lambda: [ramp(50), empty(2), 50], 1),
        lambda: torch.stack([ramp(32).sum(), ramp(50)[32:].sum()]),
    ),
    "one_atomic_a_warp": (2, 64, lambda: [mod(128, 50), zeros(1, INT), zeros(128, INT)], 2, None),
    "look_back": (
        *(4, 32, lambda: [mod(128, 9), zeros(4, torch.int64), empty(128, INT)], 2),
        lambda: mod(128, 9).cumsum(0).int(),
    ),
    "bytes_of_a_word": (
        *(1, 128, lambda: [mod(128, 200), empty(32, INT)], 1),
        lambda: mod(128, 200).to(torch.uint8).view(INT),
    ),
    "red_black": (2, 32, lambda: [ramp(100), 100], 0, red_black),
    "shared_butterfly": (1, 32, lambda: [ramp(32), empty(32)], 1, lambda: ramp(32).sum().expand(32)),
    "bitset": (
        *(1, 128, lambda: [mod(128, 100), empty(128, INT)], 1),
        lambda: (torch.bincount(mod(128, 100), minlength=128) > 0).int(),
    ),
    "atomic_then_flag": (2, 1, lambda: [zeros(1, INT), zeros(1, INT), empty(1, INT)], 2, lambda: zeros(1, INT) + 5),
    "two_flags": (
        *(4, 1, lambda: [zeros(1, INT), zeros(1, INT), zeros(1, INT), zeros(1, INT), zeros(4, INT)], 4),
        lambda: torch.tensor([0, 5, 5, 5], dtype=INT),
    ),
    "wider_by_turns": (2, 64, lambda: [zeros(1, INT), zeros(1, INT), empty(1, INT)], 2, lambda: zeros(1, INT) + 3),
    "ping_pong": (1, 64, lambda: [ramp(128), empty(32)], 1, lambda: ramp(128).view(4, 32).sum(0).flip(0)),
}


@pytest.mark.parametrize("name", CORRECT)
def test_correct(name):
    grid, block, arguments, index, expected = CORRECT[name]
    kernel = cuda_kernels("correct_patterns")[name]
    with check() as report:
        values = arguments()
        for _ in range(2 if name == "last_block_resets" else 1):
            kernel[grid, block](*values)
    assert report.is_clean
    assert report.notes == []
    if expected is not None:
        assert torch.equal(values[index], expected())
    elif name == "one_atomic_a_warp":
        kept = mod(128, 50)[mod(128, 50) % 3 == 0]
        assert sorted(values[2][: len(kept)].tolist()) == sorted(kept.tolist())


TRITON = {
    "last_sum_wins": (3, 64, lambda: [ramp(192), zeros(1)], "race", WAW, (1, 0), (0, 0), "out_ptr", 0),
    "rows_for_columns": (
        *(3, 32, lambda: [ramp(60), zeros(60), 3, 20]),
        *("memory", "out of bounds", None, None, "x_ptr", None),
    ),
    "unmasked_store": (
        *(2, 128, lambda: [ramp(200), zeros(200), 200]),
        *("memory", "out of bounds", (1, 72), None, "out_ptr", 200),
    ),
    "reverse_in_place": (2, 128, lambda: [ramp(256), 256], "race", RAW, (1, 0), None, "x_ptr", None),
}


@pytest.mark.parametrize("name", TRITON)
def test_planted_in_triton(name):
    grid, block, arguments, *finding = TRITON[name]
    with check(raises=False) as report:
        getattr(pattern_programs(), name)[grid,](*arguments(), BLOCK=block)
    expect(report, name, "pattern_programs.py", [], *finding)


def floats(*shape):
    return np.random.default_rng(3).random(shape, dtype=np.float32)


NUMBA = {
    "tile_used_too_soon": (
        *(1, (8, 8), lambda: [floats(8, 24), floats(24, 8), floats(8, 8)]),
        *("race", WAR, (0, 0), None, None, 0),
    ),
    "bins_not_cleared": (
        *(1, 32, lambda: [np.arange(32) % 8, np.zeros(8, np.int32)]),
        *("init", "uninitialised read", (0, 0), None, None, 0),
    ),
    "lanes_not_in_step": (1, 32, lambda: [floats(32), floats(32)], "race", RAW, (0, 0), (0, 1), None, 4),
    "swapped_bounds": (
        *(1, (16, 16), lambda: [floats(5, 12), floats(5, 12)]),
        *("memory", "out of bounds", None, None, "x", None),
    ),
    "counter_read_plainly": (
        *(3, 32, lambda: [np.zeros(1, np.int64), np.zeros(3, np.int64)]),
        *("race", WAR, (1, 0), (0, 0), "count", 0),
    ),
}


@pytest.mark.parametrize("name", NUMBA)
def test_planted_in_numba(name):
    grid, block, arguments, *finding = NUMBA[name]
    with check(raises=False) as report:
        getattr(pattern_programs(), name)[grid, block](*arguments())
    expect(report, name, "pattern_programs.py", [], *finding)


def test_correct_in_triton():
    x = torch.randn(4, 128, generator=torch.Generator().manual_seed(0))
    with check() as report:
        sums, n_done, out = empty(4), zeros(1, INT), empty(1)
        pattern_programs().last_program_adds_up[4,](x, sums, n_done, out, N=4, BLOCK=128)
        torch.testing.assert_close(out[0], x.sum(), rtol=1e-4, atol=1e-4)  # another order of 512 terms
        y = ramp(200)
        pattern_programs().tail_in_place[2,](y, 200, BLOCK=128)
        assert torch.equal(y, 2 * ramp(200))
    assert report.is_clean
    assert report.n_launches == 2


def test_correct_in_numba():
    a, b = floats(16, 24), floats(24, 16)
    with check() as report:
        c, x, out = np.zeros((16, 16), np.float32), np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
        pattern_programs().tiled_matmul[(2, 2), (8, 8)](a, b, c)
        np.testing.assert_allclose(c, a @ b, rtol=1e-5)
        pattern_programs().dynamic_parts[1, 64, 0, 512](x, out)
        assert out.tolist() == [(i ^ 1) - (63 - i) for i in range(64)]
        pattern_programs().grid_wide[2, 32](x, out)
        assert out.tolist() == list(range(63, -1, -1))
        pattern_programs().local_array_of_zeros[1, 64](np.ones(6, np.float32), out)
        assert out.tolist() == [float(i % 6 < 5) for i in range(64)]
        pattern_programs().halves_in_step[1, 32](np.arange(32), n := np.zeros(32, np.int64))
        assert n.tolist() == [i ^ 8 for i in range(32)]
    assert report.is_clean
    assert report.n_launches == 5
