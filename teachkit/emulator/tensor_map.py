"""Tensor maps: what a bulk copy of a tensor has to know of it, in 128 bytes.

CUDA leaves open what they hold. Here it is this, little-endian, dimensions from the innermost one outwards:

======  =========  ==================================================================
offset  type       field
======  =========  ==================================================================
0       u64        address of the first element
8       u32        :data:`MAGIC`, from which a map is told from other bytes
12      u8         number of dimensions, less one
13      u8         type of an element, as ``tensormap.replace`` numbers them (:data:`TYPES`)
14      u8         swizzle: 0 none, 1 to 3 for 32, 64 and 128 bytes
15      u8         what lies outside reads as: 0 zero, 1 NaN
16      u8         interleaved layout, 0 for none
24      u64[5]     elements in each dimension
64      u64[4]     bytes from one index to the next, from the second dimension on
96      u32[5]     elements that the box spans in each dimension
116     u8[5]      elements from one that is copied to the next
======  =========  ==================================================================

The host writes it here; ``tensormap.replace`` writes single fields of it, and the magic with each.

Loads round elements of type ``tf32`` to the nearest number of 10 bits after the point.

Not modelled: interleaved layouts, im2col, stores of ``tf32``, types that flush subnormal numbers, packed ones of 4 and
6 bits, swizzles of other atoms than 16 bytes, and rows of a box that are narrower than its swizzle.
Source: CUDA Driver API, "Tensor Map Object Management"; PTX ISA, "Tensor-maps".
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Sequence
from typing import Any

MAGIC = 0x6B74_6D74
N_BYTES = 128
MAX_RANK = 5
FIELDS = struct.Struct("<QIBBBBB7x5Q4Q5I5B7x")
OFFSETS = {
    "global_address": 0,
    "magic": 8,
    "rank": 12,
    "elemtype": 13,
    "swizzle_mode": 14,
    "fill_mode": 15,
    "interleave_layout": 16,
    "global_dim": 24,
    "global_stride": 64,
    "box_dim": 96,
    "element_stride": 116,
}

TYPES = ("u8", "u16", "u32", "s32", "u64", "s64", "f16", "f32", "f32.ftz", "f64", "bf16", "tf32", "tf32.ftz")
"""Types of elements by their number in PTX; the driver's numbers differ (:data:`DRIVER_TYPES`)."""

DRIVER_TYPES = (0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 8, 11, 12)
"""PTX's number for each ``CUtensorMapDataType``."""

ELEMENT_BYTES = {0: 1, 1: 2, 2: 4, 3: 4, 4: 8, 5: 8, 6: 2, 7: 4, 9: 8, 10: 2, 11: 4}
"""Of the types that are emulated."""

FLOATS = frozenset({6, 7, 9, 10, 11})
SPANS = (0, 32, 64, 128)
"""Bytes inside which each swizzle moves chunks of 16."""


class TensorMapError(ValueError):
    """A tensor map that there cannot be, or that is not emulated."""

    def __init__(self, what: str, *, is_emulated: bool = True) -> None:
        super().__init__(what)
        self.is_emulated = is_emulated


@dataclasses.dataclass(frozen=True)
class TensorMap:
    """A tensor map as an argument: its bytes, and the ``tensor`` whose memory it describes."""

    octets: bytes
    tensor: Any


def encode(
    address: int,
    element_type: int,
    sizes: Sequence[int],
    strides: Sequence[int],
    box: Sequence[int],
    steps: Sequence[int] | None = None,
    *,
    swizzle: int = 0,
    fill: int = 0,
    interleave: int = 0,
) -> bytes:
    """The bytes of a map. All sequences begin with the innermost dimension.

    Parameters
    ----------
    address : int
        Of the first element.
    element_type : int
        Its place in :data:`TYPES`.
    sizes : sequence of int
        Elements in each of up to five dimensions.
    strides : sequence of int
        Bytes from one index to the next, of all dimensions but the innermost.
    box, steps : sequence of int
        Elements that the box spans in each dimension, and from one that is copied to the next (default 1).

    Raises
    ------
    TensorMapError
        Where CUDA's driver would refuse too, or the emulator alone does.

    Examples
    --------
    >>> len(encode(4096, TYPES.index("f16"), [64, 8], [128], [64, 8], swizzle=3))
    128
    """
    rank = len(sizes)
    steps = [1] * rank if steps is None else list(steps)
    _require(1 <= rank <= MAX_RANK, f"1 to {MAX_RANK} dimensions, got {rank}")
    _require(len(strides) == rank - 1, f"{rank - 1} strides of {rank} dimensions, got {len(strides)}")
    _require(len(box) == len(steps) == rank, f"a box of {rank} dimensions, got {len(box)}")
    if element_type not in ELEMENT_BYTES or interleave:
        what = "an interleaved layout" if interleave else f"elements of type {_type_name(element_type)}"
        raise TensorMapError(f"tensor maps with {what} are not emulated", is_emulated=False)
    if not 0 <= swizzle < len(SPANS):
        raise TensorMapError(f"swizzle {swizzle} of tensor maps is not emulated", is_emulated=False)
    row_bytes, span = box[0] * ELEMENT_BYTES[element_type], SPANS[swizzle]
    _require(address % 16 == 0, f"an address that is a multiple of 16, got {address:#x}")
    _require(all(1 <= n <= 1 << 32 for n in sizes), f"1 to 2^32 elements in each dimension, got {list(sizes)}")
    _require(
        all(n % 16 == 0 and 0 <= n < 1 << 40 for n in strides),
        f"strides that are multiples of 16 bytes and below 2^40, got {list(strides)}",
    )
    _require(all(1 <= n <= 256 for n in box), f"a box of 1 to 256 elements in each dimension, got {list(box)}")
    _require(all(1 <= n <= 8 for n in steps), f"element strides of 1 to 8, got {list(steps)}")
    _require(row_bytes % 16 == 0, f"rows of the box that are a multiple of 16 bytes, got {row_bytes}")
    _require(
        not span or row_bytes <= span, f"rows of at most {span} bytes in the box for this swizzle, got {row_bytes}"
    )
    if span and row_bytes < span:
        what = f"a box with rows of {row_bytes} bytes, narrower than its swizzle of {span},"
        raise TensorMapError(f"tensor maps with {what} are not emulated", is_emulated=False)
    _require(fill in (0, 1), f"a fill of 0 (zeros) or 1 (NaN), got {fill}")
    _require(not fill or element_type in FLOATS, f"floats to be filled with NaN, got {_type_name(element_type)}")

    def padded(values: Sequence[int], n: int) -> tuple[int, ...]:
        return (*values, *[0] * (n - len(values)))

    return FIELDS.pack(
        address,
        MAGIC,
        rank - 1,
        element_type,
        swizzle,
        fill,
        interleave,
        *padded(sizes, MAX_RANK),
        *padded(strides, MAX_RANK - 1),
        *padded(box, MAX_RANK),
        *padded(steps, MAX_RANK),
    )


def _type_name(number: int) -> str:
    return TYPES[number] if 0 <= number < len(TYPES) else f"number {number}"


def _require(holds: bool, expected: str) -> None:
    if not holds:
        raise TensorMapError(f"expected {expected}")
