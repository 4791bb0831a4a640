"""NVIDIA's own Python packages on the emulated driver."""

import numpy as np
from cuda.bindings import driver
from cuda.core import Device, LaunchConfig, Program, ProgramOptions, launch

from teachkit.errors import DriverError
from teachkit.frontends.cuda_driver import elf, install, is_installed
from teachkit.frontends.cuda_driver.device import attributes
from teachkit.frontends.cuda_driver.entry import Status

assert not is_installed()
install()
install()
assert is_installed()

# Numbers that were typed in from NVIDIA's documents are those of NVIDIA's headers.
known = {int(member) for member in driver.CUdevice_attribute}
assert set(attributes()) <= known
named = driver.CUdevice_attribute
assert attributes()[int(named.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)] == 108
assert attributes()[int(named.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE)] == 41_943_040
assert attributes()[int(named.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)] == 166_912
assert attributes()[int(named.CU_DEVICE_ATTRIBUTE_SINGLE_TO_DOUBLE_PRECISION_PERF_RATIO)] == 2
assert attributes()[int(named.CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)] == 1
for status in Status:
    prefix = "CUDA_" if status is Status.SUCCESS else "CUDA_ERROR_"
    assert driver.CUresult(int(status)).name == prefix + status.name, status

assert driver.cuDeviceGetCount()[0] == driver.CUresult.CUDA_ERROR_NOT_INITIALIZED
assert driver.cuInit(0) == (driver.CUresult.CUDA_SUCCESS,)
assert driver.cuDeviceGetCount()[1] == 1
assert driver.cuDeviceGet(1)[0] == driver.CUresult.CUDA_ERROR_INVALID_DEVICE
assert driver.cuMemAlloc(16)[0] == driver.CUresult.CUDA_ERROR_INVALID_CONTEXT
assert driver.cuGraphCreate(0)[0] == driver.CUresult.CUDA_ERROR_NOT_SUPPORTED
assert driver.cuGetErrorName(driver.CUresult.CUDA_ERROR_INVALID_VALUE)[1] == b"CUDA_ERROR_INVALID_VALUE"

device = Device(0)
device.set_current()
source = """
extern "C" __global__ void fill(float *out, float value, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = value + i;
}"""
code = Program(source, "c++", options=ProgramOptions(arch="sm_80")).compile("ptx")
kernel = code.get_kernel("fill")
assert kernel.attributes.num_regs > 0
assert kernel.attributes.max_threads_per_block == 1024
stream = device.create_stream()
status, pointer = driver.cuMemAlloc(4000)
launch(stream, LaunchConfig(grid=8, block=128), kernel, int(pointer), np.float32(0.5), np.int32(1000))
stream.sync()
out = np.zeros(1000, np.float32)
assert driver.cuMemcpyDtoH(out.ctypes.data, pointer, 4000) == (driver.CUresult.CUDA_SUCCESS,)
np.testing.assert_array_equal(out, np.arange(1000) + np.float32(0.5))

bad = driver.CUresult.CUDA_ERROR_INVALID_VALUE
assert driver.cuMemcpyDtoH(out.ctypes.data, pointer, 4001) == (bad,), "one byte past the allocation"
assert driver.cuMemcpyHtoD(int(pointer) + 8, out.ctypes.data, 4000) == (bad,)
assert driver.cuMemsetD32(pointer, 7, 1001) == (bad,)
assert driver.cuMemsetD32(pointer, 0x01020304, 1000) == (driver.CUresult.CUDA_SUCCESS,)
assert driver.cuMemsetD8(int(pointer) + 4, 9, 4) == (driver.CUresult.CUDA_SUCCESS,)
driver.cuMemcpyDtoH(out.ctypes.data, pointer, 4000)
assert out.view(np.uint32)[:3].tolist() == [0x01020304, 0x09090909, 0x01020304]
assert driver.cuMemFree(int(pointer) + 4) == (bad,), "not where the allocation begins"
assert driver.cuMemFree(pointer) == (driver.CUresult.CUDA_SUCCESS,)
assert driver.cuMemFree(pointer) == (bad,), "freed twice"
assert driver.cuModuleLoadData(b"no PTX\0")[0] == driver.CUresult.CUDA_ERROR_INVALID_IMAGE
assert driver.cuModuleLoadData(b".version 8.0\nnonsense\0")[0] == driver.CUresult.CUDA_ERROR_INVALID_PTX
assert driver.cuStreamSynchronize(12345) == (driver.CUresult.CUDA_ERROR_INVALID_HANDLE,)

# A library made of addresses has the symbols it was made with, and no other.
other = elf.load("libteachkit-test.so", {"first": 4096, "second": 8192, "third": 12288})
assert hasattr(other, "third")
assert not hasattr(other, "fourth")
assert issubclass(DriverError, Exception)
print("all calls")
