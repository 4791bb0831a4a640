"""Elements of matrices for tests, as bytes."""

import numpy as np


def octets(kind, n, random):
    """``n`` bytes of elements that are small whole numbers (any bits, for types of whole numbers)."""
    numbers = random.integers(-8, 9, n).astype(np.float32)
    if kind == "f16":
        return numbers[: n // 2].astype(np.float16).view(np.uint8)
    if kind == "bf16":
        return (numbers[: n // 2].view(np.uint32) >> 16).astype(np.uint16).view(np.uint8)
    if kind in ("tf32", "f32"):
        # What a tf32 leaves out is not to matter.
        return (numbers[: n // 4].view(np.uint32) | (0x1FFF if kind == "tf32" else 0)).view(np.uint8)
    if kind in ("e4m3", "e5m2"):
        sizes = random.integers(0x28, 0x50, n) if kind == "e4m3" else random.integers(0x34, 0x48, n)
        return (sizes | random.integers(0, 2, n) << 7).astype(np.uint8)
    return random.integers(0, 256, n).astype(np.uint8)
