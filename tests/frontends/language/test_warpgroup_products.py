"""``tl.dot`` compiled for sm_90, where it is ``wgmma``, against PyTorch: types, orders of operands, tiles."""

import re

import pytest
import torch
import triton
import triton.language as tl

import teachkit as tk
from teachkit.emulator import check, configure
from teachkit.frontends import target


@pytest.fixture(autouse=True)
def sm_90():
    target.set_architecture(90)
    yield
    target.set_architecture(None)


@triton.jit
def matmul_kernel(
    a_ptr, b_ptr, c_ptr, m, n, k, stride_am, stride_ak, stride_bk, stride_bn,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    inner = tl.arange(0, BK)
    total = tl.zeros((BM, BN), c_ptr.dtype.element_ty)
    for start in range(0, k, BK):
        at = start + inner
        inside_a = (rows[:, None] < m) & (at[None, :] < k)
        inside_b = (at[:, None] < k) & (cols[None, :] < n)
        a = tl.load(a_ptr + rows[:, None] * stride_am + at[None, :] * stride_ak, mask=inside_a, other=0.0)
        b = tl.load(b_ptr + at[:, None] * stride_bk + cols[None, :] * stride_bn, mask=inside_b, other=0.0)
        total = tl.dot(a, b, total, out_dtype=c_ptr.dtype.element_ty)
    tl.store(c_ptr + rows[:, None] * n + cols[None, :], total, mask=(rows[:, None] < m) & (cols[None, :] < n))


def small_numbers(shape, dtype, order="row"):
    """Whole numbers whose products and sums are exact in every type; ``order`` "col": stored by columns."""
    x = torch.randint(-4, 5, shape).to(dtype)
    return x if order == "row" else x.T.contiguous().T


def multiply(a, b, tile, out=torch.float32, **options):
    """C, and what its kernel is made of."""
    (m, k), (_, n) = a.shape, b.shape
    c = torch.full((m, n), -1).to(out)
    grid = (triton.cdiv(m, tile[0]), triton.cdiv(n, tile[1]))
    kernel = matmul_kernel[grid](a, b, c, m, n, k, *a.stride(), *b.stride(), *tile, **options)
    return c, kernel.asm["ptx"]


def products_in(ptx):
    """Opcodes of the products of a kernel, without what all have in common."""
    return set(re.findall(r"wgmma\.mma_async\.sync\.aligned\.(\S+)", ptx))


TYPES = {
    torch.float16: "m64n64k16.f32.f16.f16",
    torch.bfloat16: "m64n64k16.f32.bf16.bf16",
    torch.float32: "m64n64k8.f32.tf32.tf32",
    torch.float8_e4m3fn: "m64n64k32.f32.e4m3.e4m3",
    torch.float8_e5m2: "m64n64k32.f32.e5m2.e5m2",
    torch.int8: "m64n64k32.s32.s8.s8",
}


ORDERS = [("row", "row"), ("row", "col"), ("col", "row"), ("col", "col")]


@pytest.mark.parametrize(
    ("dtype", "orders"),
    [*((torch.float16, orders) for orders in ORDERS), (torch.bfloat16, ORDERS[2]), (torch.float32, ORDERS[0]),
     (torch.float32, ORDERS[3]), (torch.float8_e4m3fn, ORDERS[1]), (torch.float8_e5m2, ORDERS[0]),
     (torch.int8, ORDERS[2])], ids=str,
)  # fmt: skip
def test_types_and_orders(dtype, orders):
    a, b = small_numbers((64, 64), dtype, orders[0]), small_numbers((64, 128), dtype, orders[1])
    out = torch.int32 if dtype == torch.int8 else torch.float32
    c, ptx = multiply(a, b, (64, 64, 32), out)
    assert products_in(ptx) == {TYPES[dtype]}
    assert torch.equal(c.double(), a.double() @ b.double())


@pytest.mark.parametrize(
    ("tile", "n_warps", "order"),
    [((64, 16, 16), 4, "row"), ((64, 16, 16), 4, "col"), ((64, 32, 32), 4, "row"), ((128, 32, 32), 4, "col"),
     ((128, 256, 32), 8, "row"), ((64, 128, 64), 8, "col")], ids=str,
)  # fmt: skip
def test_tiles_with_lines_of_every_width(tile, n_warps, order):
    """A tile's rows of 32, 64 and 128 bytes are what decides the swizzle; edges are masked off."""
    orders = (order, order)
    a, b = small_numbers((150, 90), torch.float16, orders[0]), small_numbers((90, 200), torch.float16, orders[1])
    c, ptx = multiply(a, b, tile, num_warps=n_warps)
    assert products_in(ptx)
    assert torch.equal(c.double(), a.double() @ b.double())


def test_sums_in_half_precision():
    a, b = small_numbers((64, 32), torch.float16), small_numbers((32, 64), torch.float16)
    c, ptx = multiply(a, b, (64, 64, 32), torch.float16)
    assert products_in(ptx) == {"m64n64k16.f16.f16.f16"}
    assert torch.equal(c.double(), a.double() @ b.double())


@triton.jit
def mixed_kernel(a_ptr, b_ptr, c_ptr, S: tl.constexpr):
    at = tl.arange(0, S)[:, None] * S + tl.arange(0, S)[None, :]
    a = tl.load(a_ptr + at).to(tl.float16) * 2  # computed, so that it is in registers
    b = tl.load(b_ptr + at)
    c = tl.dot(a, tl.trans(b))
    tl.store(c_ptr + at, tl.dot(tl.trans(b), b, c))


def test_a_from_registers_and_operands_turned_over():
    a, b, c = small_numbers((64, 64), torch.int8), small_numbers((64, 64), torch.float16), torch.empty(64, 64)
    ptx = mixed_kernel[(1,)](a, b, c, 64).asm["ptx"]
    assert re.search(r"wgmma\.mma_async\S+ \{[^}]*\}, \{", ptx)
    wide = b.double()
    assert torch.equal(c.double(), 2 * a.double() @ wide.T + wide.T @ wide)


@triton.jit
def attention_kernel(q_ptr, k_ptr, v_ptr, out_ptr, n_keys, scale, BM: tl.constexpr, BN: tl.constexpr, D: tl.constexpr):
    rows, dims = tl.program_id(0) * BM + tl.arange(0, BM), tl.arange(0, D)
    q = tl.load(q_ptr + rows[:, None] * D + dims[None, :])
    top, weight = tl.full((BM,), -1e30, tl.float32), tl.zeros((BM,), tl.float32)
    total = tl.zeros((BM, D), tl.float32)
    for start in range(0, n_keys, BN):
        at = (start + tl.arange(0, BN))[:, None] * D + dims[None, :]
        scores = tl.dot(q, tl.trans(tl.load(k_ptr + at))) * scale
        new_top = tl.maximum(top, tl.max(scores, 1))
        p, shrink = tl.exp2(scores - new_top[:, None]), tl.exp2(top - new_top)
        v = tl.load(v_ptr + at)
        total = tl.dot(p.to(v.dtype), v, total * shrink[:, None])
        top, weight = new_top, weight * shrink + tl.sum(p, 1)
    tl.store(out_ptr + rows[:, None] * D + dims[None, :], total / weight[:, None])


@pytest.mark.parametrize(
    ("dtype", "tile", "n_warps"),
    [(torch.float16, (128, 64, 64), 8), (torch.bfloat16, (64, 32, 64), 4)],
    ids=str,
)
def test_attention(dtype, tile, n_warps):
    n, d = 256, tile[2]
    q, k, v = (torch.randn(n, d).to(dtype) for _ in range(3))
    out = torch.empty(n, d)
    ptx = attention_kernel[(n // tile[0],)](q, k, v, out, n, d**-0.5 * 1.442695, *tile, num_warps=n_warps).asm["ptx"]
    assert len(products_in(ptx)) == (1 if tile[1] == tile[2] else 2)
    expected = torch.nn.functional.scaled_dot_product_attention(*(x.float()[None] for x in (q, k, v)))[0]
    # The weights are rounded to 11 or 8 bits; those of a row sum to 1, and v is below 5.
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-3 if dtype == torch.float16 else 8e-3)


@pytest.mark.parametrize("n_stages", [1, 3])
def test_nothing_is_found_in_what_the_compiler_makes(n_stages):
    a, b = small_numbers((128, 160), torch.float16), small_numbers((160, 64), torch.float16, "col")
    with check() as report:
        c, _ = multiply(a, b, (64, 64, 32), num_stages=n_stages)
    assert "nothing found" in str(report)
    assert torch.equal(c.double(), a.double() @ b.double())


@pytest.mark.parametrize("n_threads", [1, 2])
def test_counts_and_time(n_threads):
    m, n, k = 256, 128, 128
    a, b = small_numbers((m, k), torch.float16), small_numbers((k, n), torch.float16)
    old = configure(n_threads=n_threads)
    try:
        with tk.profile() as prof:
            c, _ = multiply(a, b, (64, 64, 64))
    finally:
        configure(n_threads=old.n_threads)
    assert torch.equal(c.double(), a.double() @ b.double())
    assert prof.total.flop_tensor == 2 * m * n * k
    estimate = tk.predict(prof, gpu="H100")
    assert estimate.seconds > 0
    assert "tensor" in str(estimate)


CUDA = r"""
__device__ unsigned long long described(const void* at, unsigned leading, unsigned stride) {
    unsigned long long start = __cvta_generic_to_shared(at);
    return (start & 0x3FFFF) >> 4 | (unsigned long long)(leading >> 4) << 16 | (unsigned long long)(stride >> 4) << 32;
}

// Tiles of 8 rows of 16 bytes, one behind the other: A [64, 16] by K, B [16, 16] by its columns.
extern "C" __global__ void products(const unsigned short* a, const unsigned short* b, float* c, int n_times) {
    __shared__ alignas(128) unsigned short a_s[64 * 16], b_s[16 * 16];
    for (int i = threadIdx.x; i < 64 * 16; i += 128) {
        int row = i / 16, k = i % 16;
        a_s[(row / 8 * 2 + k / 8) * 64 + row % 8 * 8 + k % 8] = a[i];
    }
    for (int i = threadIdx.x; i < 16 * 16; i += 128) {
        int k = i / 16, column = i % 16;
        b_s[(column / 8 * 2 + k / 8) * 64 + k % 8 * 8 + column % 8] = b[i];
    }
    asm volatile("fence.proxy.async;" ::: "memory");
    __syncthreads();
    float d[8];
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
    for (int time = 0; time < n_times; time++)
        asm volatile(
            "{ .reg .pred adds; setp.ne.b32 adds, %10, 0;\n"
            "wgmma.mma_async.sync.aligned.m64n16k16.f32.f16.f16 {%0, %1, %2, %3, %4, %5, %6, %7}, "
            "%8, %9, adds, 1, 1, 0, 1; }"
            : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7])
            : "l"(described(a_s, 128, 256)), "l"(described(b_s, 128, 256)), "r"(time));
    asm volatile("wgmma.commit_group.sync.aligned;\nwgmma.wait_group.sync.aligned 0;" ::: "memory");
    int row = threadIdx.x / 32 * 16 + threadIdx.x % 32 / 4, column = threadIdx.x % 4 * 2;
    for (int i = 0; i < 8; i++)
        c[(row + i / 2 % 2 * 8) * 16 + column + i / 4 * 8 + i % 2] = d[i];
}
"""


def test_cuda_with_matrices_that_are_not_swizzled():
    a, b, c = small_numbers((64, 16), torch.float16), small_numbers((16, 16), torch.float16), torch.zeros(64, 16)
    kernel = tk.compile_cuda_c(CUDA)["products"]
    with check():
        kernel[1, 128](a.view(torch.uint16), b.view(torch.uint16), c, 3)
    assert torch.equal(c.double(), 3 * (a.double() @ b.double()))
