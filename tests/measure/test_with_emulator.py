"""Profiles of real Triton kernels on the emulator, beside eager operators: the numbers that the lessons print."""

from __future__ import annotations

import threading

import pytest
import torch

from teachkit.kernels.tanh_gelu import eager_gelu, fused_gelu, library_gelu
from teachkit.kernels.vector_add import vector_add
from teachkit.measure import Profile, profile
from teachkit.model import predict

N = 1 << 16


def run(function: object, *args: torch.Tensor) -> Profile:
    assert callable(function)
    with profile() as prof:
        function(*args)
    return prof


def test_the_three_ways_to_gelu() -> None:
    x = torch.linspace(-3, 3, N)
    eager, library, fused = (run(function, x) for function in (eager_gelu, library_gelu, fused_gelu))
    assert [prof.n_launches for prof in (eager, library, fused)] == [8, 1, 1]
    assert [prof.dram_bytes for prof in (eager, library, fused)] == [18 * 4 * N, 2 * 4 * N, 2 * 4 * N]
    assert fused.kernels[0].kind == "kernel"
    assert fused.kernels[0].name == "fused_gelu_kernel"


def test_a_kernel_and_an_operator_that_do_the_same_move_the_same() -> None:
    x, y = torch.ones(N), torch.ones(N)
    ours, theirs = run(vector_add, x, y), run(torch.add, x, y)
    assert [kernel.name for kernel in ours.kernels] == ["vector_add_kernel"]  # empty_like launches nothing
    for field in ("n_launches", "dram_read_bytes", "dram_write_bytes", "compulsory_read_bytes", "flop_fp32"):
        assert getattr(ours.total, field) == getattr(theirs.total, field), field
    assert ours.total.global_load_sectors == 2 * N // 8


def test_a_kernel_launched_on_another_thread_is_seen() -> None:
    x = torch.ones(N)
    with profile() as prof:
        thread = threading.Thread(target=vector_add, args=(x, x))
        thread.start()
        thread.join()
    assert [kernel.name for kernel in prof.kernels] == ["vector_add_kernel"]


@pytest.mark.parametrize("name", ["V100", "A100", "H100"])
def test_fusion_is_modelled_to_pay_on_every_gpu(name: str) -> None:
    x = torch.linspace(-3, 3, N)
    eager, fused = (predict(run(function, x), gpu=name) for function in (eager_gelu, fused_gelu))
    assert 7.9 < eager.seconds / fused.seconds < 9.1
    assert eager.provenance == fused.provenance == "modelled"
