"""Clusters by NVIDIA's own Python packages on the emulated driver: sizes of the launch and of the kernel."""

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, Program, ProgramOptions

from teachkit.frontends import target
from teachkit.frontends.cuda_driver import install

target.set_architecture(90)
install()
device = Device(0)
device.set_current()
has_clusters = driver.CUdevice_attribute.CU_DEVICE_ATTRIBUTE_CLUSTER_LAUNCH
assert driver.cuDeviceGetAttribute(has_clusters, 0) == (driver.CUresult.CUDA_SUCCESS, 1)
source = """
#define BODY                                                                                                  \\
    __shared__ int value;                                                                                     \\
    unsigned rank, size, there; int found;                                                                    \\
    asm volatile("mov.u32 %0, %%cluster_ctarank; mov.u32 %1, %%cluster_nctarank;" : "=r"(rank), "=r"(size)); \\
    value = blockIdx.x;                                                                                       \\
    asm volatile("barrier.cluster.arrive; barrier.cluster.wait;" ::: "memory");                               \\
    asm volatile("mapa.shared::cluster.u32 %0, %1, %2;"                                                       \\
                 : "=r"(there) : "r"((unsigned)__cvta_generic_to_shared(&value)), "r"((rank + 1) % size));    \\
    asm volatile("ld.shared::cluster.u32 %0, [%1];" : "=r"(found) : "r"(there) : "memory");                   \\
    out[blockIdx.x] = 100 * size + found;                                                                     \\
    asm volatile("barrier.cluster.arrive; barrier.cluster.wait;" ::: "memory");
extern "C" __global__ void any(int *out) { BODY }
extern "C" __global__ void __cluster_dims__(2) two(int *out) { BODY }"""
code = Program(source, "c++", options=ProgramOptions(arch="sm_90")).compile("ptx")
stream = device.create_stream()
status, pointer = driver.cuMemAlloc(4 * 24)


def launched(name, size=None, grid=24):
    """Status of a launch, and what it left."""
    kernel = code.get_kernel(name)
    handle = kernel._handle if hasattr(kernel, "_handle") else kernel.handle
    config = driver.CUlaunchConfig()
    config.gridDimX, config.gridDimY, config.gridDimZ = grid, 1, 1
    config.blockDimX, config.blockDimY, config.blockDimZ = 32, 1, 1
    config.hStream = driver.CUstream(int(stream.handle))
    if size is not None:
        attribute = driver.CUlaunchAttribute()
        attribute.id = driver.CUlaunchAttributeID.CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION
        cluster = attribute.value.clusterDim
        cluster.x, cluster.y, cluster.z = size, 1, 1
        config.attrs, config.numAttrs = [attribute], 1
    argument = np.array(int(pointer), np.uint64)
    places = np.array([argument.ctypes.data], np.uint64)
    (status,) = driver.cuLaunchKernelEx(config, int(handle), places.ctypes.data, 0)
    out = np.zeros(24, np.int32)
    driver.cuMemcpyDtoH(out.ctypes.data, pointer, out.nbytes)
    return status, out


def expected(size):
    """Each block finds the number of the next one in its cluster."""
    return 100 * size + np.roll(np.arange(24).reshape(-1, size), -1, axis=1).ravel()


fine, refused = driver.CUresult.CUDA_SUCCESS, driver.CUresult.CUDA_ERROR_INVALID_VALUE
for size in (1, 2, 3, 8):
    status, out = launched("any", size)
    assert status == fine, status
    np.testing.assert_array_equal(out, expected(size))
for size in (None, 2):
    status, out = launched("two", size)
    assert status == fine, status
    np.testing.assert_array_equal(out, expected(2))
np.testing.assert_array_equal(launched("any")[1], expected(1))
assert launched("two", 4)[0] == refused
assert launched("any", 5)[0] == refused
assert launched("any", 12)[0] == refused
print("all clusters")
