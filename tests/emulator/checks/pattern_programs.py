"""More kernels in Triton and Numba-CUDA, in the patterns of textbooks. Marked like programs.py."""

import triton
import triton.language as tl
from numba import float32, int32

from teachkit import cuda

# ------------------------------------------------------------------------------------------------ Triton, with mistakes


@triton.jit
def last_sum_wins(x_ptr, out_ptr, BLOCK: tl.constexpr):
    x = tl.load(x_ptr + tl.program_id(0) * BLOCK + tl.arange(0, BLOCK))
    tl.store(out_ptr, tl.sum(x, 0))  # BUG: last_sum_wins


@triton.jit
def rows_for_columns(x_ptr, out_ptr, n_rows, n_columns, BLOCK: tl.constexpr):
    row, columns = tl.program_id(0), tl.arange(0, BLOCK)
    mask = columns < n_columns
    x = tl.load(x_ptr + columns * n_rows + row * n_columns, mask=mask, other=0)  # BUG: rows_for_columns
    tl.store(out_ptr + row * n_columns + columns, x, mask=mask)


@triton.jit
def unmasked_store(x_ptr, out_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + offsets, mask=offsets < n, other=0)
    tl.store(out_ptr + offsets, x + 1)  # BUG: unmasked_store


@triton.jit
def reverse_in_place(x_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    x = tl.load(x_ptr + n - 1 - offsets)  # BUG: reverse_in_place
    tl.store(x_ptr + offsets, x)  # ALSO: reverse_in_place


# ---------------------------------------------------------------------------------------------------- Triton, correct


@triton.jit
def last_program_adds_up(x_ptr, sums_ptr, n_done_ptr, out_ptr, N: tl.constexpr, BLOCK: tl.constexpr):
    program = tl.program_id(0)
    tl.store(sums_ptr + program, tl.sum(tl.load(x_ptr + program * BLOCK + tl.arange(0, BLOCK)), 0))
    tl.debug_barrier()
    if tl.atomic_add(n_done_ptr, 1) == N - 1:
        tl.store(out_ptr, tl.sum(tl.load(sums_ptr + tl.arange(0, N)), 0))


@triton.jit
def tail_in_place(x_ptr, n, BLOCK: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    mask = offsets < n
    tl.store(x_ptr + offsets, tl.load(x_ptr + offsets, mask=mask) * 2, mask=mask)


# ------------------------------------------------------------------------------------------------ Numba, with mistakes


@cuda.jit
def tile_used_too_soon(a, b, c):
    left, right = cuda.shared.array((8, 8), float32), cuda.shared.array((8, 8), float32)
    r, q = cuda.threadIdx.y, cuda.threadIdx.x
    total = float32(0)
    for k in range(0, a.shape[1], 8):
        left[r, q] = a[r, k + q]  # BUG: tile_used_too_soon
        right[r, q] = b[k + r, q]  # ALSO: tile_used_too_soon
        cuda.syncthreads()
        for i in range(8):
            total += left[r, i] * right[i, q]  # ALSO: tile_used_too_soon
    c[r, q] = total


@cuda.jit
def bins_not_cleared(x, out):
    bins = cuda.shared.array(8, int32)
    i = cuda.threadIdx.x
    cuda.atomic.add(bins, x[i], 1)  # BUG: bins_not_cleared
    cuda.syncthreads()
    if i < 8:
        out[i] = bins[i]


@cuda.jit
def lanes_not_in_step(x, out):
    held = cuda.shared.array(32, float32)
    i = cuda.threadIdx.x
    held[i] = x[i]
    out[i] = held[i ^ 1]  # BUG: lanes_not_in_step


@cuda.jit
def swapped_bounds(x, out):
    r, c = cuda.grid(2)
    if r < x.shape[1] and c < x.shape[0]:
        out[r, c] = 2 * x[r, c]  # BUG: swapped_bounds


@cuda.jit
def counter_read_plainly(count, out):
    if cuda.threadIdx.x == 0:
        cuda.atomic.add(count, 0, 1)  # BUG: counter_read_plainly
        out[cuda.blockIdx.x] = count[0]  # ALSO: counter_read_plainly


# ----------------------------------------------------------------------------------------------------- Numba, correct


@cuda.jit
def tiled_matmul(a, b, c):
    left, right = cuda.shared.array((8, 8), float32), cuda.shared.array((8, 8), float32)
    r, q = cuda.threadIdx.y, cuda.threadIdx.x
    row, column = cuda.blockIdx.y * 8 + r, cuda.blockIdx.x * 8 + q
    total = float32(0)
    for k in range(0, a.shape[1], 8):
        left[r, q] = a[row, k + q]
        right[r, q] = b[k + r, column]
        cuda.syncthreads()
        for i in range(8):
            total += left[r, i] * right[i, q]
        cuda.syncthreads()
    c[row, column] = total


@cuda.jit
def dynamic_parts(x, out):
    room = cuda.shared.array(0, float32)
    first, second = room[:64], room[64:128]
    i = cuda.threadIdx.x
    first[i] = x[i]
    second[63 - i] = x[i]
    cuda.syncthreads()
    out[i] = first[i ^ 1] - second[i]


@cuda.jit
def local_array_of_zeros(x, out):  # Numba clears what cuda.local.array gives
    held = cuda.local.array(6, float32)
    i = cuda.grid(1)
    for k in range(x.size - 1):
        held[k] = x[k]
    out[i] = held[i % 6]


@cuda.jit
def grid_wide(x, out):
    i = cuda.grid(1)
    grid = cuda.cg.this_grid()
    x[i] = i
    grid.sync()
    out[i] = x[x.size - 1 - i]


@cuda.jit
def halves_in_step(x, out):
    held = cuda.shared.array(32, int32)
    i = cuda.threadIdx.x
    held[i] = x[i]
    cuda.syncwarp(0xFFFF if i < 16 else 0xFFFF0000)
    out[i] = held[i ^ 8]
