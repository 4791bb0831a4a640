"""Operations on whole blocks: sorts, scans, reductions, gathers, and changes of shape, against PyTorch."""

import pytest
import torch
import triton
import triton.language as tl

DTYPES = [torch.int8, torch.int16, torch.int32, torch.int64, torch.float16, torch.bfloat16, torch.float32]
DTYPES += [torch.float64, torch.uint8]
N_ROWS, N_COLS = 4, 64


def values(dtype, *shape, seed=0):
    """All different in a row where the type has room for it."""
    generator = torch.Generator().manual_seed(seed)
    if dtype.is_floating_point:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)
    low = 0 if dtype == torch.uint8 else -100
    return torch.randint(low, 100, shape, generator=generator).to(dtype)


@triton.jit
def _rows(x_ptr, R: tl.constexpr, C: tl.constexpr):
    return tl.load(x_ptr + tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :])


@triton.jit
def _put(out_ptr, x, R: tl.constexpr, C: tl.constexpr):
    tl.store(out_ptr + tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :], x)


@triton.jit
def sort_kernel(x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr, DESCENDING: tl.constexpr):
    _put(out_ptr, tl.sort(_rows(x_ptr, R, C), dim=1, descending=DESCENDING), R, C)


@pytest.mark.parametrize("descending", [False, True], ids=["up", "down"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sort(dtype, descending):
    x = values(dtype, N_ROWS, N_COLS)
    out = torch.empty_like(x)
    sort_kernel[(1,)](x, out, N_ROWS, N_COLS, descending)
    assert torch.equal(out, x.sort(-1, descending=descending).values)


@triton.jit
def topk_kernel(x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr, K: tl.constexpr):
    _put(out_ptr, tl.topk(_rows(x_ptr, R, C), K, dim=1), R, K)


def test_topk():
    x = values(torch.float32, N_ROWS, N_COLS)
    out = torch.empty(N_ROWS, 8)
    topk_kernel[(1,)](x, out, N_ROWS, N_COLS, 8)
    assert torch.equal(out, x.topk(8, -1).values)


@triton.jit
def flip_kernel(x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr):
    _put(out_ptr, tl.flip(_rows(x_ptr, R, C), dim=1), R, C)


def test_flip():
    x = values(torch.int32, N_ROWS, N_COLS)
    out = torch.empty_like(x)
    flip_kernel[(1,)](x, out, N_ROWS, N_COLS)
    assert torch.equal(out, x.flip(-1))


@triton.jit
def _add(a, b):
    return a + b


@triton.jit
def _largest(a, b):
    return tl.maximum(a, b)


@triton.jit
def _affine(a, b, c, d):
    return a * c, b * c + d


@triton.jit
def scan_kernel(
    x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr, KIND: tl.constexpr, AXIS: tl.constexpr, BACK: tl.constexpr
):
    x = _rows(x_ptr, R, C)
    if KIND == "sum":
        x = tl.cumsum(x, AXIS, reverse=BACK, dtype=x.dtype)
    elif KIND == "product":
        x = tl.cumprod(x, AXIS, reverse=BACK)
    elif KIND == "max":
        x = tl.associative_scan(x, AXIS, _largest, reverse=BACK)
    _put(out_ptr, x.to(out_ptr.dtype.element_ty), R, C)


@pytest.mark.parametrize("back", [False, True], ids=["forward", "back"])
@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("sum", torch.int32), ("sum", torch.int64), ("sum", torch.int8), ("sum", torch.float64), ("product", torch.int32)]
    + [("max", dtype) for dtype in (torch.float16, torch.float32, torch.float64, torch.int16)],
    ids=str,
)
def test_scan(kind, dtype, axis, back):
    x = values(dtype, 16, N_COLS)
    if kind == "product":
        x = x % 3 + 1
    out = torch.empty_like(x)
    scan_kernel[(1,)](x, out, 16, N_COLS, kind, axis, back)
    expected = x.flip(axis) if back else x
    if kind == "max":
        expected = expected.cummax(axis).values
    else:
        expected = getattr(expected, {"sum": "cumsum", "product": "cumprod"}[kind])(axis, dtype=x.dtype)
    expected = expected.flip(axis) if back else expected
    if kind == "sum" and dtype == torch.float64:  # in another order
        torch.testing.assert_close(out, expected, rtol=0, atol=1e-13)
    else:
        assert torch.equal(out, expected)


