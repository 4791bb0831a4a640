"""Other architectures: what needs no tensor core of theirs runs; what does is refused, with where it stands."""

import pytest
import torch
import triton
import triton.language as tl

from teachkit.errors import UnsupportedInstruction
from teachkit.frontends import target
from tests.frontends import triton_kernels as shared


@pytest.fixture(params=[80, 90, 100], ids=lambda arch: f"sm_{arch}")
def arch(request):
    target.set_architecture(request.param)
    yield request.param
    target.set_architecture(None)


@triton.jit
def mixture_kernel(x_ptr, counts_ptr, out_ptr, n, N: tl.constexpr, BINS: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    x = tl.load(x_ptr + at, mask=at < n, other=0.0)
    tl.store(out_ptr + at, tl.cumsum(tl.sort(x), 0) + tl.max(x) - tl.sum(x * x) / N, mask=at < n)
    tl.atomic_add(counts_ptr + (x * 4).to(tl.int32) % BINS, 1, mask=at < n)


def test_sort_scan_reduction_and_atomics(arch):
    n, size, bins = 1000, 256, 8
    x = torch.rand(1024)
    x[n:] = 0
    counts, out = torch.zeros(bins, dtype=torch.int32), torch.zeros(1024)
    kernel = mixture_kernel[(4,)](x, counts, out, n, size, bins)
    assert f".target sm_{arch}" in kernel.asm["ptx"]
    rows = x.view(4, size).double()
    expected = rows.sort(1).values.cumsum(1) + rows.amax(1, keepdim=True) - rows.square().mean(1, keepdim=True)
    torch.testing.assert_close(out[:n].double(), expected.flatten()[:n], rtol=0, atol=1e-4)  # sums of 256 in float32
    assert torch.equal(counts, (x[:n] * 4).int().bincount(minlength=bins).int())


def test_softmax_layer_norm_and_dropout(arch):
    x = torch.randn(5, 300)
    torch.testing.assert_close(shared.launch_softmax(x), x.softmax(-1))
    weight, bias = torch.randn(300), torch.randn(300)
    expected = torch.nn.functional.layer_norm(x, (300,), weight, bias)
    torch.testing.assert_close(shared.launch_layer_norm(x, weight, bias), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(shared.launch_dropout(x), shared.reference_dropout(x))


@triton.jit
def conversions_kernel(x_ptr, out_ptr, N: tl.constexpr):
    at = tl.arange(0, N)
    tl.store(out_ptr + at, tl.load(x_ptr + at).to(out_ptr.dtype.element_ty))


@pytest.mark.parametrize(
    "to", [torch.bfloat16, torch.float16, torch.float8_e5m2, torch.float8_e4m3fn, torch.int8], ids=str
)
def test_conversions(arch, to):
    # Exact in every type but int8, which truncates: Triton's e5m2 for sm_80 rounds ties up, PyTorch's to even.
    x, out = torch.randint(-7, 8, (256,)).float() / 4, torch.empty(256, dtype=to)
    if arch == 80 and to == torch.float8_e4m3fn:
        with pytest.raises(triton.CompilationError, match="fp8e4nv not supported"):
            conversions_kernel[(1,)](x, out, 256)
        return
    conversions_kernel[(1,)](x, out, 256)
    assert torch.equal(out.double(), x.to(to).double())


@triton.jit
def product_kernel(a_ptr, b_ptr, c_ptr, S: tl.constexpr):
    at = tl.arange(0, S)[:, None] * S + tl.arange(0, S)[None, :]
    tl.store(c_ptr + at, tl.dot(tl.load(a_ptr + at), tl.load(b_ptr + at)))


def test_products(arch):
    a, b, c = torch.randn(64, 64).half(), torch.randn(64, 64).half(), torch.zeros(64, 64)
    ptx = product_kernel[(1,)](a, b, c, 64).asm["ptx"]
    assert {80: "mma.sync", 90: "wgmma", 100: "tcgen05.mma"}[arch] in ptx
    torch.testing.assert_close(c.double(), a.double() @ b.double(), rtol=0, atol=1e-4)  # summed in float32


@triton.jit
def scaled_product_kernel(a_ptr, scale_ptr, b_ptr, c_ptr, S: tl.constexpr):
    at = tl.arange(0, S)[:, None] * S + tl.arange(0, S)[None, :]
    scales = tl.load(scale_ptr + tl.arange(0, S)[:, None] * (S // 32) + tl.arange(0, S // 32)[None, :])
    total = tl.dot_scaled(tl.load(a_ptr + at), scales, "e4m3", tl.load(b_ptr + at), scales, "e4m3")
    tl.store(c_ptr + at, total)


@pytest.mark.parametrize("arch", [100], indirect=True)
def test_scaled_products_of_sm_100_are_refused_by_name(arch):
    a, b = (torch.ones(128, 128).to(torch.float8_e4m3fn) for _ in range(2))
    scales, c = torch.full((128, 4), 127, dtype=torch.uint8), torch.zeros(128, 128)
    with pytest.raises(UnsupportedInstruction) as caught:
        scaled_product_kernel[(1,)](a, scales, b, c, 128)
    error = caught.value
    assert error.opcode.startswith("tcgen05")
    assert error.ptx_line > 0
    assert "test_architectures.py" in error.source
    assert not c.any()
