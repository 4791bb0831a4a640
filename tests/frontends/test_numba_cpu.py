"""One loop, three ways: the same result, and only one of them uses vector registers."""

from __future__ import annotations

import platform

import numba
import numpy as np
import pytest

from teachkit.frontends.numba_cpu import compile_loop, vector_instructions


def halve(x, y):
    for i in numba.prange(x.size):
        y[i] = x[i] // 2 + 1


@pytest.fixture(scope="module")
def arrays() -> tuple[np.ndarray, np.ndarray]:
    return np.arange(5001, dtype=np.int32), np.zeros(5001, np.int32)


@pytest.mark.parametrize("options", [{"simd": False}, {"simd": True}, {"simd": True, "threads": True}])
def test_same_result(arrays, options) -> None:
    x, y = arrays
    y[:] = 0
    compile_loop(halve, x, y, **options)(x, y)
    assert (y == x // 2 + 1).all()


@pytest.mark.skipif(platform.machine() != "x86_64", reason="register names of x86-64")
def test_only_simd_uses_wide_registers(arrays) -> None:
    # A probe of Numba's switch: should it stop working, this says so.
    scalar, simd = (vector_instructions(compile_loop(halve, *arrays, simd=simd)) for simd in (False, True))
    assert sum(simd.values()) > 2 * sum(scalar.values())
    assert max(n for n, times in simd.items() if times) >= 16


def test_the_switch_is_left_as_it_was(arrays) -> None:
    before = numba.config.LOOP_VECTORIZE
    compile_loop(halve, *arrays, simd=not before)
    assert before == numba.config.LOOP_VECTORIZE
