"""``tl.dot`` compiled for sm_100, where it is ``tcgen05``, against PyTorch: types, orders of operands, tiles."""

import re

import pytest
import torch
import triton
import triton.language as tl
from triton.tools.tensor_descriptor import TensorDescriptor

import teachkit as tk
from teachkit.emulator import check, configure
from teachkit.frontends import target
from tests.frontends.language import test_warpgroup_products as shared
from tests.frontends.language.test_warpgroup_products import ORDERS, multiply, small_numbers


@pytest.fixture(autouse=True)
def sm_100():
    target.set_architecture(100)
    yield
    target.set_architecture(None)


def kinds_in(ptx):
    return set(re.findall(r"tcgen05\.mma\.cta_group::1\.kind::(\w+)", ptx))


KINDS = {torch.float16: "f16", torch.bfloat16: "f16", torch.float32: "tf32", torch.float8_e4m3fn: "f8f6f4",
         torch.float8_e5m2: "f8f6f4"}  # fmt: skip


@pytest.mark.parametrize(
    ("dtype", "orders"),
    [*((torch.float16, orders) for orders in ORDERS[1:]), (torch.bfloat16, ORDERS[0]), (torch.float32, ORDERS[0]),
     (torch.float32, ORDERS[3]), (torch.float8_e4m3fn, ORDERS[2]), (torch.float8_e5m2, ORDERS[0])], ids=str,
)  # fmt: skip
def test_types_and_orders(dtype, orders):
    a, b = small_numbers((64, 64), dtype, orders[0]), small_numbers((64, 64), dtype, orders[1])
    c, ptx = multiply(a, b, (64, 32, 32))
    assert kinds_in(ptx) == {KINDS[dtype]}
    assert torch.equal(c.double(), a.double() @ b.double())


@pytest.mark.parametrize(
    ("tile", "n_warps", "orders"),
    [((64, 16, 16), 4, 0), ((128, 32, 32), 4, 3), ((256, 16, 16), 4, 0), ((64, 128, 64), 8, 1), ((128, 64, 128), 8, 0)],
    ids=str,
)
def test_tiles(tile, n_warps, orders):
    """Rows of 32, 64 and 128 bytes decide the swizzle, rows of D the shape of loads; edges are masked off."""
    a = small_numbers((150, 90), torch.float16, ORDERS[orders][0])
    b = small_numbers((90, 140), torch.float16, ORDERS[orders][1])
    c, ptx = multiply(a, b, tile, num_warps=n_warps)
    assert kinds_in(ptx)
    assert torch.equal(c.double(), a.double() @ b.double())


def test_sums_in_half_precision():
    a, b = small_numbers((128, 32), torch.float16), small_numbers((32, 32), torch.float16)
    c, ptx = multiply(a, b, (128, 32, 32), torch.float16)
    assert ".unpack::16b" in ptx
    assert ".pack::16b" in ptx
    assert torch.equal(c.double(), a.double() @ b.double())


def test_whole_numbers_take_the_older_instruction():
    a, b = small_numbers((64, 32), torch.int8), small_numbers((32, 32), torch.int8)
    c, ptx = multiply(a, b, (64, 32, 32), torch.int32)
    assert not kinds_in(ptx)
    assert "mma.sync" in ptx
    assert torch.equal(c.double(), a.double() @ b.double())


def test_operands_turned_over():
    a, b, c = small_numbers((64, 64), torch.int8), small_numbers((64, 64), torch.float16), torch.empty(64, 64)
    assert kinds_in(shared.mixed_kernel[(1,)](a, b, c, 64).asm["ptx"])
    wide = b.double()
    assert torch.equal(c.double(), 2 * a.double() @ wide.T + wide.T @ wide)


