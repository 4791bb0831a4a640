"""Two ways to do one thing: a short one for the case that nearly always holds, and one for all others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I32, I64, Value

_WEIGHTS = [63, 1]  # of the branch


def all_of(e: Emitter, conditions: Sequence[Value]) -> Value:
    """Whether all conditions hold."""
    result = conditions[0]
    for condition in conditions[1:]:
        result = e.builder.and_(result, condition)
    return result


def is_aligned(e: Emitter, address: Value, n_bytes: int) -> list[Value]:
    """What must hold so that a 64-bit ``address`` is a multiple of ``n_bytes``, a power of two."""
    if n_bytes == 1:
        return []
    return [e.builder.icmp_unsigned("==", e.builder.and_(address, I64(n_bytes - 1)), I64(0))]


def every_lane(e: Emitter, lanes: Value) -> Value:
    """Whether all 32 ``lanes`` are on, given as the bits of an i32."""
    return e.builder.icmp_signed("==", lanes, I32(-1))


def either(
    e: Emitter,
    conditions: Sequence[Value],
    together: Callable[[], list[Value]],
    apart: Callable[[], list[Value]],
) -> list[Value]:
    """Write both ways and a branch: ``together`` runs where all conditions hold, else ``apart``.

    Each writes its code and says what it ends with; what comes back are the values of whichever ran.
    """
    b = e.builder
    together_block, apart_block, join = (b.append_basic_block(name) for name in ("together", "apart", "joined"))
    b.cbranch(all_of(e, conditions), together_block, apart_block).set_weights(_WEIGHTS)
    ends = []
    for block, write in ((together_block, together), (apart_block, apart)):
        b.position_at_end(block)
        ends.append((write(), b.block))
        b.branch(join)
    b.position_at_end(join)
    (values, end), (others, other_end) = ends
    results: list[Value] = []
    for one, other in zip(values, others, strict=True):
        result = b.phi(one.type)
        result.add_incoming(one, end)
        result.add_incoming(other, other_end)
        results.append(result)
    return results
