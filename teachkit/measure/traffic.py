"""Bytes that one PyTorch operator must move between DRAM and the chip.

Modelled: a GPU kernel that starts with cold caches, reads every byte it addresses once and writes every output byte
once. A tensor given twice, or two views of the same bytes, count once; broadcast dimensions count what is really there.
Not modelled: rounding to 32-byte sectors, temporary buffers inside an operator, reuse between operators.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import torch


@dataclasses.dataclass(frozen=True)
class Extent:
    """Where a tensor's elements lie in its storage.

    Attributes
    ----------
    storage
        Identity of the storage.
    start_byte, end_byte
        First addressed byte and one past the last, within the storage.
    n_bytes
        Distinct bytes that are addressed, at most ``end_byte - start_byte``.
    geometry
        Two extents with the same geometry address the same bytes.
    """

    storage: tuple[str, int]
    start_byte: int
    end_byte: int
    n_bytes: int
    geometry: tuple[object, ...]

    @property
    def is_dense(self) -> bool:
        """Whether every byte between start and end is addressed."""
        return self.n_bytes == self.end_byte - self.start_byte


def extents(tensor: torch.Tensor) -> list[Extent]:
    """Return the extents of a tensor: one if it is strided, one for each part if it is sparse, none if it is empty."""
    return [_extent(part) for part in _strided_parts(tensor) if part.numel()]


def _strided_parts(tensor: torch.Tensor) -> list[torch.Tensor]:
    if tensor.layout == torch.strided:
        return [tensor]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    by_row = tensor.layout in (torch.sparse_csr, torch.sparse_bsr)
    pointers, others = ("crow_indices", "col_indices") if by_row else ("ccol_indices", "row_indices")
    return [getattr(tensor, pointers)(), getattr(tensor, others)(), tensor.values()]


def _extent(tensor: torch.Tensor) -> Extent:
    size = tensor.element_size()
    # A stride of 0 is a broadcast: its elements are one element.
    dims = sorted((stride, n) for n, stride in zip(tensor.shape, tensor.stride(), strict=True) if n > 1 and stride)
    span = 1 + sum(stride * (n - 1) for stride, n in dims)
    # Never more than the span: windows that overlap (unfold) address fewer elements than they have.
    n_elements = min(math.prod(n for _, n in dims), span)
    start = int(tensor.storage_offset()) * size
    memory = tensor.untyped_storage()
    # Tensors of the meta device have shapes but no memory: their storages are told apart as objects.
    storage = (str(tensor.device), memory._cdata if tensor.is_meta else memory.data_ptr())
    return Extent(storage, start, start + span * size, n_elements * size, (start, size, tuple(dims)))


def distinct_bytes(tensors: Iterable[torch.Tensor]) -> int:
    """Return the bytes that a set of tensors addresses, each byte once.

    Exact for tensors that are dense (every byte between their first and last element is theirs) and for equal
    views; two different strided views of one storage count as if they were disjoint, up to the bytes they span.
    """
    by_storage: dict[tuple[str, int], dict[tuple[object, ...], Extent]] = {}
    for tensor in tensors:
        for extent in extents(tensor):
            by_storage.setdefault(extent.storage, {})[extent.geometry] = extent
    return sum(_distinct_in_storage(list(group.values())) for group in by_storage.values())


def _distinct_in_storage(group: list[Extent]) -> int:
    dense = _union((extent.start_byte, extent.end_byte) for extent in group if extent.is_dense)
    strided = sum(extent.n_bytes for extent in group if not extent.is_dense)
    hull = _union((extent.start_byte, extent.end_byte) for extent in group)
    return min(dense + strided, hull)


def _union(intervals: Iterable[tuple[int, int]]) -> int:
    total, reached = 0, 0
    for start, end in sorted(intervals):
        start = max(start, reached)
        if end > start:
            total += end - start
            reached = end
    return total


def share_storage(tensor: torch.Tensor, others: Iterable[torch.Tensor]) -> bool:
    """Return whether a tensor is a view of one of the others, or the same."""
    mine = {extent.storage for extent in extents(tensor)}
    return any(mine & {extent.storage for extent in extents(other)} for other in others)
