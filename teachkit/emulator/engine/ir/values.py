"""What instructions take and give: values that carry their type and how LLVM text refers to them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teachkit.emulator.engine.ir.types import FloatingType, Type


class Value:
    """``ref`` is how LLVM text refers to it: ``%v3``, ``7``, ``@"tk_fault"``."""

    __slots__ = ("ref", "type")
    type: Any  # a Type; callers know which, from what they asked for

    def __init__(self, shape: Type, ref: str) -> None:
        self.type, self.ref = shape, ref

    def get_reference(self) -> str:
        """The value without its type."""
        return self.ref

    def __str__(self) -> str:
        return f"{self.type.text} {self.ref}"

    def __repr__(self) -> str:
        return f"<value {self}>"


class Constant(Value):
    """A constant of a type: a number, None for zero, or for vectors a sequence of constants or numbers.

    ``number`` is the integer in every lane, where there is one.
    """

    __slots__ = ("number",)
    number: int | None

    def __init__(self, shape: Type, value: Any) -> None:
        self.type, self.ref = shape, shape.literal(value)
        self.number = value if isinstance(value, int) else None


class FloatBits(Constant):
    """A floating constant by its bits: a Python float would make a signalling NaN a quiet one."""

    __slots__ = ()

    def __init__(self, shape: FloatingType, bits: int) -> None:
        self.type, self.ref, self.number = shape, shape.literal_of_bits(bits), None


class Splat(Constant):
    """A vector constant with one value in every lane, written in LLVM's short form. ``shape`` is the vector's."""

    __slots__ = ()

    def __init__(self, shape: Type, element: Constant) -> None:
        self.type, self.ref = shape, f"splat ({element.type.text} {element.ref})"
        self.number = element.number


class Poison(Constant):
    """A value nobody reads: LLVM may simplify through it, which it may not through ``undef``."""

    __slots__ = ()

    def __init__(self, shape: Type) -> None:
        self.type, self.ref, self.number = shape, "poison", None


class Slot(Value):
    """The address of a variable on the stack, which ``holds`` a value of some type."""

    __slots__ = ("holds",)

    def __init__(self, shape: Type, ref: str, holds: Type) -> None:
        self.type, self.ref, self.holds = shape, ref, holds


class Phi(Value):
    """The value that belongs to the block that control came from."""

    __slots__ = ("_at", "_lines", "_ways")

    def __init__(self, shape: Type, ref: str, lines: list[str]) -> None:
        self.type, self.ref = shape, ref
        self._lines, self._at, self._ways = lines, len(lines), list[str]()
        lines.append("")

    def add_incoming(self, value: Value, block: Any) -> None:
        """``value`` where control comes from ``block``."""
        self._ways.append(f"[{value.ref}, {block.ref}]")
        self._lines[self._at] = f"  {self.ref} = phi {self.type.text} {', '.join(self._ways)}"


class Stored(Value):
    """What was loaded from ``place``, the ``row`` of a ``room`` where it stays for as long as it may be used.

    So it can be loaded again. A load that nobody uses costs nothing.
    """

    __slots__ = ("align", "place", "room", "row")

    def __init__(self, loaded: Value, place: Value, room: Value, row: int, align: int) -> None:
        super().__init__(loaded.type, loaded.ref)
        self.place, self.room, self.row, self.align = place, room, row, align

    def again(self, builder: Any) -> Stored:
        """The same, loaded where ``builder`` is."""
        return Stored(builder.load(self.place, self.align, self.type), self.place, self.room, self.row, self.align)


class Indexed(Value):
    """Lanes that are ``base + scale * index``: one base of 64 bits, an index of 32 bits a lane.

    ``scale`` is a positive number of bytes; ``is_signed`` says how the index is widened.
    """

    __slots__ = ("base", "index", "is_signed", "scale")

    def __init__(self, lanes: Value, base: Value, index: Value, scale: int, *, is_signed: bool) -> None:
        super().__init__(lanes.type, lanes.ref)
        self.base, self.index, self.scale, self.is_signed = base, index, scale, is_signed
