"""Passes and bytes of NumPy code, against what can be counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from teachkit.kernels import gelu_claims
from teachkit.measure.numpy_traffic import count_numpy

N = 1 << 19
LARGE = np.linspace(-3, 3, N, dtype=np.float32)


def test_every_pass_of_a_large_array_goes_to_memory() -> None:
    counted = count_numpy(lambda x: 2 * x + x, LARGE)
    assert (counted.n_passes, counted.dram_read_bytes, counted.dram_write_bytes) == (2, 3 * 4 * N, 2 * 4 * N)


def test_an_array_read_twice_by_one_pass_counts_once() -> None:
    assert count_numpy(lambda x: x * x, LARGE).dram_bytes == 2 * 4 * N


def test_in_place_saves_no_traffic() -> None:
    def in_place(x):
        x *= 2
        x += 1

    assert count_numpy(in_place, LARGE).dram_bytes == 4 * 4 * N


def test_a_small_array_is_read_once_and_written_back_once() -> None:
    def in_place(x):
        for _ in range(10):
            x *= 2

    counted = count_numpy(in_place, LARGE[:1024])
    assert (counted.n_passes, counted.dram_read_bytes, counted.dram_write_bytes) == (10, 4096, 4096)


def test_least_recently_used_goes_first() -> None:
    def alternate(x):
        first, second = x[:256], x[256:]
        for _ in range(3):
            first *= 2
            second *= 2

    assert count_numpy(alternate, LARGE[:512], cache_bytes=2048).dram_bytes == 2 * 2048
    assert count_numpy(alternate, LARGE[:512], cache_bytes=1024).dram_bytes == 3 * 2 * 2048


def test_reductions_and_numbers() -> None:
    counted = count_numpy(lambda x: np.add.reduce(np.exp(x)), LARGE)
    assert counted.n_passes == 2
    assert counted.dram_write_bytes == 4 * N


@pytest.mark.parametrize(("claim", "n_passes", "elements"), [("numpy_one_liner", 8, 18), ("numpy_chunks", 512, 2)])
def test_claims(claim: str, n_passes: int, elements: int) -> None:
    counted = count_numpy(getattr(gelu_claims, claim), LARGE)
    assert counted.n_passes == n_passes
    assert round(counted.dram_bytes / LARGE.nbytes) == elements


def test_the_input_stays_as_it_was() -> None:
    x = np.ones(8)
    count_numpy(lambda y: np.multiply(y, 2, out=y), x)
    assert (x == 1).all()


def test_chunks_compute_gelu() -> None:
    np.testing.assert_allclose(
        gelu_claims.numpy_chunks(LARGE), gelu_claims.numpy_one_liner(LARGE), rtol=1e-4, atol=1e-6
    )
