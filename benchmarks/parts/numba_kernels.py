"""Numba-CUDA kernels for the speed benchmark, on the emulator or, with NUMBA_ENABLE_CUDASIM=1, on Numba's simulator."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

if os.environ.get("NUMBA_ENABLE_CUDASIM") == "1":
    from numba import cuda
else:
    from teachkit import cuda

THREADS = 256


@cuda.jit
def saxpy(a, x, y, out):
    i = cuda.grid(1)
    if i < x.size:
        out[i] = a * x[i] + y[i]


@cuda.jit
def block_sums(x, sums):
    part = cuda.shared.array(256, np.float32)
    t = cuda.threadIdx.x
    i = cuda.grid(1)
    part[t] = x[i] if i < x.size else 0.0
    cuda.syncthreads()
    step = 128
    while step:
        if t < step:
            part[t] += part[t + step]
        cuda.syncthreads()
        step //= 2
    if t == 0:
        sums[cuda.blockIdx.x] = part[0]


def calls() -> Iterator[tuple[str, int, Callable[[], Any], Callable[[], bool]]]:
    """Name, number of elements, the launch, and whether its result is right."""
    rng = np.random.default_rng(0)
    n = 200_000  # some 40 s on the simulator
    x, y = (rng.standard_normal(n, dtype=np.float32) for _ in range(2))
    out, n_blocks = np.empty_like(x), -(-n // THREADS)
    yield (
        "numba_saxpy",
        n,
        lambda: saxpy[n_blocks, THREADS](np.float32(2.0), x, y, out),
        # The compiler may contract a * x + y into one rounding.
        lambda: np.allclose(out, np.float32(2.0) * x + y, rtol=1e-6, atol=1e-6),
    )
    n = 20_000  # the simulator takes some 10 times as long an element where threads wait for each other
    x, n_blocks = x[:n].copy(), -(-n // THREADS)
    sums = np.empty(n_blocks, np.float32)
    padded = np.zeros(n_blocks * THREADS, np.float32)
    padded[:n] = x
    yield (
        "numba_block_sums",
        n,
        lambda: block_sums[n_blocks, THREADS](x, sums),
        # Sums of 256 terms in another order.
        lambda: np.allclose(sums, padded.reshape(n_blocks, THREADS).sum(1), rtol=1e-4, atol=1e-4),
    )