@pytest.mark.parametrize(
    ("dtype", "tile", "n_warps"),
    [(torch.float16, (128, 32, 64), 8), (torch.bfloat16, (64, 32, 64), 4)],
    ids=str,
)
def test_attention(dtype, tile, n_warps):
    n, d = 256, tile[2]
    q, k, v = (torch.randn(n, d).to(dtype) for _ in range(3))
    out = torch.empty(n, d)
    launch = shared.attention_kernel[(n // tile[0],)]
    ptx = launch(q, k, v, out, n, d**-0.5 * 1.442695, *tile, num_warps=n_warps).asm["ptx"]
    assert re.search(r"tcgen05\.mma\S+ \[[^]]*\], \[", ptx)  # the weights lie in tensor memory
    expected = torch.nn.functional.scaled_dot_product_attention(*(x.float()[None] for x in (q, k, v)))[0]
    # The weights are rounded to 11 or 8 bits; those of a row sum to 1, and v is below 5.
    torch.testing.assert_close(out, expected, rtol=0, atol=1e-3 if dtype == torch.float16 else 8e-3)


@triton.jit
def described_kernel(a, b, c, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row, column = tl.program_id(0) * BM, tl.program_id(1) * BN
    total = tl.zeros((BM, BN), tl.float32)
    for at in range(0, k, BK):
        total = tl.dot(a.load([row, at]), b.load([at, column]), total)
    c.store([row, column], total.to(tl.float16))


@pytest.mark.parametrize("n_threads", [1, 2])
def test_tensor_descriptors(n_threads):
    tile = (128, 64, 64)
    a, b = small_numbers((256, 160), torch.float16), small_numbers((160, 128), torch.float16)
    c = torch.zeros(256, 128, dtype=torch.float16)
    old = configure(n_threads=n_threads)
    try:
        maps = [
            TensorDescriptor.from_tensor(x, list(box)) for x, box in ((a, tile[::2]), (b, tile[:0:-1]), (c, tile[:2]))
        ]
        ptx = described_kernel[(2, 2)](*maps, 160, *tile).asm["ptx"]
    finally:
        configure(n_threads=old.n_threads)
    assert kinds_in(ptx)
    assert "cp.async.bulk.tensor" in ptx
    assert torch.equal(c, (a.double() @ b.double()).half())


@triton.jit
def specialized_kernel(a_desc, b_desc, c_desc, k, BM: tl.constexpr, BN: tl.constexpr, BK: tl.constexpr):
    row, col = tl.program_id(0) * BM, tl.program_id(1) * BN
    total = tl.zeros((BM, BN), tl.float32)
    for start in tl.range(0, k, BK, warp_specialize=True, num_stages=2):
        total = tl.dot(a_desc.load([row, start]), b_desc.load([col, start]).T, total)
    c_desc.store([row, col], total)


def test_warps_that_copy_and_multiply_while_others_wait():
    """Some warps only copy, one only multiplies, and all meet at barriers while others go round loops."""
    m, n, k, tile = 256, 128, 256, (128, 64, 64)
    a, b, c = small_numbers((m, k), torch.float16), small_numbers((n, k), torch.float16), torch.zeros(m, n)
    shapes = ((tile[0], tile[2]), (tile[1], tile[2]), tile[:2])
    given = [TensorDescriptor.from_tensor(x, list(shape)) for x, shape in zip((a, b, c), shapes, strict=True)]
    kernel = specialized_kernel[m // tile[0], n // tile[1]](*given, k, *tile)
    assert {"setmaxnreg", "brx.idx"} <= set(re.findall(r"setmaxnreg|brx\.idx", kernel.asm["ptx"]))
    assert torch.equal(c.double(), a.double() @ b.double().T)


@pytest.mark.parametrize("n_stages", [1, 3])
def test_nothing_is_found_in_what_the_compiler_makes(n_stages):
    a, b = small_numbers((64, 160), torch.float16), small_numbers((160, 32), torch.float16, "col")
    with check() as report:
        c, _ = multiply(a, b, (64, 32, 32), num_stages=n_stages)
    assert "nothing found" in str(report)
    assert torch.equal(c.double(), a.double() @ b.double())


@pytest.mark.parametrize("n_threads", [1, 2])
def test_counts_and_time(n_threads):
    m, n, k = 256, 64, 128
    a, b = small_numbers((m, k), torch.float16), small_numbers((k, n), torch.float16)
    old = configure(n_threads=n_threads)
    try:
        with tk.profile() as prof:
            c, _ = multiply(a, b, (64, 32, 32))
    finally:
        configure(n_threads=old.n_threads)
    assert torch.equal(c.double(), a.double() @ b.double())
    assert prof.total.flop_tensor == 2 * m * n * k
    estimate = tk.predict(prof, gpu="B200")
    assert estimate.seconds > 0
    assert "tensor" in str(estimate)
