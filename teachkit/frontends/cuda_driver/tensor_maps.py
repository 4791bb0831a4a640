"""Tensor maps: what a bulk copy of a tensor has to know of it, written where the program wants them.

Not modelled: im2col, and what :mod:`teachkit.emulator.tensor_map` leaves out. They answer
``CUDA_ERROR_NOT_SUPPORTED``.
"""

from __future__ import annotations

import ctypes

from teachkit.emulator import tensor_map
from teachkit.frontends.cuda_driver.context import require_context
from teachkit.frontends.cuda_driver.device import spec
from teachkit.frontends.cuda_driver.entry import Refused, Status, entry, get


@entry("cuTensorMapEncodeTiled", "piIpppppiiii")
def encode_tiled(
    place: int | None,
    kind: int,
    rank: int,
    address: int | None,
    sizes: int | None,
    strides: int | None,
    box: int | None,
    steps: int | None,
    interleave: int,
    swizzle: int,
    promotion: int,
    fill: int,
) -> None:
    require_context()
    if spec().compute_capability[0] < 9:
        raise Refused(Status.NOT_SUPPORTED)
    is_whole = place and sizes and box and steps and (strides or rank == 1)
    if not is_whole or not 1 <= rank <= tensor_map.MAX_RANK or kind < 0 or promotion not in range(4):
        raise Refused(Status.INVALID_VALUE)
    if kind >= len(tensor_map.DRIVER_TYPES):
        raise Refused(Status.NOT_SUPPORTED)
    assert place
    try:
        octets = tensor_map.encode(
            address or 0,
            tensor_map.DRIVER_TYPES[kind],
            get("Q", sizes or 0, rank),
            get("Q", strides, rank - 1) if strides else [],
            get("I", box or 0, rank),
            [1, *get("I", steps or 0, rank)[1:]],  # the first is ignored
            swizzle=swizzle,
            fill=fill,
            interleave=interleave,
        )
    except tensor_map.TensorMapError as error:
        raise Refused(Status.INVALID_VALUE if error.is_emulated else Status.NOT_SUPPORTED) from None
    ctypes.memmove(place, octets, len(octets))


@entry("cuTensorMapReplaceAddress", "pp")
def replace_address(place: int | None, address: int | None) -> None:
    require_context()
    octets = ctypes.string_at(place, tensor_map.N_BYTES) if place else b""
    is_map = octets[8:12] == tensor_map.MAGIC.to_bytes(4, "little")
    if not place or not is_map or (address or 0) % 16:
        raise Refused(Status.INVALID_VALUE)
    ctypes.memmove(place, (address or 0).to_bytes(8, "little"), 8)