@triton.jit
def recurrence_kernel(a_ptr, b_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    _, h = tl.associative_scan((tl.load(a_ptr + at), tl.load(b_ptr + at)), 0, _affine)
    tl.store(out_ptr + at, h)


@pytest.mark.parametrize("num_warps", [1, 2, 8])
def test_scan_of_pairs(num_warps):
    n = 256
    a, b = torch.rand(n, dtype=torch.float64), torch.randn(n, dtype=torch.float64)
    out, expected, h = torch.empty_like(a), [], 0.0
    recurrence_kernel[(1,)](a, b, out, n, num_warps=num_warps)
    for factor, term in zip(a.tolist(), b.tolist(), strict=True):
        h = factor * h + term
        expected.append(h)
    torch.testing.assert_close(out, torch.tensor(expected, dtype=torch.float64), rtol=1e-12, atol=1e-12)


@triton.jit
def reduce_kernel(x_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr, KIND: tl.constexpr):
    x = _rows(x_ptr, R, C)
    if KIND == "sum":
        y = tl.sum(x, axis=1)
    elif KIND == "max":
        y = tl.max(x, axis=1)
    elif KIND == "min":
        y = tl.min(x, axis=1)
    elif KIND == "argmax":
        y = tl.argmax(x, axis=1)
    elif KIND == "argmin":
        y = tl.argmin(x, axis=1)
    elif KIND == "xor":
        y = tl.xor_sum(x, axis=1)
    elif KIND == "or":
        y = tl.reduce_or(x, axis=1)
    else:
        y = tl.reduce(x, 1, _add)
    tl.store(out_ptr + tl.arange(0, R), y.to(out_ptr.dtype.element_ty))


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [(kind, dtype) for kind in ("sum", "argmax") for dtype in DTYPES]
    + [(kind, dtype) for kind in ("max", "min", "argmin") for dtype in (torch.uint8, torch.int64, torch.bfloat16)],
    ids=str,
)
def test_reduce(kind, dtype):
    x = values(dtype, N_ROWS, N_COLS)
    if kind.startswith("arg"):
        out = torch.empty(N_ROWS, dtype=torch.int32)
        expected = getattr(x.double(), kind)(-1).int()  # the first of equals, here as there
        equals = (x.double() == getattr(x.double(), "a" + kind[3:])(-1, keepdim=True)).int()
        expected = equals.argmax(-1).int()
    else:
        out = torch.empty(N_ROWS, dtype=torch.float32 if dtype.is_floating_point and dtype.itemsize < 8 else dtype)
        wide = x.double() if dtype.is_floating_point else x.long()
        expected = wide.sum(-1) if kind == "sum" else getattr(wide, f"a{kind}")(-1)
        expected = expected.to(out.dtype)
    reduce_kernel[(1,)](x, out, N_ROWS, N_COLS, kind)
    # float16 and bfloat16 are summed in their own type: 64 terms, each rounded.
    tolerance = {torch.float16: 0.05, torch.bfloat16: 0.5, torch.float32: 1e-5, torch.float64: 1e-13}.get(dtype, 0.0)
    if kind == "sum" and tolerance:
        torch.testing.assert_close(out, expected, rtol=0, atol=tolerance)
    else:
        assert torch.equal(out, expected)


@pytest.mark.parametrize(("kind", "fold"), [("xor", "__xor__"), ("or", "__or__"), ("own", "__add__")])
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
def test_reduce_of_bits(kind, fold, dtype):
    x = values(dtype, N_ROWS, N_COLS)
    out, expected = torch.empty(N_ROWS, dtype=dtype), torch.zeros(N_ROWS, dtype=dtype)
    reduce_kernel[(1,)](x, out, N_ROWS, N_COLS, kind)
    for column in x.T:
        expected = getattr(expected, fold)(column)
    assert torch.equal(out, expected)


@triton.jit
def ties_kernel(x_ptr, out_ptr, N: tl.constexpr, LEFT: tl.constexpr):
    _, at = tl.max(tl.load(x_ptr + tl.arange(0, N)), 0, return_indices=True, return_indices_tie_break_left=LEFT)
    tl.store(out_ptr, at)


def test_the_left_one_of_equals_wins():
    x, out = torch.zeros(512), torch.empty(1, dtype=torch.int32)
    x[[77, 78, 300, 511]] = 5.0
    ties_kernel[(1,)](x, out, 512, True)
    assert out.item() == 77
    ties_kernel[(1,)](x, out, 512, False)
    assert out.item() in (77, 78, 300, 511)


