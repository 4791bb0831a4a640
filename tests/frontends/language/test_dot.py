"""Matrix products in every type and precision that Triton has for sm_80, against PyTorch in float64."""

import pytest
import torch
import triton
import triton.language as tl

M, N, K = 32, 32, 64


@triton.jit
def dot_kernel(
    a_ptr, b_ptr, c_ptr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr, PRECISION: tl.constexpr, OUT: tl.constexpr
):
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    a = tl.load(a_ptr + m[:, None] * K + k[None, :])
    b = tl.load(b_ptr + k[:, None] * N + n[None, :])
    c = tl.dot(a, b, input_precision=PRECISION, out_dtype=OUT)
    tl.store(c_ptr + m[:, None] * N + n[None, :], c.to(c_ptr.dtype.element_ty))


def product(a, b, out=torch.float32, precision=None, accumulator=tl.float32, **options):
    c = torch.empty(a.shape[0], b.shape[1], dtype=out)
    dot_kernel[(1,)](a, b, c, a.shape[0], b.shape[1], a.shape[1], precision, accumulator, **options)
    return c


# Of sums of 64 products of normal numbers: tf32 keeps 11 bits of each factor, three tf32 products nearly all of
# float32's, bf16x3 16 of 24, bf16x6 nearly all.
@pytest.mark.parametrize(
    ("precision", "tolerance"), [("ieee", 3e-5), ("tf32", 4e-2), ("tf32x3", 3e-5), ("bf16x3", 1e-3), ("bf16x6", 2e-5)]
)
def test_precisions_of_float32(precision, tolerance):
    a, b = torch.randn(M, K), torch.randn(K, N)
    expected = a.double() @ b.double()
    torch.testing.assert_close(product(a, b, precision=precision).double(), expected, rtol=0, atol=tolerance)


def test_tf32_keeps_ten_bits_of_fraction():
    a = torch.zeros(M, K)
    a[:, 0] = 1 + 2.0**-10
    a[:, 1] = 2.0**-12  # would be lost next to 1 in tf32, but is a factor of its own
    b = torch.ones(K, N)
    assert torch.equal(product(a, b, precision="tf32"), torch.full((M, N), 1 + 2.0**-10 + 2.0**-12))


@pytest.mark.parametrize("num_warps", [1, 4, 8])
@pytest.mark.parametrize("shape", [(16, 16, 16), (64, 32, 32), (128, 64, 64)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_halves(dtype, shape, num_warps):
    m, n, k = shape
    a, b = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)
    expected = a.double() @ b.double()
    got = product(a, b, num_warps=num_warps).double()
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)  # summed in float32


def test_float16_accumulator():
    a, b = torch.randn(M, K).half(), torch.randn(K, N).half()
    got = product(a, b, torch.float16, accumulator=tl.float16).double()
    torch.testing.assert_close(got, a.double() @ b.double(), rtol=0, atol=0.1)  # 4 sums rounded to 11 bits each


def test_float64():
    a, b = torch.randn(M, K, dtype=torch.float64), torch.randn(K, N, dtype=torch.float64)
    got = product(a, b, torch.float64, accumulator=tl.float64)
    torch.testing.assert_close(got, a @ b, rtol=0, atol=1e-12)


def test_int8():
    a, b = (torch.randint(-128, 128, shape, dtype=torch.int8) for shape in ((M, K), (K, N)))
    got = product(a, b, torch.int32, accumulator=tl.int32)
    assert torch.equal(got, a.int() @ b.int())


@pytest.mark.parametrize("dtype", [torch.float8_e5m2, torch.float8_e4m3fn], ids=str)
def test_float8(dtype):
    a, b = torch.randn(M, K).to(dtype), torch.randn(K, N).to(dtype)
    if dtype == torch.float8_e4m3fn:  # the compiler's rule for sm_80, not ours
        with pytest.raises(triton.CompilationError, match="fp8e4nv not supported"):
            product(a, b)
        return
    torch.testing.assert_close(product(a, b).double(), a.double() @ b.double(), rtol=0, atol=1e-4)


@triton.jit
def batched_kernel(a_ptr, b_ptr, c_ptr, B: tl.constexpr, M: tl.constexpr, N: tl.constexpr, K: tl.constexpr):
    batch = tl.arange(0, B)[:, None, None]
    m, n, k = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K)
    a = tl.load(a_ptr + batch * M * K + m[None, :, None] * K + k[None, None, :])
    b = tl.load(b_ptr + batch * K * N + k[None, :, None] * N + n[None, None, :])
    tl.store(c_ptr + batch * M * N + m[None, :, None] * N + n[None, None, :], tl.dot(a, b))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32], ids=str)
