"""Plain Triton kernels, each beside its PyTorch reference: one list that tests and benchmarks share.

Nothing here knows on what the kernels run. Every case can be launched on the emulator, on a GPU and, where
``interpretable`` is true, in Triton's interpreter.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import torch
import triton
import triton.language as tl
from triton.language.extra import libdevice

BLOCK_SIZE = 1024
TILE_SIZE = 32

Shape = tuple[int, ...]
Tensors = tuple[torch.Tensor, ...]


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    y = tl.load(y_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, x + y, mask=mask)


@triton.jit
def strided_copy_kernel(x_ptr, out_ptr, n_elements, stride_x, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets * stride_x, mask=mask), mask=mask)


@triton.jit
def transpose_naive_kernel(x_ptr, out_ptr, n_rows, n_cols, BLOCK_SIZE: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.program_id(1) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * n_cols + cols, mask=mask)
    tl.store(out_ptr + cols * n_rows + row, x, mask=mask)


@triton.jit
def transpose_tiled_kernel(x_ptr, out_ptr, n_rows, n_cols, TILE: tl.constexpr):
    rows = tl.program_id(0) * TILE + tl.arange(0, TILE)
    cols = tl.program_id(1) * TILE + tl.arange(0, TILE)
    x = tl.load(
        x_ptr + rows[:, None] * n_cols + cols[None, :], mask=(rows[:, None] < n_rows) & (cols[None, :] < n_cols)
    )
    tl.store(
        out_ptr + cols[:, None] * n_rows + rows[None, :],
        tl.trans(x),
        mask=(cols[:, None] < n_cols) & (rows[None, :] < n_rows),
    )


@triton.jit
def gelu_kernel(x_ptr, bias_ptr, residual_ptr, out_ptr, n_elements, n_cols, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32) + tl.load(bias_ptr + offsets % n_cols, mask=mask)
    inner = 0.7978845608028654 * (x + 0.044715 * x * x * x)
    tanh = 1.0 - 2.0 / (tl.exp(2.0 * inner) + 1.0)
    out = 0.5 * x * (1.0 + tanh) + tl.load(residual_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, out.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def gelu_libdevice_kernel(x_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask).to(tl.float32)
    out = 0.5 * x * (1.0 + libdevice.tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)))
    tl.store(out_ptr + offsets, out.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def softmax_kernel(x_ptr, out_ptr, stride_x, stride_out, n_cols, BLOCK_SIZE: tl.constexpr):
    row = tl.program_id(0)
    cols = tl.arange(0, BLOCK_SIZE)
    mask = cols < n_cols
    x = tl.load(x_ptr + row * stride_x + cols, mask=mask, other=-float("inf")).to(tl.float32)
    numerator = tl.exp(x - tl.max(x, axis=0))
    out = numerator / tl.sum(numerator, axis=0)
    tl.store(out_ptr + row * stride_out + cols, out.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def layer_norm_kernel(x_ptr, weight_ptr, bias_ptr, out_ptr, stride_x, n_cols, eps, BLOCK_SIZE: tl.constexpr):
    row = tl.program_id(0)
    x_ptr += row * stride_x
    out_ptr += row * n_cols
    total = tl.zeros([BLOCK_SIZE], dtype=tl.float32)
    for start in range(0, n_cols, BLOCK_SIZE):
        cols = start + tl.arange(0, BLOCK_SIZE)
        total += tl.load(x_ptr + cols, mask=cols < n_cols, other=0.0).to(tl.float32)
    mean = tl.sum(total, axis=0) / n_cols
    squares = tl.zeros([BLOCK_SIZE], dtype=tl.float32)
    for start in range(0, n_cols, BLOCK_SIZE):
        cols = start + tl.arange(0, BLOCK_SIZE)
        x = tl.load(x_ptr + cols, mask=cols < n_cols, other=0.0).to(tl.float32)
        centred = tl.where(cols < n_cols, x - mean, 0.0)
        squares += centred * centred
    rstd = 1.0 / tl.sqrt(tl.sum(squares, axis=0) / n_cols + eps)
    for start in range(0, n_cols, BLOCK_SIZE):
        cols = start + tl.arange(0, BLOCK_SIZE)
        mask = cols < n_cols
        weight = tl.load(weight_ptr + cols, mask=mask)
        bias = tl.load(bias_ptr + cols, mask=mask)
        x = tl.load(x_ptr + cols, mask=mask, other=0.0).to(tl.float32)
        out = (x - mean) * rstd * weight + bias
        tl.store(out_ptr + cols, out.to(out_ptr.dtype.element_ty), mask=mask)


@triton.jit
def dropout_kernel(x_ptr, out_ptr, n_elements, p, seed, BLOCK_SIZE: tl.constexpr):
    offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    mask = offsets < n_elements
    x = tl.load(x_ptr + offsets, mask=mask)
    keep = tl.rand(seed, offsets) > p
    tl.store(out_ptr + offsets, tl.where(keep, x / (1 - p), 0.0).to(out_ptr.dtype.element_ty), mask=mask)


def launch_add(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    add_kernel[(triton.cdiv(x.numel(), BLOCK_SIZE),)](x, y, out, x.numel(), BLOCK_SIZE=BLOCK_SIZE)
    return out


def launch_strided_copy(x: torch.Tensor) -> torch.Tensor:
    """Copy a one-dimensional view of any stride into a contiguous tensor."""
    out = x.new_empty(x.shape)
    grid = (triton.cdiv(x.numel(), BLOCK_SIZE),)
    strided_copy_kernel[grid](x, out, x.numel(), x.stride(0), BLOCK_SIZE=BLOCK_SIZE)
    return out


def launch_transpose_naive(x: torch.Tensor) -> torch.Tensor:
    n_rows, n_cols = x.shape
    out = x.new_empty((n_cols, n_rows))
    transpose_naive_kernel[(n_rows, triton.cdiv(n_cols, 256))](x, out, n_rows, n_cols, BLOCK_SIZE=256)
    return out


def launch_transpose_tiled(x: torch.Tensor) -> torch.Tensor:
    n_rows, n_cols = x.shape
    out = x.new_empty((n_cols, n_rows))
    grid = (triton.cdiv(n_rows, TILE_SIZE), triton.cdiv(n_cols, TILE_SIZE))
    transpose_tiled_kernel[grid](x, out, n_rows, n_cols, TILE=TILE_SIZE)
    return out


def launch_gelu(x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    grid = (triton.cdiv(x.numel(), BLOCK_SIZE),)
    gelu_kernel[grid](x, bias, residual, out, x.numel(), x.shape[1], BLOCK_SIZE=BLOCK_SIZE)
    return out


def launch_gelu_libdevice(x: torch.Tensor) -> torch.Tensor:
    out = torch.empty_like(x)
    gelu_libdevice_kernel[(triton.cdiv(x.numel(), BLOCK_SIZE),)](x, out, x.numel(), BLOCK_SIZE=BLOCK_SIZE)
    return out


def launch_softmax(x: torch.Tensor) -> torch.Tensor:
    n_rows, n_cols = x.shape
    out = x.new_empty(x.shape)
    block = triton.next_power_of_2(n_cols)
    softmax_kernel[(n_rows,)](x, out, x.stride(0), out.stride(0), n_cols, BLOCK_SIZE=block)
    return out


def launch_layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    n_rows, n_cols = x.shape
    out = x.new_empty(x.shape)
    layer_norm_kernel[(n_rows,)](x, weight, bias, out, x.stride(0), n_cols, 1e-5, BLOCK_SIZE=512)
    return out


def launch_dropout(x: torch.Tensor, p: float = 0.25, seed: int = 123) -> torch.Tensor:
    out = torch.empty_like(x)
    dropout_kernel[(triton.cdiv(x.numel(), BLOCK_SIZE),)](x, out, x.numel(), p, seed, BLOCK_SIZE=BLOCK_SIZE)
    return out


def philox_uniform(seed: int, n_elements: int) -> torch.Tensor:
    """First word of Philox 4x32-10 with counter ``(i, 0, 0, 0)``, as Triton's ``tl.rand`` maps it into [0, 1).

    Parameters
    ----------
    seed : int
        The 64-bit key.
    n_elements : int
        How many counters, from 0.

    Returns
    -------
    torch.Tensor
        ``[n_elements]`` float32.

    Source
    ------
    Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
    """
    word = 0xFFFFFFFF
    low = torch.arange(n_elements, dtype=torch.int64)
    c0, c1, c2, c3 = low, torch.zeros_like(low), torch.zeros_like(low), torch.zeros_like(low)
    key0, key1 = seed & word, seed >> 32 & word
    for _ in range(10):
        high_a, low_a = _multiply_high_low(0xD2511F53, c0)
        high_b, low_b = _multiply_high_low(0xCD9E8D57, c2)
        c0, c1, c2, c3 = high_b ^ c1 ^ key0, low_b, high_a ^ c3 ^ key1, low_a
        key0, key1 = (key0 + 0x9E3779B9) & word, (key1 + 0xBB67AE85) & word
    signed = torch.where(c0 > 0x7FFFFFFF, c0 - (1 << 32), c0)
    return torch.where(signed < 0, -signed - 1, signed).to(torch.float32) * 4.6566127342e-10


def _multiply_high_low(constant: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    # A 32 x 32 bit product does not fit int64's sign, so the constant is split into two halves.
    low_product = x * (constant & 0xFFFF)
    high_product = x * (constant >> 16) + (low_product >> 16)
    return high_product >> 16, (high_product << 16 | low_product & 0xFFFF) & 0xFFFFFFFF


def reference_dropout(x: torch.Tensor, p: float = 0.25, seed: int = 123) -> torch.Tensor:
    keep = philox_uniform(seed, x.numel()).reshape(x.shape) > p
    return torch.where(keep, x.float() / (1 - p), 0.0).to(x.dtype)


def reference_gelu(x: torch.Tensor, bias: torch.Tensor, residual: torch.Tensor) -> torch.Tensor:
    out = torch.nn.functional.gelu(x.float() + bias.float(), approximate="tanh") + residual.float()
    return out.to(x.dtype)


def reference_gelu_libdevice(x: torch.Tensor) -> torch.Tensor:
    return torch.nn.functional.gelu(x.float(), approximate="tanh").to(x.dtype)


def reference_layer_norm(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    shape = (x.shape[1],)
    return torch.nn.functional.layer_norm(x.float(), shape, weight.float(), bias.float(), 1e-5).to(x.dtype)


@dataclasses.dataclass(frozen=True)
class KernelCase:
    """One kernel, its inputs and what it must return.

    ``inputs(shape, dtype, generator)`` makes the tensors, ``launch(*inputs)`` runs the Triton kernel on them,
    ``reference(*inputs)`` is the same function in PyTorch and ``native(*inputs)`` what a PyTorch user would call
    for it (the reference, unless the reference spells out something slower). ``ulps`` is how far a result may lie
    from the reference, in units of the output type's epsilon relative to the larger of 1 and its size. A kernel is
    ``streaming`` where it loads and stores contiguous memory, every element once.
    """

    name: str
    inputs: Callable[[Shape, torch.dtype, torch.Generator], Tensors]
    launch: Callable[..., torch.Tensor]
    reference: Callable[..., torch.Tensor]
    shapes: tuple[Shape, ...]
    benchmark_shape: Shape
    dtypes: tuple[torch.dtype, ...] = (torch.float32,)
    ulps: float = 0.0
    interpretable: bool = True
    native: Callable[..., torch.Tensor] | None = None
    streaming: bool = False

    def tolerance(self, dtype: torch.dtype) -> float:
        """Absolute and relative tolerance for results of ``dtype``."""
        return self.ulps * torch.finfo(dtype).eps if dtype.is_floating_point else 0.0


def normal(*shapes: Shape, generator: torch.Generator, dtype: torch.dtype) -> Tensors:
    """Standard normal tensors, one per shape."""
    return tuple(torch.randn(shape, generator=generator).to(dtype) for shape in shapes)


def _one(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
    return normal(shape, generator=generator, dtype=dtype)


def _two(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
    return normal(shape, shape, generator=generator, dtype=dtype)


def _strided(stride: int) -> Callable[[Shape, torch.dtype, torch.Generator], Tensors]:
    def inputs(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
        (whole,) = normal((math.prod(shape) * stride,), generator=generator, dtype=dtype)
        return (whole[::stride],)

    return inputs


def _gelu(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
    return normal(shape, shape[1:], shape, generator=generator, dtype=dtype)


def _layer_norm(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
    return normal(shape, shape[1:], shape[1:], generator=generator, dtype=dtype)


def _padded_rows(shape: Shape, dtype: torch.dtype, generator: torch.Generator) -> Tensors:
    # Rows of a wider tensor: the row stride differs from the number of columns.
    (whole,) = normal((shape[0], shape[1] + 3), generator=generator, dtype=dtype)
    return (whole[:, : shape[1]],)


def _transpose(x: torch.Tensor) -> torch.Tensor:
    return x.t().contiguous()


def _softmax(x: torch.Tensor) -> torch.Tensor:
    return torch.softmax(x.float(), dim=1).to(x.dtype)


FLOATS = (torch.float32, torch.float16, torch.bfloat16)
VECTORS: tuple[Shape, ...] = ((1,), (BLOCK_SIZE - 1,), (BLOCK_SIZE,), (BLOCK_SIZE + 1,), (7919,))
MATRICES: tuple[Shape, ...] = ((1, 1), (31, 33), (32, 32), (3, 257), (67, 129))
ROWS: tuple[Shape, ...] = ((1, 1), (3, 127), (2, 128), (5, 129), (7, 1009))
GELU_ROWS: tuple[Shape, ...] = ((1, 1), (3, 341), (4, 256), (5, 205), (7, 1009))

CASES: tuple[KernelCase, ...] = (
    KernelCase(
        "vector_add",
        _two,
        launch_add,
        torch.add,
        VECTORS,
        (1 << 20,),
        dtypes=(*FLOATS, torch.int32, torch.float64),
        streaming=True,
    ),
    *(
        KernelCase(
            f"strided_copy_{stride}",
            _strided(stride),
            launch_strided_copy,
            torch.clone,
            VECTORS,
            (1 << 20,),
            dtypes=(torch.float32, torch.bfloat16, torch.int64),
            native=torch.Tensor.contiguous if stride > 1 else torch.clone,
            streaming=stride == 1,
        )
        for stride in (1, 2, 8, 32)
    ),
    KernelCase(
        "transpose_naive", _one, launch_transpose_naive, _transpose, MATRICES, (1024, 1024), (torch.float32, torch.int8)
    ),
    KernelCase(
        "transpose_tiled", _one, launch_transpose_tiled, _transpose, MATRICES, (1024, 1024), (*FLOATS, torch.int8)
    ),
    # exp, division and the sum may each be off by an ulp or two of float32, and cancel in 1 + tanh.
    KernelCase(
        "gelu_tanh", _gelu, launch_gelu, reference_gelu, GELU_ROWS, (1024, 1024), FLOATS, ulps=8, streaming=True
    ),
    KernelCase(
        "gelu_libdevice",
        _one,
        launch_gelu_libdevice,
        reference_gelu_libdevice,
        VECTORS,
        (1 << 20,),
        FLOATS,
        ulps=8,
        interpretable=False,
        streaming=True,
    ),
    KernelCase("softmax", _one, launch_softmax, _softmax, ROWS, (1024, 1000), FLOATS, ulps=4, streaming=True),
    KernelCase(
        "softmax_padded_rows", _padded_rows, launch_softmax, _softmax, ROWS, (1024, 1000), ulps=4, streaming=True
    ),
    # The mean of up to n_cols terms is summed in another order than PyTorch's.
    KernelCase("layer_norm", _layer_norm, launch_layer_norm, reference_layer_norm, ROWS, (1024, 1000), FLOATS, ulps=16),
    # x / (1 - p) is an approximate division: the kept values may differ in the last place.
    KernelCase(
        "dropout",
        _one,
        launch_dropout,
        reference_dropout,
        VECTORS,
        (1 << 20,),
        FLOATS,
        ulps=4,
        native=lambda x: torch.nn.functional.dropout(x, 0.25),
        streaming=True,
    ),
)
