"""Triton's random numbers: bit for bit what Philox 4x32-10 gives in Python integers, and shaped as they should be."""

import pytest
import torch
import triton
import triton.language as tl

N = 512


def philox(seed, offset, n_rounds=10):
    """Four 32-bit words. Source: Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011."""
    counter, key = [offset, 0, 0, 0], [seed & 0xFFFFFFFF, seed >> 32]
    for _ in range(n_rounds):
        high0, low0 = divmod(0xD2511F53 * counter[0], 2**32)
        high1, low1 = divmod(0xCD9E8D57 * counter[2], 2**32)
        counter = [high1 ^ counter[1] ^ key[0], low1, high0 ^ counter[3] ^ key[1], low0]
        key = [(key[0] + 0x9E3779B9) % 2**32, (key[1] + 0xBB67AE85) % 2**32]
    return counter


@triton.jit
def randint4x_kernel(out_ptr, seed, N: tl.constexpr, ROUNDS: tl.constexpr):
    at = tl.arange(0, N)
    a, b, c, d = tl.randint4x(seed, at, ROUNDS)
    tl.store(out_ptr + at * 4, a)
    tl.store(out_ptr + at * 4 + 1, b)
    tl.store(out_ptr + at * 4 + 2, c)
    tl.store(out_ptr + at * 4 + 3, d)


@pytest.mark.parametrize("n_rounds", [6, 10])
@pytest.mark.parametrize("seed", [0, 1234, 2**31 - 1, 2**40 + 7])
def test_randint4x_is_philox(seed, n_rounds):
    out = torch.empty(N, 4, dtype=torch.int32)
    randint4x_kernel[(1,)](out, seed, N, n_rounds)
    expected = [philox(seed, offset, n_rounds) for offset in range(N)]
    assert [[word % 2**32 for word in row] for row in out.tolist()] == expected


@triton.jit
def draw_kernel(out_ptr, seed, N: tl.constexpr, KIND: tl.constexpr):
    at = tl.program_id(0) * N + tl.arange(0, N)
    if KIND == "rand":
        x = tl.rand(seed, at)
    elif KIND == "randn":
        x = tl.randn(seed, at)
    elif KIND == "rand4x":
        a, b, c, d = tl.rand4x(seed, at)
        x = (a + b + c + d) / 4
    else:
        x, _, _, _ = tl.randn4x(seed, at)
    tl.store(out_ptr + at, x)


def draw(kind, seed=42, n_blocks=64):
    out = torch.empty(n_blocks * N)
    draw_kernel[(n_blocks,)](out, seed, N, kind)
    return out


def test_rand_is_the_first_word_scaled():
    words = [philox(42, offset)[0] for offset in range(N)]
    signed = torch.tensor([word - 2**32 if word >= 2**31 else word for word in words])
    positive = torch.where(signed < 0, -signed - 1, signed).float()
    assert torch.equal(draw("rand", n_blocks=1), positive * 4.6566127342e-10)


# Bounds of five standard errors for 32768 draws.
@pytest.mark.parametrize(
    ("kind", "mean", "deviation"), [("rand", 0.5, 12**-0.5), ("randn", 0.0, 1.0), ("randn4x", 0.0, 1.0)]
)
def test_moments(kind, mean, deviation):
    x = draw(kind).double()
    assert abs(x.mean() - mean) < 5 * deviation / x.numel() ** 0.5
    assert abs(x.std() - deviation) < 5 * deviation / x.numel() ** 0.5
    if kind == "rand":
        assert x.min() >= 0
        assert x.max() < 1


def test_seeds_differ_and_repeat():
    assert torch.equal(draw("rand", 7), draw("rand", 7))
    assert not torch.equal(draw("rand", 7), draw("rand", 8))
    assert abs(draw("rand4x").mean() - 0.5) < 0.01
