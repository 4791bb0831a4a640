"""How many blocks a cluster has: what the launch says, or what the kernel was compiled for.

Not modelled: sizes above 8 blocks, which are not portable, and grids that count clusters (``.blocksareclusters``).
Source: PTX ISA, "Cluster Dimension Directives"; CUDA C++ Programming Guide, "Thread Block Clusters".
"""

from __future__ import annotations

import math

from teachkit.emulator.ptx.model import Function
from teachkit.errors import LaunchError

Dims = tuple[int, int, int]

MAX_BLOCKS = 8  # the size that every GPU with clusters has


def size_of(kernel: Function, grid: Dims, asked: Dims | None, name: str) -> Dims | None:
    """Blocks of a cluster, x first; None for a launch without clusters. ``asked``: what the launch says.

    Raises
    ------
    LaunchError
        For clusters that no launch of this kernel on this grid can have.
    """
    directives = kernel.directives
    if asked is None and "reqnctapercluster" not in directives and "explicitcluster" not in directives:
        return None
    if "blocksareclusters" in directives:
        raise LaunchError(
            f"Expected a grid of blocks for kernel {name!r}, got .blocksareclusters, a grid of clusters.",
            hint="compile it with __cluster_dims__ instead; grids that count clusters are not emulated.",
        )
    required = _required(directives.get("reqnctapercluster", ()))
    size = asked or required
    if size is None:
        raise LaunchError(
            f"Expected the size of a cluster for kernel {name!r}, got none.",
            hint="it was compiled for clusters of any size: launch it with cluster=2, say.",
        )
    if required not in (None, size):
        raise LaunchError(
            f"Expected clusters of {required} blocks, for which kernel {name!r} was compiled, got {size}.",
            hint="launch with that or with none given, or compile it without __cluster_dims__.",
        )
    most = min((*directives.get("maxclusterrank", ()), MAX_BLOCKS))
    if math.prod(size) > most:
        raise LaunchError(
            f"Expected clusters of at most {most} blocks for kernel {name!r}, got {size}, which is {math.prod(size)}.",
            hint="use smaller clusters; up to 16 blocks, which H100 can be asked for, are not portable.",
        )
    if any(n % each for n, each in zip(grid, size, strict=True)):
        raise LaunchError(
            f"Expected a grid that is a multiple of the clusters of {size} blocks of kernel {name!r}, got {grid}.",
            hint="round each size of the grid up to a multiple of the cluster's.",
        )
    return size


def _required(numbers: tuple[int, ...]) -> Dims | None:
    if not numbers:
        return None
    x, y, z = (*numbers, 1, 1)[:3]
    return x, y, z
