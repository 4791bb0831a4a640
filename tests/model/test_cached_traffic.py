"""Traffic that a cache leaves: chains, results, products in tiles."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from teachkit.errors import ModelInputError
from teachkit.kernels import tanh_gelu
from teachkit.measure import profile
from teachkit.measure.accesses import record_accesses
from teachkit.model.cached_traffic import with_cache

N = 1 << 12
X = torch.randn(N)
GELU = record_accesses(lambda: tanh_gelu.eager_gelu(X))
A, B = torch.ones(64, 128), torch.ones(128, 32)
PRODUCT = record_accesses(lambda: A @ B)
CHAIN = record_accesses(lambda: (A @ B).relu().sum())


def moved(program, cache_bytes: float) -> int:
    return sum(counters.dram_bytes for counters in with_cache(program, cache_bytes))


def test_without_a_cache_it_is_what_a_profile_counts() -> None:
    with profile() as prof:
        tanh_gelu.eager_gelu(X)
    assert [access.name for access in GELU.accesses] == [report.name for report in prof.kernels]
    assert [c.dram_bytes for c in with_cache(GELU, 0)] == [r.counters.dram_bytes for r in prof.kernels]
    assert GELU.counters.flop == prof.flop
    assert moved(GELU, 0) == 18 * 4 * N


def test_a_cache_that_holds_everything_leaves_the_input_and_the_result() -> None:
    assert moved(GELU, 1e9) == 2 * 4 * N


def test_a_cache_smaller_than_a_tensor_helps_nothing() -> None:
    assert moved(GELU, 4 * N - 1) == 18 * 4 * N


def test_a_small_chain_by_hand() -> None:
    program = record_accesses(lambda: (2 * X + X).tanh())
    # Three tensors fit. The product, X and the sum are held when the last result comes; the oldest, the product, goes
    # and is written, since a cache cannot know that nobody will want it.
    assert moved(program, 3 * 4 * N) == 3 * 4 * N
    assert moved(program, 4 * 4 * N) == 2 * 4 * N
    assert moved(program, 0) == (2 + 3 + 2) * 4 * N


@given(st.integers(0, 10 * 4 * N))
def test_a_cache_never_costs_traffic_and_never_saves_what_must_move(cache_bytes: int) -> None:
    assert 2 * 4 * N <= moved(GELU, cache_bytes) <= 18 * 4 * N


@given(st.integers(1, 1 << 20))
def test_products_never_move_less_than_once(cache_bytes: int) -> None:
    once = 4 * (64 * 128 + 128 * 32 + 64 * 32)
    assert once <= moved(PRODUCT, cache_bytes)
    if cache_bytes >= once:
        assert moved(PRODUCT, cache_bytes) == once


def test_products_in_tiles_by_hand() -> None:
    tile = 8
    cache_bytes = 3 * 4 * tile * tile
    read = 4 * (64 * 128 * (32 // tile) + 128 * 32 * (64 // tile))
    assert moved(PRODUCT, cache_bytes) == read + 4 * 64 * 32


def test_shapes_of_products() -> None:
    assert PRODUCT.accesses[0].product == (1, 64, 32, 128)
    batched = record_accesses(lambda: torch.ones(5, 2, 3) @ torch.ones(5, 3, 7))
    assert [access.product for access in batched.accesses][-1] == (5, 2, 7, 3)
    linear = record_accesses(lambda: torch.nn.functional.linear(A, B.t(), torch.ones(32)))
    assert linear.accesses[-1].product == (1, 64, 32, 128)


def test_views_share_their_memory() -> None:
    program = record_accesses(lambda: X.view(64, 64).t() + X.view(64, 64).t())
    assert len(program.accesses) == 1
    assert program.accesses[0].reads == ((0, 4 * N),)


def test_results_are_written_and_temporaries_are_not() -> None:
    assert moved(CHAIN, 1e9) == 4 * (64 * 128 + 128 * 32) + 4


@pytest.mark.parametrize("size", [-1, float("nan")])
def test_a_size_that_is_none_is_refused(size: float) -> None:
    with pytest.raises(ModelInputError):
        with_cache(GELU, size)


def test_shapes_alone_give_the_same() -> None:
    for run in (tanh_gelu.eager_gelu, lambda x: (x.view(64, 64) @ x.view(64, 64)).softmax(-1)):
        real, meta = (record_accesses(lambda run=run, x=x: run(x)) for x in (X, X.to("meta")))
        assert real == meta
