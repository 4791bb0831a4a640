"""One Python loop for the CPU, three ways: one element at a time, several in a vector register, on several cores.

Numba's switch for the loop vectoriser is one for the whole process; this module turns it off only while it compiles.
Not modelled: vectorisation of straight-line code (Numba leaves LLVM's switch for it off).
Source: Numba documentation, "Environment variables" (NUMBA_LOOP_VECTORIZE) and "Automatic parallelization with @jit".
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

_lock = threading.Lock()
# Operands of x86-64 and of aarch64, by the bytes that a register of that name holds.
_REGISTERS = {64: r"%zmm\d+", 32: r"%ymm\d+", 16: r"%xmm\d+|\bv\d+\.\d+[bhsd]\b|\bq\d+\b"}


def compile_loop(function: Callable[..., None], *like: Any, simd: bool = True, threads: bool = False) -> Any:
    """Compile a function for the CPU with Numba.

    Parameters
    ----------
    function : a loop over ``numba.prange``; returns nothing.
    like : arguments of the types that it will be called with.
    simd : whether the compiler may handle several elements with one instruction.
    threads : whether the iterations of ``numba.prange`` are spread over the cores.

    Returns
    -------
    callable
        Numba's dispatcher, already compiled for these types and for no others.
    """
    import numba

    signature = numba.void(*(numba.typeof(value) for value in like))
    with _lock:
        before = numba.config.LOOP_VECTORIZE
        numba.config.LOOP_VECTORIZE = int(simd)
        try:
            return numba.njit(signature, parallel=threads)(function)
        finally:
            numba.config.LOOP_VECTORIZE = before


def vector_instructions(loop: Any) -> dict[int, int]:
    """How many instructions of a compiled loop use a vector register, by its size in bytes (64, 32, 16).

    An instruction counts once, for the widest register it names. A few of them, 16 bytes wide, are in every program:
    they move pointers about.
    """
    found = dict.fromkeys(_REGISTERS, 0)
    for text in loop.inspect_asm().values():
        for line in text.splitlines():
            width = next((n_bytes for n_bytes, names in _REGISTERS.items() if re.search(names, line)), None)
            if width is not None:
                found[width] += 1
    return found
