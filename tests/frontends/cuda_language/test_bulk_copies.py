"""Bulk copies by inline assembly, compiled by NVRTC for sm_90, against NumPy, and what a check says of them."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.emulator import observe
from teachkit.emulator.tensor_map import TYPES, TensorMap, encode
from teachkit.errors import KernelFault
from teachkit.frontends import target

SOURCE = r"""
struct alignas(64) Map { unsigned long long opaque[16]; };

__device__ unsigned at(const void* p) { return __cvta_generic_to_shared(p); }

__device__ void expect(unsigned long long* bar, int n) {
    asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(at(bar)));
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(at(bar)), "r"(n));
}

__device__ void wait(unsigned long long* bar) {
    unsigned done = 0;
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(at(bar)) : "memory");
}

// Blocks of 256 floats through shared memory, doubled on the way.
__global__ void doubled(const float* x, float* out, bool waits) {
    __shared__ alignas(128) float tile[256];
    __shared__ alignas(8) unsigned long long bar;
    if (threadIdx.x == 0) expect(&bar, sizeof(tile));
    __syncthreads();
    if (threadIdx.x == 0)
        asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];"
                     :: "r"(at(tile)), "l"(x + 256 * blockIdx.x), "r"((int)sizeof(tile)), "r"(at(&bar)) : "memory");
    if (waits) wait(&bar);
    tile[threadIdx.x] *= 2;
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();
    if (threadIdx.x == 0) {
        asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;"
                     :: "l"(out + 256 * blockIdx.x), "r"(at(tile)), "r"((int)sizeof(tile)) : "memory");
        asm volatile("cp.async.bulk.commit_group;");
        asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory");
    }
}

__global__ void box(const __grid_constant__ Map map, const float* x, float* out, int column, int row) {
    __shared__ alignas(1024) float tile[8][32];
    __shared__ alignas(8) unsigned long long bar;
    if (threadIdx.x == 0) {
        expect(&bar, sizeof(tile));
        asm volatile("prefetch.tensormap [%0];" :: "l"(&map));
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                     " [%0], [%1, {%2, %3}], [%4];"
                     :: "r"(at(tile)), "l"(&map), "r"(column), "r"(row), "r"(at(&bar)) : "memory");
    }
    __syncthreads();
    wait(&bar);
    int r = threadIdx.x / 32, c = threadIdx.x % 32;
    out[threadIdx.x] = tile[r][c ^ (r * 4)];  // 128-byte swizzle
}
"""


@pytest.fixture(scope="module")
def module():
    target.set_architecture(90)
    yield tk.compile_cuda_c(SOURCE)
    target.set_architecture(None)


def test_runs_of_bytes(module):
    x = np.arange(4 * 256, dtype=np.float32)
    out = np.zeros_like(x)
    launches = []
    with observe(launches.append):
        module["doubled"][4, 256](x, out, True)
    np.testing.assert_array_equal(out, 2 * x)
    counters = launches[0].counters
    assert counters.dram_read_bytes == counters.compulsory_read_bytes == x.nbytes
    assert counters.dram_write_bytes == counters.compulsory_write_bytes == x.nbytes
    assert counters.global_load_requests == counters.global_store_requests == 0


def test_a_check_finds_readers_that_do_not_wait(module):
    x = np.ones(256, np.float32)
    with tk.emulator.check() as report:
        module["doubled"][1, 256](x, np.zeros_like(x), True)
    assert not report.findings, str(report)
    with tk.emulator.check(raises=False) as report:
        module["doubled"][1, 256](x, np.zeros_like(x), False)
    assert any(finding.kind == "race" for finding in report.findings), str(report)


def test_boxes_with_a_swizzle(module):
    x = np.arange(20 * 40, dtype=np.float32).reshape(20, 40)
    out = np.zeros((8, 32), np.float32)
    octets = encode(x.ctypes.data, TYPES.index("f32"), [40, 20], [160], [32, 8], swizzle=3)
    module["box"][1, 256](TensorMap(octets, x), x, out, 16, -2)
    expected = np.zeros((8, 32), np.float32)
    expected[2:, :24] = x[:6, 16:]
    np.testing.assert_array_equal(out, expected)
    with pytest.raises(KernelFault, match="where there is none"):
        module["box"][1, 256](bytes(128), x, out, 16, -2)