@triton.jit
def gather_kernel(x_ptr, at_ptr, out_ptr, R: tl.constexpr, C: tl.constexpr, AXIS: tl.constexpr):
    _put(out_ptr, tl.gather(_rows(x_ptr, R, C), _rows(at_ptr, R, C), AXIS), R, C)


@pytest.mark.parametrize("axis", [0, 1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.int64], ids=str)
def test_gather(dtype, axis):
    x = values(dtype, 32, 32)
    at = torch.randint(0, 32, (32, 32), dtype=torch.int32)
    out = torch.empty_like(x)
    gather_kernel[(1,)](x, at, out, 32, 32, axis)
    assert torch.equal(out, x.gather(axis, at.long()))


@triton.jit
def histogram_kernel(x_ptr, out_ptr, n, N: tl.constexpr, BINS: tl.constexpr):
    at = tl.arange(0, N)
    counts = tl.histogram(tl.load(x_ptr + at, mask=at < n, other=0), BINS, mask=at < n)
    tl.store(out_ptr + tl.arange(0, BINS), counts)


@pytest.mark.parametrize("bins", [2, 32, 256])
def test_histogram(bins):
    x = torch.randint(0, bins, (500,), dtype=torch.int32)
    out = torch.empty(bins, dtype=torch.int32)
    histogram_kernel[(1,)](x, out, 500, 512, bins)
    assert torch.equal(out, x.bincount(minlength=bins).int())


@triton.jit
def shapes_kernel(x_ptr, y_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.load(x_ptr + at), tl.load(y_ptr + at)
    joined = tl.join(x, y)  # [N, 2]
    mixed = tl.interleave(x, y)  # [2 N]
    a, b = tl.split(tl.permute(tl.reshape(mixed, [2, N // 2, 2]), [1, 2, 0]))
    tl.store(out_ptr + tl.arange(0, 2 * N), mixed)
    tl.store(out_ptr + 2 * N + tl.arange(0, N), tl.ravel(a))
    tl.store(out_ptr + 3 * N + tl.arange(0, N), tl.reshape(b, [N]))
    tl.store(
        out_ptr + 4 * N + tl.arange(0, N // 2)[:, None] * 4 + tl.arange(0, 4)[None, :], tl.reshape(joined, [N // 2, 4])
    )
    tl.store(out_ptr + 6 * N + tl.arange(0, 2 * N), tl.cat(x, y, can_reorder=True))
    three = tl.trans(tl.reshape(mixed, [N // 4, 4, 2]), 2, 0, 1)
    tl.store(out_ptr + 8 * N + tl.arange(0, 2 * N), tl.ravel(three))
    wide = tl.broadcast_to(tl.expand_dims(x, 1), [N, 2])
    tl.store(out_ptr + 10 * N + tl.arange(0, 2 * N), tl.ravel(wide))


@pytest.mark.parametrize("dtype", [torch.int8, torch.float16, torch.float32, torch.int64], ids=str)
def test_shapes(dtype):
    n = 64
    x, y = values(dtype, n), values(dtype, n, seed=1)
    out = torch.empty(12 * n, dtype=dtype)
    shapes_kernel[(1,)](x, y, out, n)
    mixed = torch.stack([x, y], 1).flatten()
    a, b = mixed.view(2, n // 2, 2).permute(1, 2, 0).unbind(-1)
    assert torch.equal(out[: 2 * n], mixed)
    assert torch.equal(out[2 * n : 3 * n], a.flatten())
    assert torch.equal(out[3 * n : 4 * n], b.flatten())
    assert torch.equal(out[4 * n : 6 * n], mixed)
    assert torch.equal(out[6 * n : 8 * n].sort().values, torch.cat([x, y]).sort().values)  # may be reordered
    assert torch.equal(out[8 * n : 10 * n], mixed.view(n // 4, 4, 2).permute(2, 0, 1).flatten())
    assert torch.equal(out[10 * n :], x.repeat_interleave(2))


@triton.jit
def _larger_first(a, b):
    if a < b:
        a, b = b, a
    return a, b


@triton.jit
def map_kernel(x_ptr, y_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    x, y = tl.map_elementwise(_larger_first, tl.load(x_ptr + at), tl.load(y_ptr + at))
    tl.store(x_ptr + at, x)
    tl.store(y_ptr + at, y)


def test_map_elementwise():
    x, y = values(torch.int32, 256), values(torch.int32, 256, seed=1)
    low, high = torch.minimum(x, y), torch.maximum(x, y)
    map_kernel[(1,)](x, y, 256)
    assert torch.equal(x, high)
    assert torch.equal(y, low)
