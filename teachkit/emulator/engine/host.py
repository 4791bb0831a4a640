"""What a kernel asks of the host while it runs: to print, and to say why an assertion failed.

Compiled code calls back into Python with the arguments of all lanes. Text is kept until the launch is over and
then printed in the order of blocks; inside a block it is in the order of execution, lane after lane.
"""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import sys
from collections.abc import Iterator

from teachkit.emulator.c_printf import formatted
from teachkit.emulator.engine.context import LANES, Context

_SIGNATURE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint64))


@dataclasses.dataclass
class Output:
    """What one launch has to say: (block, text) in order, and each worker's failed assertion by context."""

    texts: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    assertions: dict[int, str] = dataclasses.field(default_factory=dict)
    error: BaseException | None = None

    def flush(self) -> None:
        """Print everything. Raises what went wrong in making the text, if anything did."""
        texts, self.texts = sorted(self.texts, key=lambda pair: pair[0]), []
        if texts:
            sys.stdout.write("".join(text for _, text in texts))
        if self.error is not None:
            raise self.error


_outputs: dict[int, Output] = {}


def listen(context: Context, output: Output) -> None:
    """Send what the worker with this context says to ``output``."""
    _outputs[ctypes.addressof(context)] = output


def forget(context: Context) -> None:
    """Undo :func:`listen`."""
    _outputs.pop(ctypes.addressof(context), None)


@functools.cache
def callbacks() -> dict[str, int]:
    """Addresses for compiled code, by symbol."""
    return {name: ctypes.cast(function, ctypes.c_void_p).value or 0 for name, function in _functions.items()}


_NO_FORMAT = -1 % (1 << 64)


def _print(context: int, lanes: int, arguments: ctypes._Pointer[ctypes.c_uint64]) -> None:
    """Each lane's format is replaced by what its call returns."""
    output = _outputs[context]
    try:
        block = Context.from_address(context).block
        for lane in _set_bits(lanes):
            packed = arguments[LANES + lane]
            if not arguments[lane]:
                arguments[lane] = _NO_FORMAT
                continue

            def read(at: int, n_bytes: int, start: int = packed) -> bytes:
                return ctypes.string_at(start + at, n_bytes)

            text, arguments[lane] = formatted(ctypes.string_at(arguments[lane]), read, ctypes.string_at)
            output.texts.append((block, text))
    except BaseException as error:
        output.error = error


def _assert(context: int, lanes: int, arguments: ctypes._Pointer[ctypes.c_uint64]) -> None:
    output = _outputs[context]
    try:
        message, file, line, function = (arguments[LANES * i + next(_set_bits(lanes))] for i in range(4))
        where = f"{_text(file)}:{line & 0xFFFFFFFF}, {_text(function)}"
        output.assertions.setdefault(context, f"{_text(message)} ({where})")
    except BaseException as error:
        output.error = error


_functions = {"tk_host_print": _SIGNATURE(_print), "tk_host_assert": _SIGNATURE(_assert)}


def _set_bits(lanes: int) -> Iterator[int]:
    return (lane for lane in range(LANES) if lanes >> lane & 1)


def _text(address: int) -> str:
    return ctypes.string_at(address).decode(errors="replace")
