"""Instructions that CUDA C++ reaches by inline assembly or by an intrinsic, compiled by NVRTC, against NumPy."""

import numpy as np
import pytest

import teachkit as tk
from teachkit.errors import KernelFault

SOURCE = r"""
__global__ void video(const unsigned* x, const unsigned* y, unsigned* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned a = x[i], b = y[i], r;
    asm("vadd.u32.u32.u32.sat %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b));
    out[i] = r;
    asm("vabsdiff.u32.u32.u32.add %0, %1.b3, %2.b0, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(5u));
    out[n + i] = r;
    asm("vmad.s32.s32.s32.shr7 %0, %1.h0, %2.b1, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(64u));
    out[2 * n + i] = r;
    asm("vshl.u32.u32.u32.wrap %0.h1, %1.b2, %2, %3;" : "=r"(r) : "r"(a), "r"(b & 7), "r"(a));
    out[3 * n + i] = r;
    asm("vset.u32.u32.lt.max %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(0u));
    out[4 * n + i] = r;
}

__global__ void bytes(const unsigned* x, const unsigned* y, unsigned* out, int n) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    unsigned r;
    asm("prmt.b32.f4e %0, %1, %2, %3;" : "=r"(r) : "r"(x[i]), "r"(y[i]), "r"(i));
    out[i] = r;
    asm("prmt.b32.rc16 %0, %1, %2, %3;" : "=r"(r) : "r"(x[i]), "r"(y[i]), "r"(i));
    out[n + i] = r;
    asm("cvt.pack.sat.u8.s32.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(x[i]), "r"(y[i]), "r"(0xABCDu));
    out[2 * n + i] = r;
    out[3 * n + i] = __vsubss4(x[i], y[i]) ^ __vmaxs2(x[i], y[i]);
}

__global__ void stops(int* out, int at) {
    out[threadIdx.x] = threadIdx.x;
    __nanosleep(20);
    if (threadIdx.x == at) __brkpt();
    out[threadIdx.x] += 1;
}
"""


@pytest.fixture(scope="module")
def module():
    return tk.compile_cuda_c(SOURCE)


@pytest.fixture
def words():
    random = np.random.default_rng(11)
    return tuple(random.integers(0, 2**32, 300, dtype=np.uint64).astype(np.uint32) for _ in "xy")


def test_video_instructions(module, words):
    a, b = (word.astype(np.int64) for word in words)
    out = np.zeros((5, 300), np.uint32)
    module["video"][3, 128](*words, out, 300)
    assert (out[0] == np.minimum(a + b, 2**32 - 1)).all()
    assert (out[1] == np.abs((a >> 24) - (b & 0xFF)) + 5).all()
    product = a.astype(np.int16).astype(np.int64) * (b >> 8).astype(np.int8)
    assert (out[2].view(np.int32) == (product + 64) >> 7).all()
    assert (out[3] == (a & 0xFFFF | ((a >> 16 & 0xFF) << (b & 7) & 0xFFFF) << 16)).all()
    assert (out[4] == (a < b)).all()


def test_permuted_and_packed_bytes(module, words):
    out = np.zeros((4, 300), np.uint32)
    module["bytes"][3, 128](*words, out, 300)
    octets = np.stack(words, axis=1).view(np.uint8)  # [300, 8]
    first = np.arange(300) % 4
    picked = np.take_along_axis(octets, first[:, None] + np.arange(4), axis=1)
    assert (out[0] == np.ascontiguousarray(picked).view(np.uint32)[:, 0]).all()
    half = octets.view(np.uint16)[np.arange(300), first % 2].astype(np.uint32)
    assert (out[1] == half * 0x10001).all()
    high, low = (np.clip(word.view(np.int32), 0, 255).astype(np.uint32) for word in words)
    assert (out[2] == 0xABCD0000 + (high << 8) + low).all()
    x, y = (word.view(np.int8).astype(np.int64) for word in words)
    difference = np.clip(x - y, -128, 127).astype(np.int8).view(np.uint32)
    larger = np.maximum(*(word.view(np.int16) for word in words)).view(np.uint32)
    assert (out[3] == difference ^ larger).all()


def test_a_breakpoint_without_a_debugger(module):
    with pytest.raises(KernelFault, match=r"stopped at a breakpoint \(brkpt\)") as caught:
        module["stops"][1, 64](np.zeros(64, np.int32), 40)
    assert caught.value.thread == (40, 0, 0)
    module["stops"][1, 64](out := np.zeros(64, np.int32), -1)
    assert (out == np.arange(64) + 1).all()