def test_batches(dtype):
    a, b, c = torch.randn(4, 16, 32).to(dtype), torch.randn(4, 32, 16).to(dtype), torch.empty(4, 16, 16)
    batched_kernel[(1,)](a, b, c, 4, 16, 16, 32)
    wide_a, wide_b = a.double(), b.double()
    # TF32 keeps 10 bits of each factor, so a product is off by up to 2 parts in 2**10; the sum is in float32.
    allowed = wide_a.abs() @ wide_b.abs() * 2**-9 if dtype == torch.float32 else 1e-4
    assert ((c.double() - wide_a @ wide_b).abs() <= allowed).all()


@triton.jit
def chain_kernel(a_ptr, b_ptr, c_ptr, S: tl.constexpr):
    at = tl.arange(0, S)[:, None] * S + tl.arange(0, S)[None, :]
    a, b = tl.load(a_ptr + at), tl.load(b_ptr + at)
    c = tl.dot(a, b, acc=tl.full([S, S], 1.0, tl.float32))
    c = tl.dot(tl.trans(c.to(a.dtype)), b, c)
    tl.store(c_ptr + at, c)


def test_chain_of_products_with_accumulators():
    a, b, c = torch.randn(32, 32).half(), torch.randn(32, 32).half(), torch.empty(32, 32)
    chain_kernel[(1,)](a, b, c, 32)
    first = a.double() @ b.double() + 1
    expected = first.half().double().T @ b.double() + first
    torch.testing.assert_close(c.double(), expected, rtol=0, atol=0.1)  # first may round to either neighbour in float16


@triton.jit
def scaled_kernel(
    a_ptr,
    as_ptr,
    b_ptr,
    bs_ptr,
    c_ptr,
    M: tl.constexpr,
    N: tl.constexpr,
    K: tl.constexpr,
    A: tl.constexpr,
    B: tl.constexpr,
):
    m, n, g = tl.arange(0, M), tl.arange(0, N), tl.arange(0, K // 32)
    KA: tl.constexpr = K // 2 if A == "e2m1" else K
    KB: tl.constexpr = K // 2 if B == "e2m1" else K
    a = tl.load(a_ptr + m[:, None] * KA + tl.arange(0, KA)[None, :])
    b = tl.load(b_ptr + tl.arange(0, KB)[:, None] * N + n[None, :])
    a_scale = tl.load(as_ptr + m[:, None] * (K // 32) + g[None, :])
    b_scale = tl.load(bs_ptr + n[:, None] * (K // 32) + g[None, :])
    c = tl.dot_scaled(a, a_scale, A, b, b_scale, B)
    tl.store(c_ptr + m[:, None] * N + n[None, :], c)


E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float64)


def scaled_operand(kind, *shape, axis):
    """(bytes as the kernel wants them, float64 values); 4-bit numbers are packed two a byte along ``axis``."""
    if kind == "e2m1":
        codes = torch.randint(0, 16, shape, dtype=torch.uint8)
        low, high = (codes.unflatten(axis, (-1, 2)).select(axis + 1, i) for i in (0, 1))
        return (low | high << 4).contiguous(), E2M1[codes.long()]
    numbers = torch.randn(*shape).to(torch.float8_e5m2)
    return numbers.view(torch.uint8), numbers.double()


@pytest.mark.parametrize(("a_kind", "b_kind"), [("e2m1", "e2m1"), ("e5m2", "e5m2"), ("e5m2", "e2m1"), ("e2m1", "e5m2")])
def test_dot_scaled(a_kind, b_kind):
    a_bytes, a = scaled_operand(a_kind, M, K, axis=1)
    b_bytes, b = scaled_operand(b_kind, K, N, axis=0)
    a_scale, b_scale = (torch.randint(124, 131, (size, K // 32), dtype=torch.uint8) for size in (M, N))
    c = torch.empty(M, N)
    scaled_kernel[(1,)](a_bytes, a_scale, b_bytes, b_scale, c, M, N, K, a_kind, b_kind)
    a_factor = (2.0 ** (a_scale.double() - 127)).repeat_interleave(32, 1)
    b_factor = (2.0 ** (b_scale.double() - 127)).repeat_interleave(32, 1).T
    expected = (a * a_factor) @ (b * b_factor)
    # Every factor is exact in bfloat16; the sums are in float32.
    torch.testing.assert_close(c.double(), expected, rtol=1e-5, atol=1e-3)
