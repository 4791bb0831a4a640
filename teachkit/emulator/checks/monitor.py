"""The two functions that a checked kernel calls, compiled by Numba: one for every access, one for all other events.

They run on the thread of the kernel and keep everything in the tables of ``layout.py``, so that no launch is too long
to be checked.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import cfunc, types

from teachkit.emulator.checks.accesses import access
from teachkit.emulator.checks.layout import LANES, Area, Event
from teachkit.emulator.checks.memory import words
from teachkit.emulator.checks.places import shadow_of
from teachkit.emulator.checks.warps import begin_block, event
from teachkit.emulator.engine.context import offset

ACCESS, EVENT = "tk_check_access", "tk_check_event"
_ALL = (1 << LANES) - 1
_CONTEXT = {name: offset(name) // 8 for name in ("checks", "block", "warp", "last_warp_mask")}


def _version() -> int:
    """Changes with the source of the monitor: Numba's cache on disk looks at one file only."""
    digest = hashlib.sha256(repr(_CONTEXT).encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:7], "little")


def _build(version: int) -> tuple[Any, Any]:
    checks, block, warp_at, last_at = (_CONTEXT[n] for n in ("checks", "block", "warp", "last_warp_mask"))
    word = types.int64

    @_compiled(types.int32(word, word, types.int32, word, word, word, word, word, types.int32))
    def on_access(
        context: Any,
        addresses: Any,
        lanes: Any,
        low: Any,
        high: Any,
        site: Any,
        n_bytes: Any,
        packed: Any,
        is_offset: Any,
    ) -> Any:
        of_worker = words(context)
        area = words(of_worker[checks])
        area[Area.VERSION] = version  # a variable of the closure is a part of the cache's key
        table = words(area[Area.TABLE_AT])
        at = ~site if site < 0 else site
        mask = types.int64(lanes) & _ALL
        live = access(
            table, area, words(addresses), mask, low, high, at, n_bytes, packed, is_offset, of_worker[warp_at]
        )
        return types.int32(live)

    @_compiled(types.void(word, types.int32, word, word, types.int32, word))
    def on_event(context: Any, kind: Any, a: Any, b: Any, lanes: Any, site: Any) -> None:
        of_worker = words(context)
        area = words(of_worker[checks])
        area[Area.VERSION] = version
        table = words(area[Area.TABLE_AT])
        if kind == Event.START:
            if area[Area.BLOCK] != of_worker[block]:
                begin_block(table, area, of_worker[block], of_worker[last_at])
            return
        shadow = shadow_of(table, area, True)
        event(table, area, shadow, kind, of_worker[warp_at], a, b, types.int64(lanes) & _ALL, site)

    return on_access, on_event


def _compiled(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    def compile_(function: Callable[..., Any]) -> Any:
        try:
            return cfunc(signature, cache=True)(function)
        except RuntimeError:  # no writable folder for Numba's cache
            return cfunc(signature)(function)

    return compile_


@functools.cache
def functions() -> dict[str, int]:
    """Addresses of the monitor's functions, by the symbols that checked kernels import."""
    on_access, on_event = _build(_version())
    _kept.extend((on_access, on_event))
    return {ACCESS: on_access.address, EVENT: on_event.address}


_kept: list[Any] = []
