"""What each step of a ladder changes, counted: the counters that it names fall, and the main ones are exact."""

from __future__ import annotations

import functools
from typing import Any

import pytest

from teachkit.kernels import LADDERS, ladder
from teachkit.measure.profiler import profile

# Large enough that every step shows, small enough to count in seconds.
SIZES = {
    "copy": (1 << 16,),
    "transpose": (256, 256),
    "rgb_to_yuv": (128, 128),
    "reduction": (1 << 17,),
    "matmul": (128, 128, 64),
    "gelu": (1 << 16,),
}
STEPS = [(name, lower.name, upper.name) for name in LADDERS for lower, upper in ladder(name).steps()]


@functools.cache
def counted(name: str, rung: str) -> dict[str, Any]:
    """Counters of one rung, summed over its launches, and the shared memory of the first."""
    steps = ladder(name)
    inputs = steps.inputs(*SIZES[name])
    with profile() as prof:
        steps[rung].run(*inputs)
    resources = prof.kernels[0].resources
    return prof.total.to_dict() | {"shared_bytes": resources.shared_bytes if resources else 0}


@pytest.mark.parametrize(("name", "lower", "upper"), STEPS)
def test_the_counters_that_a_rung_names_fall(name: str, lower: str, upper: str) -> None:
    before, after = counted(name, lower), counted(name, upper)
    for counter in ladder(name)[upper].proof:
        assert after[counter] < before[counter], counter


@pytest.mark.parametrize("rung", [rung.name for rung in ladder("copy")])
def test_every_copy_moves_the_same_bytes(rung: str) -> None:
    (n,) = SIZES["copy"]
    counters = counted("copy", rung)
    assert counters["dram_bytes"] == counters["global_load_bytes"] + counters["global_store_bytes"] == 8 * n


def test_copy_sectors_and_requests() -> None:
    (n,) = SIZES["copy"]
    sectors = {rung.name: counted("copy", rung.name)["global_load_sectors"] for rung in ladder("copy")}
    requests = {rung.name: counted("copy", rung.name)["global_load_requests"] for rung in ladder("copy")}
    # 8 floats a sector; one a sector where every lane is in a sector of its own.
    assert sectors == {"chunks": n, "coalesced": n // 8, "vectorised": n // 8, "in flight": n // 8}
    assert requests == {"chunks": n // 32, "coalesced": n // 32, "vectorised": n // 128, "in flight": n // 128}


def test_transpose_sectors_and_wavefronts() -> None:
    n = 256 * 256
    rungs = [rung.name for rung in ladder("transpose")]
    assert {r: counted("transpose", r)["global_load_sectors"] for r in rungs} == dict.fromkeys(rungs, n // 8)
    stores = {r: counted("transpose", r)["global_store_sectors"] for r in rungs}
    assert stores == dict.fromkeys(rungs, n // 8) | {"naive": n}
    loads = {r: counted("transpose", r)["shared_load_wavefronts"] for r in rungs}
    # A column of a tile in one bank: each of the n / 32 requests takes 32 passes.
    assert loads == dict.fromkeys(rungs, n // 32) | {"naive": 0, "tiled": n}
    assert counted("transpose", "padded")["shared_bytes"] == 32 * 33 * 4
    assert counted("transpose", "swizzled")["shared_bytes"] == 32 * 32 * 4
    assert {r: counted("transpose", r)["shared_excess_wavefronts"] for r in rungs[2:]} == dict.fromkeys(rungs[2:], 0)


def test_yuv_sectors() -> None:
    n = 128 * 128
    rungs = [rung.name for rung in ladder("rgb_to_yuv")]
    loads = {r: counted("rgb_to_yuv", r)["global_load_sectors"] for r in rungs}
    stores = {r: counted("rgb_to_yuv", r)["global_store_sectors"] for r in rungs}
    # A warp's 96 bytes are 3 sectors, asked for three times; lanes a row apart are 32 sectors, three times.
    assert loads == dict.fromkeys(rungs, 9 * n // 32) | {"row a thread": 3 * n}
    # A plane's 32 bytes are one sector.
    assert stores == dict.fromkeys(rungs, 3 * n // 32) | {"row a thread": 3 * n, "pixel a thread": 9 * n // 32}


def test_reduction_barriers_and_launches() -> None:
    n_blocks = (1 << 17) // 128
    blocks = [n_blocks, n_blocks // 128, 1]
    n_warps = 4
    # One barrier after the loads and one a step: 8 for 128 threads.
    assert counted("reduction", "sequential")["barriers"] == 8 * n_warps * sum(blocks)
    half = [n_blocks // 2, 2, 1]
    assert counted("reduction", "first add on load")["barriers"] == 8 * n_warps * sum(half)
    # One after the loads, one after the only step of more than a warp.
    assert counted("reduction", "last warp unrolled")["barriers"] == 2 * n_warps * sum(half)
    assert counted("reduction", "many adds a thread")["n_launches"] == 2
    assert counted("reduction", "shuffled")["barriers"] == n_warps * (n_blocks // 8 + 1)
    assert counted("reduction", "interleaved, conflicts")["shared_excess_wavefronts"] > 0
    assert counted("reduction", "sequential")["shared_excess_wavefronts"] == 0


def test_matmul_requests_and_wavefronts() -> None:
    m, n, k = SIZES["matmul"]
    warp_products = m * n * k // 32
    rungs = [rung.name for rung in ladder("matmul")]
    assert {r: counted("matmul", r)["flop_fp32"] for r in rungs} == dict.fromkeys(rungs, 2 * m * n * k)
    # A and B once a product: one sector of A a lane and one of B for the warp, or one of A and four of B.
    assert counted("matmul", "naive")["global_load_sectors"] == 33 * warp_products
    assert counted("matmul", "coalesced")["global_load_sectors"] == 5 * warp_products
    assert counted("matmul", "shared memory")["global_load_requests"] == 2 * warp_products // 32
    assert counted("matmul", "shared memory")["shared_load_wavefronts"] == 2 * warp_products
    # 8 products need 8 elements of A and 1 of B.
    assert counted("matmul", "column of 8 a thread")["shared_load_wavefronts"] == 9 * warp_products // 8
    # 64 products need 8 loads of A, two lines apart in one bank, and 8 of B, whose lanes meet four by four.
    assert counted("matmul", "8 by 8 a thread")["shared_load_wavefronts"] == (8 * 2 + 8 * 4) * warp_products // 64
    # Loads of 16 bytes take four passes at least: 2 of A, and 2 of B whose lanes still meet in pairs.
    assert counted("matmul", "vectorised")["shared_load_wavefronts"] == (2 * 4 + 2 * 8) * warp_products // 64
    assert counted("matmul", "warp tile")["shared_load_wavefronts"] == (2 * 4 + 4 * 4) * warp_products // 128


def test_gelu_launches_and_bytes() -> None:
    (n,) = SIZES["gelu"]
    rungs = [rung.name for rung in ladder("gelu")]
    launches = {r: counted("gelu", r)["n_launches"] for r in rungs}
    elements = {r: counted("gelu", r)["dram_bytes"] // (4 * n) for r in rungs}
    assert launches == {"eager": 8, "two kernels": 2, "fused": 1, "vectorised": 1}
    assert elements == {"eager": 18, "two kernels": 5, "fused": 2, "vectorised": 2}
