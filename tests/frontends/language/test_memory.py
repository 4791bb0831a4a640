"""Block pointers, tensor descriptors, modifiers of loads and stores, and types that share a pointer."""

import pytest
import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

block_pointers = pytest.mark.filterwarnings("ignore:tl.make_block_ptr is deprecated:UserWarning")


@triton.jit
def block_pointer_kernel(x_ptr, out_ptr, n_rows, n_cols, stride, R: tl.constexpr, C: tl.constexpr, PAD: tl.constexpr):
    source = tl.make_block_ptr(x_ptr, (n_rows, n_cols), (stride, 1), (tl.program_id(0) * R, 0), (R, C), (1, 0))
    target = tl.make_block_ptr(out_ptr, (n_rows, n_cols), (n_cols, 1), (tl.program_id(0) * R, 0), (R, C), (1, 0))
    for _ in range(0, n_cols, C):
        x = tl.load(source, boundary_check=(0, 1), padding_option=PAD)
        tl.store(target, x + tl.where(x == x, 1.0, 2.0).to(x.dtype), boundary_check=(0, 1))
        source = tl.advance(source, (0, C))
        target = tl.advance(target, (0, C))


@block_pointers
@pytest.mark.parametrize("padding", ["zero", "nan"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_block_pointers(dtype, padding):
    x = torch.randn(37, 90).to(dtype)[:, :70]
    out = torch.full((38, 70), 99.0, dtype=dtype)
    block_pointer_kernel[(3,)](x, out, 37, 70, x.stride(0), 16, 32, padding)
    assert torch.equal(out[:37], x + 1)
    assert (out[37] == 99).all()  # the row behind the end is as it was


@triton.jit
def transposed_pointer_kernel(x_ptr, out_ptr, M: tl.constexpr, N: tl.constexpr):
    source = tl.make_block_ptr(x_ptr, (N, M), (1, N), (0, 0), (N, M), (0, 1))  # columns as rows
    target = tl.make_block_ptr(out_ptr, (N, M), (M, 1), (0, 0), (N, M), (1, 0))
    tl.store(target, tl.load(source))


@block_pointers
def test_block_pointer_of_columns():
    x, out = torch.randn(16, 32), torch.empty(32, 16)
    transposed_pointer_kernel[(1,)](x, out, 16, 32)
    assert torch.equal(out, x.T)


@triton.jit
def device_descriptor_kernel(x_ptr, out_ptr, n_rows, n_cols, R: tl.constexpr, C: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, shape=[n_rows, n_cols], strides=[n_cols, 1], block_shape=[R, C])
    out = tl.make_tensor_descriptor(out_ptr, shape=[n_rows, n_cols], strides=[n_cols, 1], block_shape=[R, C])
    row, col = tl.program_id(0) * R, tl.program_id(1) * C
    out.store([row, col], x.load([row, col]) * 2)


def test_descriptor_made_in_the_kernel():
    x, out = torch.randn(50, 40), torch.full((51, 40), 7.0)
    device_descriptor_kernel[(4, 3)](x, out, 50, 40, 16, 16)
    assert torch.equal(out[:50], 2 * x)
    assert (out[50] == 7).all()


@triton.jit
def descriptor_kernel(x, out, KIND: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    row, col = tl.program_id(0) * R, tl.program_id(1) * C
    block = x.load([row, col])
    if KIND == "add":
        out.atomic_add([row, col], block)
    elif KIND == "max":
        out.atomic_max([row, col], block)
    elif KIND == "transpose":
        out.store([col, row], tl.trans(block))
    else:
        out.store([row, col], block)


@pytest.mark.parametrize(
    ("kind", "dtype"),  # Triton has no maximum of floats here
    [(kind, dtype) for kind in ("copy", "add", "transpose") for dtype in (torch.float32, torch.int32, torch.float16)]
    + [("max", torch.int32)],
    ids=str,
)
def test_descriptors_of_the_host(kind, dtype):
    x, out = torch.randint(-9, 9, (48, 40)).to(dtype), torch.ones(48, 40, dtype=dtype)
    if kind == "transpose":
        out = out.T.contiguous()
    make = TensorDescriptor.from_tensor
    descriptor_kernel[(3, 2)](make(x, [16, 32]), make(out, [32, 16] if kind == "transpose" else [16, 32]), kind, 16, 32)
    expected = {"copy": x, "add": x + 1, "max": x.clamp(min=1), "transpose": x.T}[kind]
    assert torch.equal(out, expected)


@triton.jit
def gather_rows_kernel(x, rows_ptr, out_ptr, N: tl.constexpr, C: tl.constexpr):
    at = tl.arange(0, N)
    block = x.gather(tl.load(rows_ptr + at), 8)
    tl.store(out_ptr + at[:, None] * C + tl.arange(0, C)[None, :], block)


@triton.jit
def scatter_rows_kernel(out, rows_ptr, x_ptr, N: tl.constexpr, C: tl.constexpr):
    at = tl.arange(0, N)
    block = tl.load(x_ptr + at[:, None] * C + tl.arange(0, C)[None, :])
    out.scatter(block, tl.load(rows_ptr + at), 8)


def test_descriptor_gathers_and_scatters_rows():
    x, rows = torch.randn(40, 64), torch.randperm(40)[:16].int()
    out = torch.empty(16, 32)
    gather_rows_kernel[(1,)](TensorDescriptor.from_tensor(x, [1, 32]), rows, out, 16, 32)
    assert torch.equal(out, x[rows.long(), 8:40])
    back = torch.zeros(40, 64)
    scatter_rows_kernel[(1,)](TensorDescriptor.from_tensor(back, [1, 32]), rows, out, 16, 32)
    expected = torch.zeros(40, 64)
    expected[rows.long(), 8:40] = out
    assert torch.equal(back, expected)


@triton.jit
def modifiers_kernel(
    x_ptr, out_ptr, n, LOAD: tl.constexpr, STORE: tl.constexpr, EVICT: tl.constexpr, VOLATILE: tl.constexpr
):
    at = tl.program_id(0) * 256 + tl.arange(0, 256)
    x = tl.load(x_ptr + at, mask=at < n, other=3, cache_modifier=LOAD, eviction_policy=EVICT, volatile=VOLATILE)
    tl.store(out_ptr + at, x, mask=at < n + 1, cache_modifier=STORE, eviction_policy=EVICT)


@pytest.mark.parametrize("dtype", [torch.int8, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("load", "store", "evict", "volatile"),
    [
        *((load, "", "", False) for load in ("", ".ca", ".cg", ".cv")),
        *(("", store, "", False) for store in (".wb", ".cg", ".cs", ".wt")),
        *(("", "", evict, False) for evict in ("evict_first", "evict_last")),
        ("", "", "", True),
    ],
)
def test_modifiers_change_nothing_but_caching(load, store, evict, volatile, dtype):
    x = torch.randint(-9, 9, (400,)).to(dtype)
    out = torch.zeros(512, dtype=dtype)
    modifiers_kernel[(2,)](x, out, 400, load, store, evict, volatile)
    assert torch.equal(out[:400], x)
    assert out[400] == 3
    assert not out[401:].any()


@triton.jit
def views_kernel(x_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x = tl.load(x_ptr.to(tl.pointer_type(tl.int32)) + at)
    tl.store(out_ptr + at, (x ^ -0x80000000).to(tl.float32, bitcast=True))


def test_pointer_of_another_type_and_bitcast():
    x = torch.randn(256)
    out = torch.empty(256)
    views_kernel[(1,)](x, out, 256)
    assert torch.equal(out, -x)


@triton.jit
def booleans_kernel(x_ptr, y_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.load(x_ptr + at), tl.load(y_ptr + at)
    tl.store(out_ptr + at, (x & ~y) | (y > x))


def test_booleans():
    x, y = torch.rand(128) < 0.5, torch.rand(128) < 0.5
    out = torch.empty(128, dtype=torch.bool)
    booleans_kernel[(1,)](x, y, out, 128)
    assert torch.equal(out, x ^ y)


@triton.jit
def rounding_kernel(x_ptr, out_ptr, N: tl.constexpr, HOW: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(out_ptr + at, tl.load(x_ptr + at).to(out_ptr.dtype.element_ty, fp_downcast_rounding=HOW))


@pytest.mark.parametrize("how", ["rtne", "rtz"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_rounding_of_downcasts(dtype, how):
    x = torch.randn(256)
    out = torch.empty(256, dtype=dtype)
    rounding_kernel[(1,)](x, out, 256, how)
    if how == "rtne":
        assert torch.equal(out, x.to(dtype))
    else:
        assert (out.double().abs() <= x.double().abs()).all()
        away = torch.where(
            x > 0,
            torch.nextafter(out, torch.tensor(float("inf"), dtype=dtype)),
            torch.nextafter(out, -torch.tensor(float("inf"), dtype=dtype)),
        )
        assert (away.double().abs() > x.double().abs()).all()
