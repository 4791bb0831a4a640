"""Matrix products as Triton's tutorials teach them, written anew: grouped tiles, persistent, many at once, scaled."""

import pytest
import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

from teachkit.errors import KernelFault


@triton.jit
def _tile(tile, n_row_tiles, n_col_tiles, GROUP: tl.constexpr):
    """Row and column of a tile when rows are walked in groups, so that neighbours share what L2 holds."""
    per_group = GROUP * n_col_tiles
    first = (tile // per_group) * GROUP
    height = min(n_row_tiles - first, GROUP)
    return first + (tile % per_group) % height, (tile % per_group) // height


@triton.jit
def leaky_relu(x):
    return tl.where(x >= 0, x, 0.01 * x)


_CONFIGS = [
    triton.Config({"BM": 32, "BN": 64, "BK": 32, "GROUP": 2}, num_stages=3, num_warps=2),
    triton.Config({"BM": 64, "BN": 32, "BK": 32, "GROUP": 4}, num_stages=4, num_warps=4),
]


@triton.autotune(configs=_CONFIGS, key=["m", "n", "k"])
@triton.jit
def matmul_kernel(
    a_ptr, b_ptr, c_ptr, m, n, k, stride_am, stride_ak, stride_bk, stride_bn, stride_cm, stride_cn,
    BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr, GROUP: tl.constexpr, ACTIVATION: tl.constexpr,
):  # fmt: skip
    row, col = _tile(tl.program_id(0), tl.cdiv(m, BM), tl.cdiv(n, BN), GROUP)
    tl.assume(row >= 0)
    rows = (row * BM + tl.arange(0, BM)) % m
    cols = (col * BN + tl.arange(0, BN)) % n
    inner = tl.arange(0, BK)
    a_at = a_ptr + rows[:, None] * stride_am + inner[None, :] * stride_ak
    b_at = b_ptr + inner[:, None] * stride_bk + cols[None, :] * stride_bn
    total = tl.zeros([BM, BN], tl.float32)
    for start in range(tl.cdiv(k, BK)):
        left = k - start * BK
        a = tl.load(a_at, mask=inner[None, :] < left, other=0.0)
        b = tl.load(b_at, mask=inner[:, None] < left, other=0.0)
        total = tl.dot(a, b, total)
        a_at += BK * stride_ak
        b_at += BK * stride_bk
    if ACTIVATION == "leaky_relu":
        total = leaky_relu(total)
    rows, cols = row * BM + tl.arange(0, BM), col * BN + tl.arange(0, BN)
    mask = (rows[:, None] < m) & (cols[None, :] < n)
    tl.store(c_ptr + rows[:, None] * stride_cm + cols[None, :] * stride_cn, total.to(c_ptr.dtype.element_ty), mask=mask)


@pytest.mark.parametrize("activation", ["", "leaky_relu"])
@pytest.mark.parametrize("layout", ["rows", "columns"])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float16, 5e-2), (torch.bfloat16, 4e-1), (torch.float8_e5m2, 5e-2)]
)
def test_matmul_in_groups(dtype, tolerance, layout, activation):
    """Sums of 96 products of normal numbers, about 10, rounded to 11 or 8 bits."""
    m, n, k = 100, 90, 96
    a, b = torch.randn(m, k).to(dtype), torch.randn(k, n).to(dtype)
    if layout == "columns":
        b = b.T.contiguous().T
    c = torch.empty(m, n, dtype=dtype if dtype != torch.float8_e5m2 else torch.float16)
    matmul_kernel[lambda meta: (triton.cdiv(m, meta["BM"]) * triton.cdiv(n, meta["BN"]),)](
        a, b, c, m, n, k, *a.stride(), *b.stride(), *c.stride(), ACTIVATION=activation
    )
    expected = a.double() @ b.double()
    if activation:
        expected = torch.nn.functional.leaky_relu(expected, 0.01)
    torch.testing.assert_close(c.double(), expected, rtol=0, atol=tolerance)


@triton.jit
def grouped_kernel(
    table_ptr, sizes_ptr, strides_ptr, n_problems,
    N_PROGRAMS: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr,
):  # fmt: skip
    """Several products of different sizes, whose matrices' addresses come as integers."""
    tile = tl.program_id(0)
    end = 0
    for problem in range(n_problems):
        m = tl.load(sizes_ptr + 3 * problem)
        n = tl.load(sizes_ptr + 3 * problem + 1)
        k = tl.load(sizes_ptr + 3 * problem + 2)
        n_col_tiles = tl.cdiv(n, BN)
        n_tiles = tl.cdiv(m, BM) * n_col_tiles
        while tile >= end and tile < end + n_tiles:
            a_ptr = tl.load(table_ptr + 3 * problem).to(tl.pointer_type(tl.float16))
            b_ptr = tl.load(table_ptr + 3 * problem + 1).to(tl.pointer_type(tl.float16))
            c_ptr = tl.load(table_ptr + 3 * problem + 2).to(tl.pointer_type(tl.float16))
            stride_a = tl.load(strides_ptr + 3 * problem)
            stride_b = tl.load(strides_ptr + 3 * problem + 1)
            stride_c = tl.load(strides_ptr + 3 * problem + 2)
            rows = (tile - end) // n_col_tiles * BM + tl.arange(0, BM)
            cols = (tile - end) % n_col_tiles * BN + tl.arange(0, BN)
            inner = tl.arange(0, BK)
            total = tl.zeros([BM, BN], tl.float32)
            for start in range(0, k, BK):
                a = tl.load(a_ptr + rows[:, None] * stride_a + start + inner[None, :])
                b = tl.load(b_ptr + (start + inner[:, None]) * stride_b + cols[None, :])
                total += tl.dot(a, b)
            tl.store(c_ptr + rows[:, None] * stride_c + cols[None, :], total.to(tl.float16))
            tile += N_PROGRAMS
        end += n_tiles


