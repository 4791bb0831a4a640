"""A tensor map made by the driver, for a kernel by NVRTC that copies a box of a matrix in bulk."""

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, Program, ProgramOptions

from teachkit.frontends import target
from teachkit.frontends.cuda_driver import install

target.set_architecture(90)
install()
device = Device(0)
device.set_current()
SOURCE = """
struct alignas(64) Map { unsigned long long opaque[16]; };
extern "C" __global__ void box(const __grid_constant__ Map map, int x, int y, float *out) {
    __shared__ alignas(128) float tile[8][16];
    __shared__ alignas(8) unsigned long long bar;
    unsigned b = __cvta_generic_to_shared(&bar), t = __cvta_generic_to_shared(tile);
    if (threadIdx.x == 0) {
        asm volatile("mbarrier.init.shared::cta.b64 [%0], 1;" :: "r"(b));
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" :: "r"(b), "r"(512));
        asm volatile("cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes"
                     " [%0], [%1, {%2, %3}], [%4];" :: "r"(t), "l"(&map), "r"(x), "r"(y), "r"(b) : "memory");
    }
    __syncthreads();
    unsigned done = 0;
    while (!done)
        asm volatile("{ .reg .pred p; mbarrier.try_wait.parity.shared::cta.b64 p, [%1], 0; selp.u32 %0, 1, 0, p; }"
                     : "=r"(done) : "r"(b) : "memory");
    out[threadIdx.x] = tile[threadIdx.x / 16][threadIdx.x % 16];
}"""
kernel = Program(SOURCE, "c++", options=ProgramOptions(arch="sm_90")).compile("ptx").get_kernel("box")
matrix, out = np.arange(20 * 32, dtype=np.float32).reshape(20, 32), np.zeros(128, np.float32)
pointers = [driver.cuMemAlloc(a.nbytes)[1] for a in (matrix, out)]
driver.cuMemcpyHtoD(pointers[0], matrix.ctypes.data, matrix.nbytes)

kinds, interleaves = driver.CUtensorMapDataType, driver.CUtensorMapInterleave
swizzles, fills = driver.CUtensorMapSwizzle, driver.CUtensorMapFloatOOBfill


def encode(**changed):
    """Status and map of the matrix, of which something may be different."""
    wanted = {
        "kind": kinds.CU_TENSOR_MAP_DATA_TYPE_FLOAT32,
        "address": int(pointers[0]),
        "sizes": [32, 20],
        "strides": [128],
        "box": [16, 8],
        "interleave": interleaves.CU_TENSOR_MAP_INTERLEAVE_NONE,
        "swizzle": swizzles.CU_TENSOR_MAP_SWIZZLE_NONE,
        "fill": fills.CU_TENSOR_MAP_FLOAT_OOB_FILL_NAN_REQUEST_ZERO_FMA,
    } | changed
    u64, u32 = driver.cuuint64_t, driver.cuuint32_t
    return driver.cuTensorMapEncodeTiled(
        wanted["kind"],
        len(wanted["sizes"]),
        wanted["address"],
        [u64(n) for n in wanted["sizes"]],
        [u64(n) for n in wanted["strides"]],
        [u32(n) for n in wanted["box"]],
        [u32(1)] * len(wanted["sizes"]),
        wanted["interleave"],
        wanted["swizzle"],
        driver.CUtensorMapL2promotion.CU_TENSOR_MAP_L2_PROMOTION_L2_128B,
        wanted["fill"],
    )


status, tensor_map = encode()
assert status == driver.CUresult.CUDA_SUCCESS
opaque = np.array([int(n) for n in tensor_map.opaque], np.uint64)
stream = device.create_stream()
handle = kernel._handle if hasattr(kernel, "_handle") else kernel.handle
x, y = np.array(24, np.int32), np.array(15, np.int32)
pointer = np.array(int(pointers[1]), np.uint64)
places = np.array([a.ctypes.data for a in (opaque, x, y, pointer)], np.uint64)
(status,) = driver.cuLaunchKernel(int(handle), 1, 1, 1, 128, 1, 1, 0, int(stream.handle), places.ctypes.data, 0)
assert status == driver.CUresult.CUDA_SUCCESS, status
driver.cuMemcpyDtoH(out.ctypes.data, pointers[1], out.nbytes)
expected = np.full((8, 16), np.nan, np.float32)
expected[:5, :8] = matrix[15:, 24:]
np.testing.assert_array_equal(out.reshape(8, 16), expected)

refused, absent = driver.CUresult.CUDA_ERROR_INVALID_VALUE, driver.CUresult.CUDA_ERROR_NOT_SUPPORTED
assert encode(address=int(pointers[0]) + 4)[0] == refused
assert encode(strides=[120])[0] == refused
assert encode(box=[257, 1])[0] == refused
assert encode(box=[3, 8])[0] == refused
assert encode(swizzle=swizzles.CU_TENSOR_MAP_SWIZZLE_32B)[0] == refused
assert encode(kind=kinds.CU_TENSOR_MAP_DATA_TYPE_INT32)[0] == refused, "NaN among integers"
assert encode(kind=kinds.CU_TENSOR_MAP_DATA_TYPE_FLOAT32_FTZ)[0] == absent
assert encode(interleave=interleaves.CU_TENSOR_MAP_INTERLEAVE_16B)[0] == absent
print("all maps")
