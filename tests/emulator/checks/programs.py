"""Kernels in Triton and Numba-CUDA: with one mistake each ("BUG: name" stands on the line), and right ones."""

import triton
import triton.language as tl
from numba import float32

from teachkit import cuda

# ------------------------------------------------------------------------------------------------ Triton, with mistakes


@triton.jit
def overlapping_programs(out_ptr, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * (BLOCK - 1) + tl.arange(0, BLOCK)
    tl.store(out_ptr + offsets, tl.program_id(0) * 1000 + tl.arange(0, BLOCK))  # BUG: overlapping_programs


@triton.jit
def missing_mask(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets)  # BUG: missing_mask
    tl.store(out_ptr + offsets, x, mask=offsets < n)


@triton.jit
def missing_debug_barrier(x_ptr, scratch_ptr, out_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offsets, tl.load(x_ptr + offsets) * 2)  # ALSO: missing_debug_barrier
    tl.store(out_ptr + offsets, tl.load(scratch_ptr + BLOCK - 1 - offsets))  # BUG: missing_debug_barrier


@triton.jit
def shift_in_place(x_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets)  # ALSO: shift_in_place
    tl.store(x_ptr + offsets + 4, x)  # BUG: shift_in_place


@triton.jit
def lock_let_go_early(x_ptr, sum_ptr, lock_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    x = tl.load(x_ptr + tl.program_id(0) * BLOCK + offsets)
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    x += tl.load(sum_ptr + offsets)  # BUG: lock_let_go_early
    tl.store(sum_ptr + offsets, x)  # ALSO: lock_let_go_early
    tl.atomic_xchg(lock_ptr, 0)


@triton.jit
def sum_without_atomics(x_ptr, total_ptr, BLOCK: tl.constexpr):
    total = tl.sum(tl.load(x_ptr + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)), 0)
    tl.store(total_ptr, tl.load(total_ptr) + total)  # BUG: sum_without_atomics


@triton.jit
def unwritten_total(x_ptr, total_ptr, BLOCK: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, BLOCK))
    tl.atomic_add(total_ptr, tl.sum(x, 0))  # BUG: unwritten_total


# ---------------------------------------------------------------------------------------------------- Triton, correct


@triton.jit
def scratch_with_barrier(x_ptr, scratch_ptr, out_ptr, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offsets, tl.load(x_ptr + offsets) * 2)
    tl.debug_barrier()
    tl.store(out_ptr + offsets, tl.load(scratch_ptr + BLOCK - 1 - offsets))


@triton.jit
def layer_norm_backward(x_ptr, sum_ptr, lock_ptr, N_GROUPS: tl.constexpr, BLOCK: tl.constexpr):
    """The way of a layer norm's weight gradient: groups of rows add up under a lock, the first one stores."""
    offsets = tl.arange(0, BLOCK)
    row = tl.program_id(0)
    lock_ptr += row % N_GROUPS
    count_ptr = lock_ptr + N_GROUPS
    sum_ptr += (row % N_GROUPS) * BLOCK + offsets
    x = tl.load(x_ptr + row * BLOCK + offsets)
    while tl.atomic_cas(lock_ptr, 0, 1) == 1:
        pass
    count = tl.load(count_ptr)
    if count == 0:
        tl.atomic_xchg(count_ptr, 1)
    else:
        x += tl.load(sum_ptr)
    tl.store(sum_ptr, x)
    tl.debug_barrier()
    tl.atomic_xchg(lock_ptr, 0)


@triton.jit
def scale_in_place(x_ptr, factor, BLOCK: tl.constexpr):
    """Fewer elements than threads: most threads hold copies, and one of each stores."""
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(x_ptr + offsets, tl.load(x_ptr + offsets) * factor)


@triton.jit
def total_with_atomics(x_ptr, total_ptr, BLOCK: tl.constexpr):
    x = tl.load(x_ptr + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK))
    tl.atomic_add(total_ptr, tl.sum(x, 0))


@triton.jit
def pipelined_matmul(a_ptr, b_ptr, c_ptr, K, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    rows, columns, inner = tl.arange(0, BM), tl.arange(0, BN), tl.arange(0, BK)
    total = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        a = tl.load(a_ptr + rows[:, None] * K + k + inner[None, :], mask=k + inner[None, :] < K, other=0.0)
        b = tl.load(b_ptr + (k + inner[:, None]) * BN + columns[None, :], mask=k + inner[:, None] < K, other=0.0)
        total = tl.dot(a, b, total)
    tl.store(c_ptr + rows[:, None] * BN + columns[None, :], total)


@triton.jit
def scan_and_sort(x_ptr, sums_ptr, sorted_ptr, BLOCK: tl.constexpr):
    x = tl.load(x_ptr + tl.arange(0, BLOCK))
    tl.store(sums_ptr + tl.arange(0, BLOCK), tl.cumsum(x, 0))
    tl.store(sorted_ptr + tl.arange(0, BLOCK), tl.sort(x))


# ------------------------------------------------------------------------------------------------ Numba, with mistakes


@cuda.jit
def numba_missing_barrier(x, out):
    tile = cuda.shared.array(128, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]  # ALSO: numba_missing_barrier
    out[i] = tile[127 - i]  # BUG: numba_missing_barrier


@cuda.jit
def numba_histogram(x, bins):
    i = cuda.grid(1)
    if i < x.size:
        bins[x[i]] += 1  # BUG: numba_histogram


@cuda.jit
def numba_off_by_one(x, out):
    i = cuda.grid(1)
    if i <= x.size:
        out[i] = x[i] + 1  # BUG: numba_off_by_one


@cuda.jit
def numba_barrier_in_branch(x, out):
    tile = cuda.shared.array(64, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    if i < 40:
        cuda.syncthreads()  # BUG: numba_barrier_in_branch
        out[i] = tile[39 - i]
    cuda.syncwarp()
    out[i] += x[i]


# ----------------------------------------------------------------------------------------------------- Numba, correct


@cuda.jit
def numba_reversed(x, out):
    tile = cuda.shared.array(128, float32)
    i = cuda.threadIdx.x
    tile[i] = x[i]
    cuda.syncthreads()
    out[i] = tile[127 - i]


@cuda.jit
def numba_histogram_atomic(x, bins):
    i = cuda.grid(1)
    if i < x.size:
        cuda.atomic.add(bins, x[i], 1)


@cuda.jit
def numba_warp_sum(x, out):
    i = cuda.threadIdx.x
    value = x[i]
    step = 16
    while step > 0:
        value += cuda.shfl_down_sync(0xFFFFFFFF, value, step)
        step //= 2
    if i == 0:
        out[0] = value
