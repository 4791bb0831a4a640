"""Host memory by its address, for code that Numba compiles."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import carray, int32, int64, njit, types, uint8
from numba.extending import intrinsic

_NO_BOUND = 1 << 40  # views of tables are never checked against their length


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function for the monitor, compiled where it is called from there."""
    result: Callable[..., Any] = njit(function)
    return result


@intrinsic  # type: ignore[untyped-decorator]
def _pointer(_: Any, address: Any, kind: Any) -> Any:
    result = types.CPointer(kind.instance_type)

    def code(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return result(types.int64, kind), code


@compiled
def words(address: Any) -> Any:
    """The 64-bit integers from an address on."""
    return carray(_pointer(int64(address), int64), _NO_BOUND)


@compiled
def halves(address: Any) -> Any:
    """The 32-bit integers from an address on."""
    return carray(_pointer(int64(address), int32), _NO_BOUND)


@compiled
def octets(address: Any) -> Any:
    """The bytes from an address on."""
    return carray(_pointer(int64(address), uint8), _NO_BOUND)
