"""Atomic operations of every kind and type, against what the same updates give one after the other."""

import pytest
import torch
import triton
import triton.language as tl

from teachkit import emulator
from teachkit.errors import KernelFault

N, BINS = 700, 16
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
INTEGERS = [torch.int32, torch.int64, torch.uint32, torch.uint64]


@triton.jit
def update_kernel(x_ptr, out_ptr, n, KIND: tl.constexpr, BINS: tl.constexpr, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + at, mask=at < n)
    place = out_ptr + at % BINS
    if KIND == "add":
        tl.atomic_add(place, x, mask=at < n)
    elif KIND == "max":
        tl.atomic_max(place, x, mask=at < n)
    elif KIND == "min":
        tl.atomic_min(place, x, mask=at < n)
    elif KIND == "and":
        tl.atomic_and(place, x, mask=at < n)
    elif KIND == "or":
        tl.atomic_or(place, x, mask=at < n)
    else:
        tl.atomic_xor(place, x, mask=at < n)


def expected(kind, x, start):
    """The updates one after the other, in integers or float64."""
    is_float = x.dtype.is_floating_point
    wide = x.double() if is_float else x.view(torch.int64 if x.itemsize == 8 else torch.int32).to(torch.int64)
    signed = is_float or x.dtype in (torch.int32, torch.int64)
    numbers = [value if signed else value % 2 ** (8 * x.itemsize) for value in wide.tolist()]
    result = [start] * BINS
    fold = {"add": lambda a, b: a + b, "max": max, "min": min}
    fold |= {"and": lambda a, b: a & b, "or": lambda a, b: a | b, "xor": lambda a, b: a ^ b}
    for index, value in enumerate(numbers):
        result[index % BINS] = fold[kind](result[index % BINS], value)
    return result


def integers(dtype):
    info = torch.iinfo(dtype)
    bits = torch.randint(-(2**62), 2**62, (N,)) * 2
    bits = bits.to(torch.int64 if info.bits == 64 else torch.int32)
    return bits.view(dtype)


@pytest.mark.parametrize("kind", ["add", "max", "min", "and", "or", "xor"])
@pytest.mark.parametrize("dtype", INTEGERS, ids=str)
def test_integers(kind, dtype):
    x = integers(dtype)
    start = 12345
    out = torch.full((BINS,), start, dtype=dtype)
    update_kernel[(triton.cdiv(N, 256),)](x, out, N, kind, BINS, 256)
    bits = torch.iinfo(dtype).bits
    assert [value % 2**bits for value in out.tolist()] == [value % 2**bits for value in expected(kind, x, start)]


@pytest.mark.parametrize("kind", ["add", "max", "min"])
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_floats(kind, dtype):
    x = torch.randint(-8, 9, (N,)).to(dtype)  # sums of small integers are exact in every type
    out = torch.zeros(BINS, dtype=dtype)
    if kind != "add" and dtype in (torch.float16, torch.bfloat16):
        with pytest.raises(triton.CompilationError):  # Triton has none
            update_kernel[(1,)](x, out, N, kind, BINS, 256)
        return
    update_kernel[(triton.cdiv(N, 256),)](x, out, N, kind, BINS, 256)
    assert out.tolist() == expected(kind, x, 0.0)


@triton.jit
def old_values_kernel(counter_ptr, out_ptr, BLOCK: tl.constexpr):
    zeros = tl.zeros([BLOCK], tl.int32)
    ticket = tl.atomic_add(counter_ptr + zeros, zeros + 1, sem="relaxed", scope="gpu")
    tl.store(out_ptr + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), ticket)


def test_every_thread_draws_another_ticket():
    counter, out = torch.zeros(1, dtype=torch.int32), torch.empty(4 * 128, dtype=torch.int32)
    old_values_kernel[(4,)](counter, out, 128)
    assert out.sort().values.tolist() == list(range(512))
    assert counter.item() == 512


@triton.jit
def scalar_kernel(cell_ptr, out_ptr):
    old = tl.atomic_add(cell_ptr, 2.5)
    tl.store(out_ptr + tl.program_id(0), old)
    tl.atomic_xchg(cell_ptr + 1, tl.program_id(0).to(tl.float32))
    tl.atomic_max(cell_ptr + 2, old)


def test_scalars_are_updated_once_a_block():
    cells, out = torch.zeros(3), torch.empty(5)
    scalar_kernel[(5,)](cells, out, num_warps=4)
    assert cells.tolist() == [12.5, 4.0, 10.0]
    assert out.tolist() == [0.0, 2.5, 5.0, 7.5, 10.0]


