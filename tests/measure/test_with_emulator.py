"""Profiles of real Triton kernels on the emulator, beside eager operators: the numbers that the lessons print."""

from __future__ import annotations

import threading

import pytest
import torch
import triton
import triton.language as tl

from teachkit.errors import UnknownGpuError
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


def test_the_modelled_gpu_of_one_profile() -> None:
    """8 MB read twice stay in the 40 MB L2 of an A100 after the first time, and not in the 4 MB of a T4."""
    x = torch.ones(1 << 21)

    def read_again(gpu: str) -> Profile:
        out = torch.empty(4096)
        with profile(gpu=gpu) as prof:
            block_sums[(4096,)](x, out, 2048, BLOCK_SIZE=1024)
        assert out.eq(1024).all()
        return prof

    a100, t4 = read_again("A100-SXM4-40GB"), read_again("T4-PCIe-16GB")
    assert settings_gpu() is None
    exact = ("global_load_sectors", "global_store_sectors", "warp_instructions", "compulsory_read_bytes")
    assert [getattr(a100.total, name) for name in exact] == [getattr(t4.total, name) for name in exact]
    assert a100.total.dram_read_bytes == 4 * x.numel()
    assert t4.total.dram_read_bytes == 8 * x.numel()


def test_a_gpu_without_a_data_sheet_is_refused_before_anything_runs() -> None:
    with pytest.raises(UnknownGpuError):
        profile(gpu="A1000")


def settings_gpu() -> str | None:
    from teachkit.emulator import kernel

    return kernel.settings.gpu


@triton.jit
def block_sums(x_ptr, out_ptr, n_blocks, BLOCK_SIZE: tl.constexpr):
    offsets = (tl.program_id(0) % n_blocks) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
    tl.store(out_ptr + tl.program_id(0), tl.sum(tl.load(x_ptr + offsets), axis=0))
