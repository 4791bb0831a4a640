"""Numba-CUDA kernels on the emulator, against NumPy."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from numba import float32

import teachkit as tk
from teachkit import cuda
from teachkit.errors import CompileError, KernelFault, LaunchError


@cuda.jit
def saxpy(a, x, y, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = a * x[i] + y[i]


@cuda.jit
def gelu(x, y):
    i = cuda.grid(1)
    if i < x.size:
        v = x[i]
        y[i] = 0.5 * v * (1 + math.tanh(0.7978845608 * (v + 0.044715 * v * v * v)))


@cuda.jit
def transpose(x, y):
    r, c = cuda.grid(2)
    if r < x.shape[0] and c < x.shape[1]:
        y[c, r] = x[r, c]


@cuda.jit
def block_sum(x, out):
    part = cuda.shared.array(128, float32)
    i = cuda.threadIdx.x
    part[i] = x[cuda.grid(1)]
    cuda.syncthreads()
    step = 64
    while step > 0:
        if i < step:
            part[i] += part[i + step]
        cuda.syncthreads()
        step //= 2
    if i == 0:
        out[cuda.blockIdx.x] = part[0]


@pytest.mark.parametrize("n", [1, 127, 128, 129, 10_007])
@pytest.mark.parametrize("make", [np.asarray, torch.from_numpy])
def test_saxpy(n, make):
    rng = np.random.default_rng(n)
    x, y = rng.standard_normal((2, n), dtype=np.float32)
    out = np.zeros(n, np.float32)
    with tk.profile() as prof:
        saxpy[(n + 127) // 128, 128](np.float32(2), make(x), make(y), make(out))
    np.testing.assert_allclose(out, 2 * x + y, rtol=1e-6)
    assert prof.n_launches == 1
    assert prof.total.global_load_bytes == 8 * n
    assert prof.total.global_store_bytes == 4 * n


def test_gelu_equals_pytorch():
    x = torch.linspace(-6, 6, 1001)
    y = torch.zeros_like(x)
    gelu[8, 128](x, y)
    torch.testing.assert_close(y, torch.nn.functional.gelu(x, approximate="tanh"), rtol=1e-5, atol=1e-6)


def test_two_dimensions_and_gaps():
    whole = np.arange(40 * 60, dtype=np.int32).reshape(40, 60)
    view, out = whole[::2, 3:50], np.zeros((47, 20), np.int32)
    transpose[(2, 3), (16, 16)](view, out)
    np.testing.assert_array_equal(out, view.T)


def test_shared_memory_and_barriers():
    x = np.random.default_rng(0).standard_normal(5 * 128, dtype=np.float32)
    out = np.zeros(5, np.float32)
    block_sum[5, 128](x, out)
    np.testing.assert_allclose(out, x.reshape(5, 128).sum(1), rtol=1e-4, atol=1e-5)


def test_a_name_that_does_not_exist_shows_numbas_message():
    @cuda.jit
    def wrong(x):
        x[0] = nothing_of_this_name  # noqa: F821

    with pytest.raises(CompileError, match="nothing_of_this_name"):
        wrong[1, 32](np.zeros(1))


def test_out_of_bounds_names_argument_and_line():
    @cuda.jit
    def past_the_end(x, out):
        i = cuda.grid(1)
        out[i] = x[i]

    with pytest.raises(KernelFault, match=r"(?s)argument 'x'.*out\[i\] = x\[i\]"):
        past_the_end[1, 64](np.zeros(40), np.zeros(64))


def test_wrong_arguments_say_what_was_expected():
    with pytest.raises(LaunchError, match=r"Expected 4 arguments for kernel 'saxpy' \(a, x, y, out\), got 1"):
        saxpy[1, 32](np.zeros(3))
    with pytest.raises(LaunchError, match="argument 'x', got list"):
        saxpy[1, 32](1.0, [1, 2], np.zeros(2), np.zeros(2))
    with pytest.raises(LaunchError, match=r"argument 'x', got torch\.float8_e4m3fn"):
        saxpy[1, 32](1.0, torch.zeros(2, dtype=torch.float8_e4m3fn), np.zeros(2), np.zeros(2))


def no_such_function(x):
    x[0] = np.zeros(3)[0]


def size_not_constant(x):
    x[0] = cuda.shared.array(x.size, np.float32)[0]


def test_what_numba_refuses_is_one_kind_of_error():
    for function in (no_such_function, size_not_constant):
        with pytest.raises(CompileError, match="No implementation of function"):
            cuda.jit(function)[1, 1](np.zeros(4))
    x = np.zeros(4)
    x.setflags(write=False)
    with pytest.raises(CompileError, match="readonly"):
        fill[1, 4](x)


@cuda.jit
def fill(x):
    x[cuda.grid(1)] = 1


def test_what_needs_a_driver_says_so():
    program = "import teachkit as tk, numpy; tk.cuda.to_device(numpy.zeros(3))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    if done.returncode:  # a machine without a GPU
        assert "Expected a CUDA driver for cuda.to_device" in done.stderr
        assert "teachkit.cuda.emulate()" in done.stderr