@triton.jit
def compare_and_swap_kernel(cells_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    old = tl.atomic_cas(
        cells_ptr + at // 2, tl.zeros([N], cells_ptr.dtype.element_ty), (at + 1).to(cells_ptr.dtype.element_ty)
    )
    tl.store(out_ptr + at, old)


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_compare_and_swap_succeeds_once_a_cell(dtype):
    cells, out = torch.zeros(64, dtype=dtype), torch.empty(128, dtype=dtype)
    compare_and_swap_kernel[(1,)](cells, out, 128)
    winners = cells - 1
    assert torch.equal(winners // 2, torch.arange(64))
    assert (out == 0).sum() == 64
    losers = out[out != 0]
    assert torch.equal(losers.sort().values, cells.sort().values)


@triton.jit
def lock_kernel(lock_ptr, total_ptr, n_turns_ptr, N: tl.constexpr):
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    at = tl.arange(0, N)
    n_turns = tl.load(n_turns_ptr)
    tl.store(total_ptr + at, tl.load(total_ptr + at) * 2 + 1)
    tl.store(n_turns_ptr, n_turns + 1)
    tl.debug_barrier()
    tl.atomic_xchg(lock_ptr, 0)


def test_lock_between_blocks():
    lock, total, turns = (
        torch.zeros(1, dtype=torch.int32),
        torch.zeros(256, dtype=torch.int64),
        torch.zeros(1, dtype=torch.int32),
    )
    lock_kernel[(40,)](lock, total, turns, 256, num_warps=4)
    assert total.unique().tolist() == [2**40 - 1]
    assert turns.item() == 40


@pytest.mark.parametrize("n_blocks", [1, 3])
@pytest.mark.parametrize("num_warps", [1, 4])
def test_a_lock_that_nobody_releases(num_warps, n_blocks):
    """The threads of a block hear of their lock through shared memory, so the loop that waits for it stores there."""
    lock, total, turns = torch.ones(1, dtype=torch.int32), torch.zeros(256), torch.zeros(1, dtype=torch.int32)
    with pytest.raises(KernelFault, match=r"never ends(?s:.*)while tl.atomic_cas\(lock_ptr, 0, 1\) == 1"):
        lock_kernel[(n_blocks,)](lock, total, turns, 256, num_warps=num_warps)
    assert turns.item() == 0


def test_a_turn_that_never_comes():
    """One block of 12 is missing, so that the sum at which the others go on is never reached."""
    flag, out = torch.zeros(1, dtype=torch.int32), torch.full((12,), -1, dtype=torch.int32)
    with pytest.raises(KernelFault, match=r"never ends: 11 blocks wait(?s:.*)while tl.atomic_add\(flag_ptr, 0"):
        hand_over_kernel[(11,)](flag, out, 12)
    assert flag.item() == 0
    assert out.eq(-1).all()


@triton.jit
def count_by_swaps_kernel(count_ptr, n):
    while tl.load(count_ptr, volatile=True) < n:
        seen = tl.load(count_ptr, volatile=True)
        tl.atomic_cas(count_ptr, seen, seen + 1)


@pytest.mark.parametrize("num_warps", [1, 4])
def test_a_loop_that_swaps_is_not_called_endless(num_warps):
    """No register lives from turn to turn; what gets on is in memory, for longer than an endless loop is given."""
    count = torch.zeros(1, dtype=torch.int32)
    count_by_swaps_kernel[(1,)](count, 4_000_000, num_warps=num_warps)
    assert count.item() == 4_000_000


@triton.jit
def hand_over_kernel(flag_ptr, out_ptr, n_blocks):
    me = tl.program_id(0)
    # Blocks go in the reverse of the order in which they start.
    while tl.atomic_add(flag_ptr, 0, sem="acquire") != n_blocks - 1 - me:
        pass
    tl.store(out_ptr + n_blocks - 1 - me, me)
    tl.atomic_add(flag_ptr, 1, sem="release")


def test_blocks_wait_for_blocks_that_start_later():
    flag, out = torch.zeros(1, dtype=torch.int32), torch.empty(12, dtype=torch.int32)
    hand_over_kernel[(12,)](flag, out, 12)
    assert out.tolist() == list(range(11, -1, -1))


@triton.jit
def half_vector_kernel(x_ptr, out_ptr, BLOCK: tl.constexpr):
    at = tl.arange(0, BLOCK)
    tl.atomic_add(out_ptr + at, tl.load(x_ptr + at))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("arch", [80, 90])
def test_neighbouring_halves(dtype, arch):
    from teachkit.frontends import target

    target.set_architecture(arch)
    try:
        x, out = torch.randint(-8, 9, (1024,)).to(dtype), torch.ones(1024, dtype=dtype)
        half_vector_kernel[(3,)](x, out, 1024)
    finally:
        target.set_architecture(None)
    assert torch.equal(out, 1 + 3 * x)


@triton.jit
def total_kernel(x_ptr, total_ptr, N: tl.constexpr):
    tl.atomic_add(total_ptr, tl.sum(tl.load(x_ptr + tl.arange(0, N)), 0))


@pytest.mark.parametrize("at", [0, 1, 2])
def test_the_last_bfloat16_of_an_odd_number(at):
    """Compilers add one bfloat16 by swapping the 4 bytes around it, of which the tensor may have but 2."""
    x, totals = torch.ones(64, dtype=torch.bfloat16), torch.arange(3).bfloat16()
    with emulator.check() as report:
        total_kernel[(2,)](x, totals[at:], 64)
    assert totals.tolist() == [i + 128 * (i == at) for i in range(3)]
    assert report.is_clean
    with pytest.raises(KernelFault, match="Out-of-bounds"):
        total_kernel[(1,)](x, totals, 128)
