"""Kernels without a mistake, some of which look like one: nothing is reported, and results are right."""

import functools
import pathlib

import numpy as np
import pytest
import torch

import teachkit as tk
from teachkit.emulator import check, configure, load_ptx

HERE = pathlib.Path(__file__).parent


@functools.cache
def cuda_kernels():
    return tk.compile_cuda_c((HERE / "correct.cu").read_text(), file_name="correct.cu")


def ramp(n):
    return torch.arange(n, dtype=torch.float32)


def mod(n, m):
    return (torch.arange(n, dtype=torch.int32) * 7 + 3) % m


def ints(*n):
    return torch.zeros(*n, dtype=torch.int32)


def tile_sums():
    return (ramp(256).view(4, 64) * ramp(64)).sum().expand(64)


def blockwise_total(n_blocks, n):
    return ramp(n) * sum(range(n_blocks))


# name: grid, block, arguments (made inside the check), index of the result, expected
CUDA = {
    "reversed": (2, 128, lambda: [ramp(256), torch.empty(256)], 1, lambda: ramp(256).view(2, 128).flip(1).reshape(-1)),
    "reduction": (1, 128, lambda: [ramp(128), torch.empty(128)], 1, lambda: ramp(128).sum().expand(128)),
    "shuffles": (2, 128, lambda: [ramp(256), torch.empty(2)], 1, lambda: ramp(256).view(2, 128).sum(1)),
    "tiles": (1, 64, lambda: [ramp(256), torch.empty(64)], 1, tile_sums),
    "double_buffer": (1, 64, lambda: [ramp(256), torch.empty(64)], 1, lambda: ramp(256).view(4, 64).sum(0).flip(0)),
    "histogram": (
        *(2, 64, lambda: [mod(128, 5), ints(8), 128], 1),
        lambda: torch.bincount(mod(128, 5), minlength=8).int(),
    ),
    "same_value": (2, 64, lambda: [ints(1), torch.empty(32, dtype=torch.int32)], 1, lambda: ints(32) + 7),
    "swapped_maximum": (
        *(2, 64, lambda: [ramp(128), torch.zeros(1)], 1),
        lambda: torch.tensor([127.0]),
    ),
    "halo": (
        *(2, 64, lambda: [ramp(100), torch.empty(100), 100], 1),
        lambda: torch.nn.functional.conv1d(ramp(100)[None, None], torch.ones(1, 1, 3), padding=1)[0, 0],
    ),
    "bytes": (
        *(2, 64, lambda: [mod(128, 100).to(torch.uint8), torch.empty(128, dtype=torch.uint8), ints(128).short()], 1),
        lambda: (mod(128, 100) + 1).to(torch.uint8),
    ),
    "pipeline": (1, 64, lambda: [ramp(384), torch.empty(64)], 1, lambda: ramp(384).view(6, 64).sum(0).flip(0)),
    "last_block": (
        *(5, 64, lambda: [ramp(64), torch.empty(320), ints(1), torch.empty(64)], 3),
        lambda: blockwise_total(5, 64),
    ),
    "last_block_leader_fences": (
        *(5, 64, lambda: [ramp(64), torch.empty(320), ints(1), torch.empty(64)], 3),
        lambda: blockwise_total(5, 64),
    ),
    "spin_lock": (6, 32, lambda: [ints(1), torch.zeros(1), ramp(6)], 1, lambda: ramp(6).sum(0, keepdim=True)),
    "flag": (2, 64, lambda: [torch.empty(64), ints(1), torch.empty(64)], 2, lambda: ramp(64)),
    "grid_barrier": (
        *(4, 32, lambda: [ints(1), torch.empty(128), torch.empty(128)], 2),
        lambda: torch.stack([(b + 1) % 4 + ramp(32) for b in range(4)]).reshape(-1),
    ),
    "named_barriers": (
        1,
        128,
        lambda: [ramp(128), torch.empty(128)],
        1,
        lambda: ramp(128).view(2, 64).flip(1).view(-1),
    ),
    "producer_consumer": (1, 64, lambda: [ramp(32), torch.empty(32)], 1, lambda: ramp(32).flip(0)),
    "votes": (1, 32, lambda: [mod(32, 4), ints(32), 20], 1, None),
    "local_array": (1, 32, lambda: [ramp(8), torch.empty(32), 3], 1, lambda: (ramp(32) - 3) % 8),
    "partial_warp": (1, 48, lambda: [ramp(48), torch.empty(48)], 1, lambda: ramp(48).flip(0)),
}


