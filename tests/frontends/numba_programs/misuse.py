"""What goes wrong in a Numba-CUDA program, and how it is told; the process goes on after each."""

import warnings

import numpy as np
import pytest
from cuda.core._utils.cuda_utils import CUDAError
from numba import cuda, float32
from numba.cuda.cudadrv.driver import CudaAPIError

from teachkit.errors import KernelFault, LaunchError

warnings.simplefilter("ignore")


@cuda.jit
def double(x, n):
    i = cuda.grid(1)
    if i < n:
        x[i] *= 2


good = np.ones(64)
with pytest.raises(
    KernelFault, match=r"argument 'x', a float64.*\n.*in kernel 'double'.*\n.*misuse.py:\d+:  x\[i\]"
) as past:
    double[1, 128](good, 100)
assert isinstance(past.value, CUDAError), "a program that expects the driver's error gets it"
assert "CUDA_ERROR_ILLEGAL_ADDRESS" in str(past.value)
double[1, 64](good, 64)
assert good.sum() == 128, "nothing was written by the launch that failed"

with pytest.raises(LaunchError, match="1024") as large:
    double[1, 2048](good, 64)
assert isinstance(large.value, CUDAError)


# An array that was freed: its address is nobody's memory any more.
@cuda.jit("void(CPointer(float64))")
def write(pointer):
    pointer[cuda.grid(1)] = 1


freed = cuda.to_device(np.ones(1 << 20))
address = freed.__cuda_array_interface__["data"][0]
write[1, 32](address)
del freed
cuda.current_context().deallocations.clear()
cuda.current_context().memory_manager.deallocations.clear()
with pytest.raises(KernelFault, match="Out-of-bounds store"):
    write[1, 32](address)

# The address of an array that only the host has.
with pytest.raises(KernelFault, match="Out-of-bounds store"):
    write[1, 32](good.ctypes.data)


@cuda.jit((float32[::1],))
def clear(x):
    x[cuda.grid(1)] = 0


with pytest.raises((TypeError, BufferError)):
    clear[1, 2]([1.0, 2.0])
with pytest.raises((TypeError, ValueError)):
    cuda.to_device(np.ones(8)).copy_to_device(np.ones(9))
with pytest.raises(Exception, match="non-precise type"):
    double[1, 2](np.array([None, None]), 2)
with pytest.raises(CudaAPIError, match="CUDA_ERROR_OUT_OF_MEMORY"):
    cuda.device_array(1 << 50, np.uint8)
with pytest.raises(CudaAPIError, match="CUDA_ERROR_INVALID_VALUE"):
    cuda.cudadrv.driver.driver.cuMemcpyDtoH(good.ctypes.data, address, 64)
print("all told")
