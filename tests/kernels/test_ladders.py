"""The reference kernels compute what PyTorch computes and move what their docstrings say."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from teachkit.kernels.tanh_gelu import eager_gelu, fused_gelu, library_gelu
from teachkit.kernels.vector_add import vector_add
from teachkit.measure.profiler import profile

SIZES = (1, 1023, 1024, 1025, 10_007)
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
Gelu = Callable[[torch.Tensor], torch.Tensor]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("n_elements", SIZES)
def test_vector_add_is_exact(n_elements: int, device: str) -> None:
    x, y = (torch.randn(n_elements, device=device) for _ in range(2))
    assert torch.equal(vector_add(x, y), x + y)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("rung", [eager_gelu, fused_gelu])
@pytest.mark.parametrize("n_elements", SIZES)
def test_every_rung_of_gelu_agrees_with_the_library(n_elements: int, rung: Gelu, device: str) -> None:
    x = 4 * torch.randn(n_elements, device=device)
    # 1 + tanh u cancels for u near -3: its last bits, 2^-24, are multiplied by |x| of about 10.
    torch.testing.assert_close(rung(x), library_gelu(x), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("device", DEVICES)
def test_fused_gelu_is_finite_far_out(device: str) -> None:
    x = torch.tensor([-1e6, -100.0, 0.0, 100.0, 1e6], device=device)
    assert fused_gelu(x).tolist() == [0.0, 0.0, 0.0, 100.0, 1e6]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(
    ("rung", "n_launches", "n_read", "n_written"),
    [(eager_gelu, 8, 10, 8), (library_gelu, 1, 1, 1), (fused_gelu, 1, 1, 1)],
)
def test_each_rung_launches_and_moves_what_it_says(
    rung: Gelu, n_launches: int, n_read: int, n_written: int, device: str
) -> None:
    n_elements = 2**16
    x = torch.randn(n_elements, device=device)
    with profile() as prof:
        rung(x)
    assert prof.n_launches == n_launches
    assert prof.dram_read_bytes == 4 * n_read * n_elements
    assert prof.dram_write_bytes == 4 * n_written * n_elements


@pytest.mark.parametrize("device", DEVICES)
def test_vector_add_moves_twelve_bytes_an_element(device: str) -> None:
    n_elements = 2**16
    x, y = (torch.randn(n_elements, device=device) for _ in range(2))
    with profile() as prof:
        vector_add(x, y)
    assert (prof.n_launches, prof.dram_bytes) == (1, 12 * n_elements)
    assert prof.flop == n_elements
