"""Functions beside a kernel that combine elements in shared memory with those that are in global memory."""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.emulator.engine import ir
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.helpers import helper
from teachkit.emulator.engine.shapes import I1, I16, I64, POINTER, Value
from teachkit.emulator.isa.formats import float_to_half, half_to_float
from teachkit.emulator.tensor_map import TYPES

REDUCED = {
    "add": ("u32", "s32", "u64", "s64", "f16", "bf16", "f32", "f64"),
    "min": ("u32", "s32", "u64", "s64", "f16", "bf16"),
    "max": ("u32", "s32", "u64", "s64", "f16", "bf16"),
    "inc": ("u32",),
    "dec": ("u32",),
    "and": ("u32", "s32", "u64", "s64"),
    "or": ("u32", "s32", "u64", "s64"),
    "xor": ("u32", "s32", "u64", "s64"),
}
"""Types of elements of each reduction of boxes of tensors."""

_ATOMIC = {
    ("min", "s"): "min", ("min", "u"): "umin", ("max", "s"): "max", ("max", "u"): "umax", ("inc", "u"): "uinc_wrap",
    ("dec", "u"): "udec_wrap",
}  # fmt: skip


def reduction(e: Emitter, operation: str, kinds: Sequence[str]) -> Value:
    """A function of two addresses, the bytes there, and their type (a number of ``TYPES``) that combines elements.

    It answers whether it knows the type. Floats need no atomic operation: blocks then run one after another.
    """
    cases = "\n".join(f"    i64 {TYPES.index(kind)}, label %{kind}" for kind in kinds)
    loops = "\n".join(_loop(e, operation, kind) for kind in kinds)
    name = f"tk_bulk_{operation}_{kinds[0] if len(kinds) == 1 else 'any'}"
    text = f"""
define internal i1 @{name}(ptr %to, ptr %from, i64 %n, i64 %type) noinline {{
entry:
  switch i64 %type, label %unknown [
{cases}
  ]
{loops}
done:
  ret i1 true
unknown:
  ret i1 false
}}
"""
    return helper(e, name, I1, [POINTER, POINTER, I64, I64], text)


def _loop(e: Emitter, operation: str, kind: str) -> str:
    bits = int(kind.lstrip("bfus"))
    letter = "f" if "f" in kind else kind[0]
    if letter == "f":
        name = {32: "float", 64: "double"}.get(bits, "i16")
        combine = [f"%old.{kind} = load {name}, ptr %at.{kind}, align 1"]
        total = f"fadd {name} %old.{kind}, %new.{kind}"
        if bits == 16:
            total = f"call i16 @{_halves(e, operation, kind)}(i16 %old.{kind}, i16 %new.{kind})"
        combine += [f"%both.{kind} = {total}", f"store {name} %both.{kind}, ptr %at.{kind}, align 1"]
    else:
        name, verb = f"i{bits}", _ATOMIC.get((operation, letter), operation)
        combine = [f"%old.{kind} = atomicrmw {verb} ptr %at.{kind}, {name} %new.{kind} monotonic"]
    body = "\n  ".join(combine)
    return f"""
{kind}:
  %none.{kind} = icmp eq i64 %n, 0
  br i1 %none.{kind}, label %done, label %each.{kind}
each.{kind}:
  %i.{kind} = phi i64 [ 0, %{kind} ], [ %next.{kind}, %each.{kind} ]
  %at.{kind} = getelementptr i8, ptr %to, i64 %i.{kind}
  %with.{kind} = getelementptr i8, ptr %from, i64 %i.{kind}
  %new.{kind} = load {name}, ptr %with.{kind}, align 1
  {body}
  %next.{kind} = add i64 %i.{kind}, {bits // 8}
  %more.{kind} = icmp ult i64 %next.{kind}, %n
  br i1 %more.{kind}, label %each.{kind}, label %done"""


def _halves(e: Emitter, operation: str, kind: str) -> str:
    """Name of a function that combines two numbers of 16 bits: in ``f32``, rounded once more."""
    name = f"tk_{operation}_{kind}"
    if name not in e.module.globals:
        function = ir.Function(e.module, ir.FunctionType(I16, [I16, I16]), name)
        function.linkage = "internal"
        outside, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
        a, b = (half_to_float(e, bits, kind) for bits in function.args)
        wide = e.builder.fadd(a, b) if operation == "add" else e.intrinsic(f"llvm.{operation}imumnum", a, b)
        e.builder.ret(float_to_half(e, wide, kind))
        e.builder = outside
    return name
