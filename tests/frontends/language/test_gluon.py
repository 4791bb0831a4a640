"""Gluon, Triton's language in which a program chooses layouts, copies and tensor core instructions itself."""

import pytest
import torch
from triton.experimental import gluon
from triton.experimental.gluon import language as gl
from triton.experimental.gluon.language.nvidia.ampere import async_copy, mma_v2
from triton.experimental.gluon.language.nvidia.hopper import fence_async_shared, mbarrier, tma, warpgroup_mma
from triton.experimental.gluon.nvidia.hopper import TensorDescriptor

import teachkit as tk
from teachkit.frontends import target


@gluon.jit
def add_kernel(x_ptr, y_ptr, out_ptr, n, BLOCK: gl.constexpr):
    layout: gl.constexpr = gl.BlockedLayout([2], [32], [4], [0])
    at = gl.program_id(0) * BLOCK + gl.arange(0, BLOCK, layout=layout)
    inside = at < n
    gl.store(out_ptr + at, gl.load(x_ptr + at, mask=inside) + gl.load(y_ptr + at, mask=inside), mask=inside)


def test_a_layout_of_ones_own():
    x, y = torch.randn(1000), torch.randn(1000)
    out = torch.empty_like(x)
    with tk.profile() as profile:
        add_kernel[(4,)](x, y, out, 1000, BLOCK=256, num_warps=4)
    assert torch.equal(out, x + y)
    counters = profile.kernels[0].counters
    assert counters.global_load_bytes == 2 * counters.global_store_bytes == 8000


@gluon.jit
def transpose_kernel(x_ptr, out_ptr, M: gl.constexpr, N: gl.constexpr, shared_layout: gl.constexpr):
    across: gl.constexpr = gl.BlockedLayout([1, 4], [4, 8], [4, 1], [1, 0])
    down: gl.constexpr = gl.BlockedLayout([1, 1], [1, 32], [4, 1], [1, 0])
    rows = gl.arange(0, M, layout=gl.SliceLayout(1, across))
    cols = gl.arange(0, N, layout=gl.SliceLayout(0, across))
    tile = gl.allocate_shared_memory(gl.float32, [M, N], shared_layout)
    tile.store(gl.load(x_ptr + rows[:, None] * N + cols[None, :]))
    turned = tile.permute((1, 0)).load(down)
    rows = gl.arange(0, N, layout=gl.SliceLayout(1, down))
    cols = gl.arange(0, M, layout=gl.SliceLayout(0, down))
    gl.store(out_ptr + rows[:, None] * M + cols[None, :], turned)


def test_the_layout_of_shared_memory_decides_on_bank_conflicts():
    x = torch.randn(32, 64)
    wavefronts = []
    for layout in (gl.SwizzledSharedLayout(1, 1, 1, order=[1, 0]), gl.SwizzledSharedLayout(1, 1, 32, order=[1, 0])):
        out = torch.empty(64, 32)
        with tk.profile() as profile:
            transpose_kernel[(1,)](x, out, 32, 64, layout, num_warps=4)
        assert torch.equal(out, x.t())
        wavefronts.append(profile.kernels[0].counters.shared_load_wavefronts)
    assert wavefronts == [64 * 32, 64]  # each of 64 rows is one request, of 32 lanes in one bank or in 32


@gluon.jit
def ampere_kernel(a_ptr, b_ptr, out_ptr, M: gl.constexpr, N: gl.constexpr, K: gl.constexpr):
    product: gl.constexpr = gl.NVMMADistributedLayout([2, 0], [4, 1], [16, 8])
    copied: gl.constexpr = gl.BlockedLayout([1, 8], [4, 8], [4, 1], [1, 0])
    shared: gl.constexpr = gl.SwizzledSharedLayout(8, 1, 8, order=[1, 0])
    rows = gl.arange(0, M, layout=gl.SliceLayout(1, copied))
    inner = gl.arange(0, K, layout=gl.SliceLayout(1, copied))
    depth = gl.arange(0, K, layout=gl.SliceLayout(0, copied))
    cols = gl.arange(0, N, layout=gl.SliceLayout(0, copied))
    a = gl.allocate_shared_memory(gl.float16, [M, K], shared)
    b = gl.allocate_shared_memory(gl.float16, [K, N], shared)
    async_copy.async_copy_global_to_shared(a, a_ptr + rows[:, None] * K + depth[None, :])
    async_copy.async_copy_global_to_shared(b, b_ptr + inner[:, None] * N + cols[None, :])
    async_copy.commit_group()
    async_copy.wait_group(0)
    left, right = a.load(gl.DotOperandLayout(0, product, 2)), b.load(gl.DotOperandLayout(1, product, 2))
    total = mma_v2(left, right, gl.zeros([M, N], gl.float32, product))
    rows = gl.arange(0, M, layout=gl.SliceLayout(1, product))
    cols = gl.arange(0, N, layout=gl.SliceLayout(0, product))
    gl.store(out_ptr + rows[:, None] * N + cols[None, :], total)


def test_asynchronous_copies_and_tensor_cores_of_ampere():
    a, b, out = torch.randn(64, 32).half(), torch.randn(32, 64).half(), torch.empty(64, 64)
    ampere_kernel[(1,)](a, b, out, 64, 64, 32, num_warps=4)
    torch.testing.assert_close(out, a.float() @ b.float(), rtol=1e-5, atol=1e-5)


@gluon.jit
def hopper_kernel(a_map, b_map, out_ptr, M: gl.constexpr, N: gl.constexpr, K: gl.constexpr):
    a = gl.allocate_shared_memory(gl.float16, [M, K], a_map.layout)
    b = gl.allocate_shared_memory(gl.float16, [K, N], b_map.layout)
    arrived = gl.allocate_shared_memory(gl.int64, [1], mbarrier.MBarrierLayout())
    mbarrier.init(arrived, count=1)
    mbarrier.expect(arrived, a_map.block_type.nbytes + b_map.block_type.nbytes)
    tma.async_copy_global_to_shared(a_map, [0, 0], arrived, a)
    tma.async_copy_global_to_shared(b_map, [0, 0], arrived, b)
    mbarrier.wait(arrived, phase=0)
    mbarrier.invalidate(arrived)
    fence_async_shared()
    product: gl.constexpr = gl.NVMMADistributedLayout([3, 0], [4, 1], [16, N, 16])
    total = warpgroup_mma(a, b, gl.zeros([M, N], gl.float32, product))
    rows = gl.arange(0, M, layout=gl.SliceLayout(1, product))
    cols = gl.arange(0, N, layout=gl.SliceLayout(0, product))
    gl.store(out_ptr + rows[:, None] * N + cols[None, :], total)


@pytest.fixture
def hopper():
    target.set_architecture(90)
    yield
    target.set_architecture(None)


def test_tensor_maps_and_warpgroup_products_of_hopper(hopper):
    a, b, out = torch.randn(64, 64).half(), torch.randn(64, 128).half(), torch.empty(64, 128)
    maps = []
    for matrix in (a, b):
        block = list(matrix.shape)
        layout = gl.NVMMASharedLayout.get_default_for(block, gl.float16)
        maps.append(TensorDescriptor.from_tensor(matrix, block, layout))
    hopper_kernel[(1,)](*maps, out, 64, 128, 64, num_warps=4)
    torch.testing.assert_close(out, a.float() @ b.float(), rtol=1e-5, atol=1e-5)