@pytest.mark.parametrize("name", CUDA)
def test_cuda(name):
    grid, block, arguments, index, expected = CUDA[name]
    with check() as report:
        values = arguments()
        cuda_kernels()[name][grid, block](*values)
    assert report.is_clean
    assert report.n_launches == 1
    assert report.notes == []
    if expected is not None:
        assert torch.equal(values[index], expected())
    else:
        assert values[index][20:].eq(0).all()
        assert values[index][:20].gt(0).all()


@pytest.fixture
def many_threads():
    before = configure(n_threads=3)
    yield
    configure(n_threads=before.n_threads)


def test_triton(programs, many_threads):
    x = torch.randn(8, 256, generator=torch.Generator().manual_seed(0))
    with check() as report:
        scratch, out = torch.empty(256), torch.empty(256)
        programs.scratch_with_barrier[1,](x[0], scratch, out, BLOCK=256)
        torch.testing.assert_close(out, 2 * x[0].flip(0))
        sums, locks, total = torch.zeros(3, 256), ints(6), torch.zeros(1)
        programs.layer_norm_backward[8,](x, sums, locks, N_GROUPS=3, BLOCK=256)
        torch.testing.assert_close(sums, torch.stack([x[group::3].sum(0) for group in range(3)]))
        y = x[0].clone()
        programs.scale_in_place[4,](y, 3.0, BLOCK=64, num_warps=8)
        torch.testing.assert_close(y, 3 * x[0])
        programs.total_with_atomics[8,](x, total, BLOCK=256)
        torch.testing.assert_close(total, x.sum().reshape(1), rtol=1e-4, atol=1e-4)  # another order of 2048 terms
        a, b, c = x[:4].reshape(16, 64).half(), x[:4].reshape(64, 16).half(), torch.empty(16, 16)
        programs.pipelined_matmul[1,](a, b, c, 64, BM=16, BN=16, BK=16, num_stages=3)
        torch.testing.assert_close(c, a.float() @ b.float(), rtol=1e-3, atol=1e-3)  # sums of 64 half-precision products
        sums, ordered = torch.empty(256), torch.empty(256)
        programs.scan_and_sort[1,](x[0], sums, ordered, BLOCK=256)
        torch.testing.assert_close(ordered, x[0].sort().values)
    assert report.is_clean
    assert report.n_launches == 6


def test_numba(programs):
    x = np.arange(128, dtype=np.float32)
    with check() as report:
        out, bins, total = np.empty_like(x), np.zeros(5, np.int64), np.empty(1, np.float32)
        programs.numba_reversed[1, 128](x, out)
        programs.numba_histogram_atomic[2, 64](np.arange(128) % 5, bins)
        programs.numba_warp_sum[1, 32](x[:32], total)
    assert report.is_clean
    assert out.tolist() == x[::-1].tolist()
    assert bins.tolist() == np.bincount(np.arange(128) % 5).tolist()
    assert total[0] == x[:32].sum()


# Of each kind of kernel that Triton compiles, one; all of them are run on engine and oracle elsewhere.
SAMPLES = (
    "transpose",
    "softmax",
    "layer_norm",
    "matmul",
    "locked_sum",
    "scan",
    "sort",
    "argmax",
    "histogram",
    "attention",
)


@pytest.mark.parametrize("name", SAMPLES)
def test_what_triton_compiles(name, samples, triton_arguments):
    for sample in [s for s in samples.TRITON if s.kernel == name][:2]:
        grid, arguments = triton_arguments[name](sample.types, sample.constants)
        module = load_ptx(samples.triton_ptx(sample))
        module.has_replicated_scalars = True
        kernel = module[name]
        hidden = [None] * (len(kernel.function.params) - len(arguments))
        with check() as report:
            shared_bytes = samples.triton_shared_bytes(sample)
            kernel.launch(grid, 32 * sample.num_warps, [*arguments, *hidden], shared_bytes=shared_bytes)
        assert report.is_clean
        assert report.n_launches == 1
