"""The random numbers that ``tl.rand`` gives, computed with NumPy.

Philox-4x32 with ten rounds: a number depends on the seed and the offset alone, so any thread can make it at any time,
and it can be made again elsewhere. Not modelled: offsets of 64 bits.
Source: Salmon, Moraes, Dror, Shaw, "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011, section 4.3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

N_ROUNDS = 10
_ROUND_A, _ROUND_B = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_KEY_A, _KEY_B = 0x9E3779B9, 0xBB67AE85
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


def philox_4x32(counter: NDArray[np.uint32], seed: int) -> NDArray[np.uint32]:
    """Ten rounds of Philox.

    Parameters
    ----------
    counter : uint32 ``[4, N]``.
    seed : the key, 64 bits.

    Returns
    -------
    uint32 ``[4, N]``.
    """
    c0, c1, c2, c3 = counter.astype(np.uint64)
    key_0, key_1 = seed & 0xFFFFFFFF, (seed >> 32) & 0xFFFFFFFF
    for _ in range(N_ROUNDS):
        product_a, product_b = _ROUND_A * c0, _ROUND_B * c2
        c0, c2 = (product_b >> _HALF) ^ c1 ^ np.uint64(key_0), (product_a >> _HALF) ^ c3 ^ np.uint64(key_1)
        c1, c3 = product_b & _LOW, product_a & _LOW
        key_0, key_1 = (key_0 + _KEY_A) & 0xFFFFFFFF, (key_1 + _KEY_B) & 0xFFFFFFFF
    return np.stack([c0, c1, c2, c3]).astype(np.uint32)


def rand(seed: int, offsets: NDArray[np.integer]) -> NDArray[np.float32]:
    """``tl.rand(seed, offsets)`` for offsets ``[N]`` of 32 bits: float32 in ``[0, 1)``.

    Parameters
    ----------
    seed : 0 <= seed < 2**63.
    offsets : integers ``[N]``, ``0 <= offset < 2**32``.
    """
    counter = np.zeros((4, len(offsets)), dtype=np.uint32)
    counter[0] = offsets
    bits = philox_4x32(counter, seed)[0].view(np.int32)
    # -bits - 1 is ~bits, which has no overflow at the least integer.
    magnitude: NDArray[np.float32] = np.where(bits < 0, ~bits, bits).astype(np.float32)
    return magnitude * np.float32(4.6566127342e-10)
