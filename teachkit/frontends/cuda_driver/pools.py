"""Memory pools, and allocations in the order of a stream, which is at once.

Not modelled: pools with limits, memory that a pool keeps.
"""

from __future__ import annotations

from teachkit.frontends.cuda_driver.entry import entry, put
from teachkit.frontends.cuda_driver.memory import memory

# One pool stands for all: it has no limit of its own and gives memory back at once.
_POOL = 0x900


@entry("cuMemAllocAsync", "pQp")
def alloc_async(pointer: int, n_bytes: int, stream: int) -> None:
    alloc_from_pool(pointer, n_bytes, 0, stream)


@entry("cuMemAllocFromPoolAsync", "pQpp")
def alloc_from_pool(pointer: int, n_bytes: int, pool: int, stream: int) -> None:
    put("Q", pointer, memory.allocate(n_bytes, "device"))


@entry("cuDeviceGetDefaultMemPool", "pi")
def default_pool(pool: int, device: int) -> None:
    put("Q", pool, _POOL)


@entry("cuDeviceGetMemPool", "pi")
def current_pool(pool: int, device: int) -> None:
    put("Q", pool, _POOL)


@entry("cuMemGetDefaultMemPool", "ppi")
def default_pool_of_kind(pool: int, location: int, kind: int) -> None:
    put("Q", pool, _POOL)


@entry("cuMemGetMemPool", "ppi")
def current_pool_of_kind(pool: int, location: int, kind: int) -> None:
    put("Q", pool, _POOL)


@entry("cuMemPoolGetAttribute", "pip")
def pool_attribute(pool: int, number: int, value: int) -> None:
    is_amount = number > 3  # the first three are switches of 32 bits, the rest numbers of bytes
    put("Q" if is_amount else "i", value, memory.device_bytes if number in (5, 7) else 0)


@entry("cuMemPoolSetAttribute", "pip")
def set_pool_attribute(pool: int, number: int, value: int) -> None:
    """Nothing to change: a pool's switches are about reuse, and memory is given back at once."""