def _grouped(shapes):
    a = [torch.randn(m, k).half() for m, _, k in shapes]
    b = [torch.randn(k, n).half() for _, n, k in shapes]
    c = [torch.zeros(m, n).half() for m, n, _ in shapes]
    table = torch.tensor([x.data_ptr() for triple in zip(a, b, c, strict=True) for x in triple])
    strides = torch.tensor([x.stride(0) for triple in zip(a, b, c, strict=True) for x in triple], dtype=torch.int32)
    return a, b, c, table, strides


def test_grouped_product_of_matrices_found_by_address():
    shapes = [(64, 32, 32), (32, 96, 64), (32, 32, 96)]
    a, b, c, table, strides = _grouped(shapes)
    sizes = torch.tensor(shapes, dtype=torch.int32)
    grouped_kernel[(4,)](table, sizes, strides, 3, 4, BM=32, BN=32, BK=32)
    for left, right, got in zip(a, b, c, strict=True):
        torch.testing.assert_close(
            got.double(), left.double() @ right.double(), rtol=0, atol=5e-2
        )  # rounded to 11 bits


def test_an_address_of_nothing_is_refused():
    operands = _grouped([(32, 32, 32)])  # kept alive: the table holds addresses only
    *_, c, table, strides = operands
    table[2] += 2**40
    with pytest.raises(KernelFault, match="Out-of-bounds"):
        grouped_kernel[(1,)](table, torch.full((3,), 32, dtype=torch.int32), strides, 1, 1, BM=32, BN=32, BK=32)
    assert not c[0].any()


@triton.jit
def persistent_kernel(
    a, b, c, n_row_tiles, n_col_tiles, k, GROUP: tl.constexpr, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr
):
    """One program a multiprocessor; matrices as tensor descriptors, B by columns."""
    for tile in tl.range(tl.program_id(0), n_row_tiles * n_col_tiles, tl.num_programs(0), flatten=True):
        row, col = _tile(tile, n_row_tiles, n_col_tiles, GROUP)
        total = tl.zeros([BM, BN], tl.float32)
        for start in range(0, k, BK):
            total = tl.dot(a.load([row * BM, start]), b.load([col * BN, start]).T, total)
        c.store([row * BM, col * BN], total.to(tl.float16))


def test_persistent_product_with_descriptors():
    m, n, k = 200, 136, 80
    a, b, c = torch.randn(m, k).half(), torch.randn(n, k).half(), torch.zeros(m, n).half()
    blocks = {"BM": 64, "BN": 32, "BK": 32}
    descriptors = [TensorDescriptor.from_tensor(a, [64, 32]), TensorDescriptor.from_tensor(b, [32, 32])]
    descriptors.append(TensorDescriptor.from_tensor(c, [64, 32]))
    persistent_kernel[(7,)](*descriptors, triton.cdiv(m, 64), triton.cdiv(n, 32), k, GROUP=2, **blocks)
    torch.testing.assert_close(c.double(), a.double() @ b.double().T, rtol=0, atol=5e-2)


@triton.jit
def block_scaled_kernel(
    a_ptr, a_scale_ptr, b_ptr, b_scale_ptr, c_ptr, m, n, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr
):
    """4-bit numbers, two a byte, with a power of two for every 32 of them along K."""
    rows = tl.program_id(0) * BM + tl.arange(0, BM)
    cols = tl.program_id(1) * BN + tl.arange(0, BN)
    total = tl.zeros([BM, BN], tl.float32)
    for start in range(0, k, BK):
        packed = start // 2 + tl.arange(0, BK // 2)
        group = start // 32 + tl.arange(0, BK // 32)
        a = tl.load(a_ptr + rows[:, None] * (k // 2) + packed[None, :])
        b = tl.load(b_ptr + cols[None, :] * (k // 2) + packed[:, None])
        a_scale = tl.load(a_scale_ptr + rows[:, None] * (k // 32) + group[None, :])
        b_scale = tl.load(b_scale_ptr + cols[:, None] * (k // 32) + group[None, :])
        total = tl.dot_scaled(a, a_scale, "e2m1", b, b_scale, "e2m1", total)
    tl.store(c_ptr + rows[:, None] * n + cols[None, :], total)


def test_block_scaled_product():
    m, n, k = 64, 32, 128
    values = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], dtype=torch.float64)
    codes = [torch.randint(0, 16, (size, k), dtype=torch.uint8) for size in (m, n)]
    scales = [torch.randint(125, 130, (size, k // 32), dtype=torch.uint8) for size in (m, n)]
    packed = [code[:, ::2] | code[:, 1::2] << 4 for code in codes]
    c = torch.empty(m, n)
    block_scaled_kernel[(2, 1)](packed[0], scales[0], packed[1], scales[1], c, m, n, k, BM=32, BN=32, BK=64)
    a, b = (
        values[x.long()] * (2.0 ** (s.double() - 127)).repeat_interleave(32, 1)
        for x, s in zip(codes, scales, strict=True)
    )
    torch.testing.assert_close(c.double(), a @ b.T, rtol=1e-5, atol=1e-3)  # factors are exact, sums in float32
