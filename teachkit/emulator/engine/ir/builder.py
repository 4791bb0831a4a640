"""Appends instructions to a block, each written when it is made.

Source: LLVM Language Reference, "Instruction Reference". A method is named as in ``llvmlite.ir.IRBuilder``; casts to
the type that a value has give the value itself.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NoReturn

from teachkit.emulator.engine.ir.module import Block, Function, FunctionType
from teachkit.emulator.engine.ir.types import IntType, PointerType, Type, VectorType, VoidType
from teachkit.emulator.engine.ir.values import Constant, Phi, Slot, Splat, Value

_BIT, _POINTER, _VOID = IntType(1), PointerType(), VoidType()
_COMPARISONS = {">": "gt", "<": "lt", "==": "eq", "!=": "ne", ">=": "ge", "<=": "le"}


def _binary(operation: str) -> Callable[[IRBuilder, Value, Value], Value]:
    def build(self: IRBuilder, a: Value, b: Value) -> Value:
        shape = a.type
        if shape is not b.type:
            raise TypeError(f"expected operands of one type for {operation}, got {a} and {b}")
        ref = f"%v{self._number()}"
        self._append(f"  {ref} = {operation} {shape.text} {a.ref}, {b.ref}")
        return Value(shape, ref)

    return build


def _cast(operation: str) -> Callable[[IRBuilder, Value, Type], Value]:
    def build(self: IRBuilder, value: Value, shape: Type) -> Value:
        if value.type is shape:
            return value
        ref = f"%v{self._number()}"
        self._append(f"  {ref} = {operation} {value.type.text} {value.ref} to {shape.text}")
        return Value(shape, ref)

    return build


def _closed(line: str) -> NoReturn:
    raise ValueError(f"expected an open block, got one that has ended, for {line.strip()!r}")


class IRBuilder:
    """Writes to the end of ``block``, before what ends it."""

    def __init__(self, block: Block) -> None:
        self.position_at_end(block)

    # ------------------------------------------------------------------------------------- where it writes

    def position_at_end(self, block: Block) -> None:
        """Go on in ``block``."""
        self.block = block
        self.function: Function = block.function
        self._number = block.function.number
        self._append: Callable[[str], None] = block.lines.append if block.terminator is None else _closed

    def append_basic_block(self, name: str) -> Block:
        """A new block of the function; the builder stays where it is."""
        return self.function.append_basic_block(name)

    @contextlib.contextmanager
    def goto_entry_block(self) -> Iterator[None]:
        """Write to the function's first block for a while, even where that has ended."""
        before, append, entry = self.block, self._append, self.function.blocks[0]
        self.position_at_end(entry)
        self._append = entry.lines.append
        yield
        self.position_at_end(before)
        self._append = append  # which may be the same as inside

    @contextlib.contextmanager
    def if_then(self, condition: Value) -> Iterator[None]:
        """What is written inside runs only where ``condition`` holds."""
        inside, behind = (self.append_basic_block(name) for name in ("if", "endif"))
        self.cbranch(condition, inside, behind)
        self.position_at_end(inside)
        yield
        if self.block.terminator is None:
            self.branch(behind)
        self.position_at_end(behind)

    # ------------------------------------------------------------------------------------- arithmetic

    add, sub, mul = _binary("add"), _binary("sub"), _binary("mul")
    udiv, sdiv, urem, srem = _binary("udiv"), _binary("sdiv"), _binary("urem"), _binary("srem")
    shl, lshr, ashr = _binary("shl"), _binary("lshr"), _binary("ashr")
    and_, or_, xor = _binary("and"), _binary("or"), _binary("xor")
    fadd, fsub, fmul, fdiv, frem = (_binary(operation) for operation in ("fadd", "fsub", "fmul", "fdiv", "frem"))

    def not_(self, value: Value) -> Value:
        """All bits turned over."""
        shape = value.type
        ones: Value = Splat(shape, shape.element(-1)) if isinstance(shape, VectorType) else shape(-1)
        return self.xor(value, ones)

    def neg(self, value: Value) -> Value:
        """0 - value."""
        return self.sub(Constant(value.type, None), value)

    def fneg(self, value: Value) -> Value:
        """The sign turned over, of NaN too."""
        return self._new(value.type, f"fneg {value.type.text} {value.ref}")

    trunc, zext, sext = _cast("trunc"), _cast("zext"), _cast("sext")
    fptrunc, fpext = _cast("fptrunc"), _cast("fpext")
    fptoui, fptosi, uitofp, sitofp = _cast("fptoui"), _cast("fptosi"), _cast("uitofp"), _cast("sitofp")
    bitcast, ptrtoint, inttoptr = _cast("bitcast"), _cast("ptrtoint"), _cast("inttoptr")

    # ------------------------------------------------------------------------------------- comparisons

    def icmp_signed(self, comparison: str, a: Value, b: Value) -> Value:
        """Whether ``a < b``, or another of ``== != < <= > >=``, as signed integers."""
        return self._compare("icmp", "s" if comparison[0] in "<>" else "", comparison, a, b)

    def icmp_unsigned(self, comparison: str, a: Value, b: Value) -> Value:
        """The same for unsigned integers and pointers."""
        return self._compare("icmp", "u" if comparison[0] in "<>" else "", comparison, a, b)

    def fcmp_ordered(self, comparison: str, a: Value, b: Value) -> Value:
        """The same for floats, or "ord", "uno"; does not hold where either is NaN."""
        return self._compare("fcmp", "o" if comparison in _COMPARISONS else "", comparison, a, b)

    def fcmp_unordered(self, comparison: str, a: Value, b: Value) -> Value:
        """The same, but holds where either is NaN."""
        return self._compare("fcmp", "u" if comparison in _COMPARISONS else "", comparison, a, b)

    def _compare(self, operation: str, order: str, comparison: str, a: Value, b: Value) -> Value:
        shape = a.type
        if shape is not b.type:
            raise TypeError(f"expected operands of one type for {operation}, got {a} and {b}")
        result = VectorType(_BIT, shape.count) if isinstance(shape, VectorType) else _BIT
        kind = order + _COMPARISONS.get(comparison, comparison)
        return self._new(result, f"{operation} {kind} {shape.text} {a.ref}, {b.ref}")

    def select(self, condition: Value, yes: Value, no: Value) -> Value:
        """``yes`` where ``condition`` holds, else ``no``."""
        shape = yes.type
        if shape is not no.type:
            raise TypeError(f"expected one type for select, got {yes} and {no}")
        text = f"{condition.type.text} {condition.ref}, {shape.text} {yes.ref}, {shape.text} {no.ref}"
        return self._new(shape, f"select {text}")

    # ------------------------------------------------------------------------------------- memory

    def alloca(self, holds: Type, size: Value | None = None, align: int | None = None) -> Slot:
        """A variable on the stack, or ``size`` of them side by side."""
        ref = f"%v{self._number()}"
        more = (f", {size}" if size is not None else "") + (f", align {align}" if align else "")
        self._append(f"  {ref} = alloca {holds.text}{more}")
        return Slot(_POINTER, ref, holds)

    def load(self, place: Value, align: int | None = None, typ: Type | None = None) -> Value:
        """What stands at ``place``; its type is that of the variable unless ``typ`` says otherwise."""
        if typ is None:
            if not isinstance(place, Slot):
                raise TypeError(f"expected the address of a variable, or a type to load, got {place}")
            typ = place.holds
        ref = f"%v{self._number()}"
        self._append(f"  {ref} = load {typ.text}, ptr {place.ref}" + (f", align {align}" if align else ""))
        return Value(typ, ref)

    def store(self, value: Value, place: Value, align: int | None = None) -> None:
        """Put ``value`` at ``place``."""
        if place.type is not _POINTER:
            raise TypeError(f"expected a pointer to store to, got {place}")
        text = f"  store {value.type.text} {value.ref}, ptr {place.ref}"
        self._append(f"{text}, align {align}" if align else text)

    def gep(self, pointer: Value, indices: Sequence[Value], *, source_etype: Type) -> Value:
        """The address so many elements of ``source_etype`` behind ``pointer``."""
        steps = ", ".join([f"{index.type.text} {index.ref}" for index in indices])
        ref = f"%v{self._number()}"
        self._append(f"  {ref} = getelementptr {source_etype.text}, ptr {pointer.ref}, {steps}")
        return Value(_POINTER, ref)

    # ------------------------------------------------------------------------------------- vectors and structures

    def extract_element(self, vector: Value, index: Value) -> Value:
        """One element of a vector."""
        return self._new(vector.type.element, f"extractelement {vector}, {index}")

    def insert_element(self, vector: Value, value: Value, index: Value) -> Value:
        """The vector with one element replaced."""
        return self._new(vector.type, f"insertelement {vector}, {value}, {index}")

    def shuffle_vector(self, a: Value, b: Value, order: Value) -> Value:
        """Elements of ``a`` and, numbered on, of ``b``, in an ``order`` that is a constant."""
        shape = VectorType(a.type.element, order.type.count)
        return self._new(shape, f"shufflevector {a}, {b}, {order}")

    def extract_value(self, structure: Value, index: int) -> Value:
        """One element of a structure."""
        return self._new(structure.type.elements[index], f"extractvalue {structure}, {index}")

    def insert_value(self, structure: Value, value: Value, index: int) -> Value:
        """The structure with one element replaced."""
        return self._new(structure.type, f"insertvalue {structure}, {value}, {index}")

    # ------------------------------------------------------------------------------------- calls

    def call(self, function: Any, arguments: Sequence[Value]) -> Value:
        """What ``function``, a :class:`Function`, gives for ``arguments``."""
        kinds = function.ftype.args
        for argument, kind in zip(arguments, kinds, strict=True):
            if argument.type is not kind:
                expected = ", ".join(kind.text for kind in kinds)
                raise TypeError(f"expected ({expected}) for {function.ref}, got {', '.join(map(str, arguments))}")
        result = function.ftype.return_type
        text = ", ".join([f"{a.type.text} {a.ref}" for a in arguments])
        convention = f"{function.convention} " if function.convention else ""
        call = f"call {convention}{result.text} {function.ref}({text})"
        if result is not _VOID:
            return self._new(result, call)
        self._append(f"  {call}")
        return Value(result, "")

    def cttz(self, value: Value, is_zero_poison: Value) -> Value:
        """Zeros below the lowest one."""
        module, shape = self.function.module, value.type
        name = f"llvm.cttz.{shape.mangled}"
        function = module.globals.get(name) or Function(module, FunctionType(shape, [shape, _BIT]), name)
        return self.call(function, [value, is_zero_poison])

    # ------------------------------------------------------------------------------------- control flow

    def phi(self, shape: Type) -> Phi:
        """A value that depends on where control came from; to stand before all else in a block."""
        return Phi(shape, f"%v{self._number()}", self.block.lines)

    def branch(self, target: Block) -> None:
        """Go on at ``target``."""
        self._end(f"br label {target.ref}")

    def cbranch(self, condition: Value, yes: Block, no: Block) -> Branch:
        """Go on at ``yes`` where ``condition`` holds, else at ``no``."""
        self._end(f"br i1 {condition.ref}, label {yes.ref}, label {no.ref}")
        return Branch(self.block)

    def switch(self, value: Value, default: Block) -> Switch:
        """Go on where the cases added to it say, else at ``default``."""
        switch = Switch(value, default)
        self._end(switch)
        return switch

    def ret(self, value: Value) -> None:
        """Return ``value``."""
        self._end(f"ret {value}")

    def ret_void(self) -> None:
        """Return nothing."""
        self._end("ret void")

    # ------------------------------------------------------------------------------------- the lines themselves

    def _new(self, shape: Type, text: str) -> Value:
        ref = f"%v{self._number()}"
        self._append(f"  {ref} = {text}")
        return Value(shape, ref)

    def _end(self, terminator: Any) -> None:
        if self.block.terminator is not None:
            _closed(str(terminator))
        self.block.terminator, self._append = terminator, _closed


class Branch:
    """A branch on a condition, written already."""

    __slots__ = ("_block",)

    def __init__(self, block: Block) -> None:
        self._block = block

    def set_weights(self, weights: Sequence[int]) -> None:
        """How often each way is taken, in proportion."""
        numbers = ", ".join(f"i32 {weight}" for weight in weights)
        node = self._block.function.module.metadata(f'!{{!"branch_weights", {numbers}}}')
        self._block.terminator = f"{self._block.terminator}, !prof {node}"


class Switch:
    """A branch to one of many blocks."""

    __slots__ = ("_cases", "_head")

    def __init__(self, value: Value, default: Block) -> None:
        self._head, self._cases = f"switch {value}, label {default.ref}", list[str]()

    def add_case(self, value: Value, block: Block) -> None:
        """Go on at ``block`` where the number is ``value``."""
        self._cases.append(f"{value}, label {block.ref}")

    def __str__(self) -> str:
        return f"{self._head} [{' '.join(self._cases)}]"
