"""What one lane's execution of an instruction is worth in the counters."""

from __future__ import annotations

import functools
import re

_INTEGER_TYPES = frozenset(f"{kind}{bits}" for kind in "sub" for bits in (8, 16, 32, 64))  # signed, unsigned, bits
_INTEGER_ONE = frozenset(
    "add sub mul mul24 shl shr and or xor not cnot min max abs neg sad div rem shf bfe bfi bfind popc clz brev "
    "lop3 szext bmsk addc subc dp4a dp2a setp set".split()
)
_FLOAT_TYPES = {
    "f64": ("flop_fp64", 1),
    "f32": ("flop_fp32", 1),
    "f32x2": ("flop_fp32", 2),
    "f16": ("flop_fp16", 1),
    "bf16": ("flop_fp16", 1),
    "f16x2": ("flop_fp16", 2),
    "bf16x2": ("flop_fp16", 2),
}
_SPECIAL_FUNCTIONS = frozenset("rcp rsqrt sqrt ex2 lg2 sin cos tanh".split())


@functools.lru_cache(maxsize=4096)
def worth(opcode: str) -> tuple[tuple[str, int], ...]:
    """(counter, amount a lane) pairs of an opcode; ``barriers`` and ``flop_tensor`` are amounts a warp.

    A fused multiply-add is two operations. ``.approx`` functions and ``div.full`` run on the special function
    unit and are no FLOPs; ``min``, ``max``, comparisons, conversions and moves are neither.
    """
    base, *modifiers = opcode.split(".")
    kind = modifiers[-1] if modifiers else ""
    if base == "mma" or (base == "wmma" and modifiers[0] == "mma"):
        shape = next(part for part in modifiers if re.fullmatch(r"m\d+n\d+k\d+", part))
        m, n, k = (int(size) for size in re.split("[mnk]", shape)[1:])
        n_products = 4 if base == "mma" and (m, k) == (8, 4) and "f16" in modifiers else 1
        is_sparse = modifiers[0].startswith("sp")  # half of A is multiplied
        return (("flop_tensor", n_products * m * n * k * (1 if is_sparse else 2)),)
    if base == "wgmma" and "mma_async" in modifiers:
        _, n, k = (int(size) for size in re.split("[mnk]", modifiers[3])[1:])
        return (("flop_tensor", 2 * 16 * n * k),)  # a warp has 16 of the 64 rows
    if base in ("bar", "barrier") and "warp" not in modifiers and not {"sync", "red", "arrive"}.isdisjoint(modifiers):
        return (("barriers", 1),)
    if base in ("setp", "set"):
        kind = next((m for m in reversed(modifiers) if m in _INTEGER_TYPES or m in _FLOAT_TYPES), kind)
    if base in ("add", "sub", "fma") and kind in ("f16", "bf16") and "f32" in modifiers:
        kind = "f32"  # its operands are widened first
    if base in _SPECIAL_FUNCTIONS and ("approx" in modifiers or base in ("ex2", "lg2", "sin", "cos", "tanh")):
        return (("sfu_ops", 2 if kind.endswith("x2") else 1),)
    if base == "div" and ("approx" in modifiers or "full" in modifiers):
        return (("sfu_ops", 1),)
    if kind in _FLOAT_TYPES:
        counter, n = _FLOAT_TYPES[kind]
        if base in ("fma", "mad"):
            return ((counter, 2 * n),)
        if base in ("add", "sub", "mul", "div", "sqrt", "rcp"):
            return ((counter, n),)
        return ()
    if base in ("mad", "madc", "mad24") and kind in _INTEGER_TYPES:
        return (("int_ops", 2),)
    if base in ("fns", "prmt"):
        return (("int_ops", 1),)
    if kind == "relu":
        kind = modifiers[-2]
    if kind in ("u16x2", "s16x2"):
        return (("int_ops", 2),)
    if base == "vmad":
        return (("int_ops", 2),)
    if base.startswith("v") and base != "vote":  # video instructions: as many as parts
        return (("int_ops", int(base[-1]) if base[-1] in "24" else 1),)
    if base in _INTEGER_ONE and kind in _INTEGER_TYPES:
        return (("int_ops", 1),)
    return ()
