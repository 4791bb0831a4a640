"""LLVM's types. There is one object of each, so that ``is`` compares them, and each knows its text.

Source: LLVM Language Reference, "Type System", "Constants". Not modelled: address spaces, arrays, named structures.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

from teachkit.emulator.engine.ir.values import Constant, Value

_known: dict[Any, Any] = {}


class _Interned(type):
    """A class that gives the same object for the same arguments."""

    def __call__(cls, *arguments: Any) -> Any:
        try:
            return _known[cls, arguments]
        except KeyError:
            pass
        except TypeError:  # a list
            arguments = tuple(tuple(argument) for argument in arguments)
        # Another thread may have been first; whoever was, its object is the one.
        return _known.setdefault((cls, arguments), super().__call__(*arguments))


class Type(metaclass=_Interned):
    """``text`` is how LLVM writes the type, ``mangled`` how names of intrinsics do. Called, it gives a constant."""

    __slots__ = ("mangled", "text")

    def __init__(self, text: str, mangled: str = "") -> None:
        self.text, self.mangled = text, mangled

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<type {self.text}>"

    def __call__(self, value: Any) -> Constant:
        """``value`` as a constant of this type."""
        return Constant(self, value)

    def literal(self, value: Any) -> str:
        """``value`` as a constant of this type; None is zero."""
        raise TypeError(f"no constants of type {self.text}, got {value!r}")


class VoidType(Type):
    """What a function gives that gives nothing."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("void")


class IntType(Type):
    """Integers of ``width`` bits."""

    __slots__ = ("width",)

    def __init__(self, width: int) -> None:
        super().__init__(f"i{width}", f"i{width}")
        self.width = width

    def literal(self, value: Any) -> str:
        """The number in decimal digits."""
        return "0" if value is None else str(int(value))


class FloatingType(Type):
    """``code``: of the type in Python's ``struct``."""

    __slots__ = ("code",)

    def __init__(self, text: str, mangled: str, code: str) -> None:
        super().__init__(text, mangled)
        self.code = code

    def literal(self, value: Any) -> str:
        """LLVM writes each floating type as the bits of a ``double``, which must hold a value of the type."""
        (rounded,) = struct.unpack(self.code, struct.pack(self.code, 0.0 if value is None else value))
        return f"0x{int.from_bytes(struct.pack('>d', rounded)):016x}"

    def literal_of_bits(self, bits: int) -> str:
        """The value with these bits, signalling NaN too, which conversion to ``double`` would make quiet."""
        size = struct.calcsize(self.code)
        if size == 4 and bits & 0x7F800000 == 0x7F800000:
            bits = (bits & 1 << 31) << 32 | 0x7FF << 52 | (bits & 0x7FFFFF) << 29
        elif size < 8:
            return self.literal(struct.unpack(self.code, bits.to_bytes(size, "little"))[0])
        return f"0x{bits:016x}"


class HalfType(FloatingType):
    """IEEE half precision."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("half", "f16", "e")


class FloatType(FloatingType):
    """IEEE single precision."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("float", "f32", "f")


class DoubleType(FloatingType):
    """IEEE double precision."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("double", "f64", "d")


class PointerType(Type):
    """Pointers, which do not say what they point to."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__("ptr", "p0")

    def literal(self, value: Any) -> str:
        """Only the null pointer is a constant."""
        return "null" if value is None else super().literal(value)


class VectorType(Type):
    """``count`` values of type ``element`` side by side."""

    __slots__ = ("count", "element")

    def __init__(self, element: Type, count: int) -> None:
        super().__init__(f"<{count} x {element.text}>", f"v{count}{element.mangled}")
        self.element, self.count = element, count

    def literal(self, value: Sequence[Any] | None) -> str:
        """``value``: constants of the element's type, or what makes them."""
        if value is None:
            return "zeroinitializer"
        if len(value) != self.count:
            raise ValueError(f"expected {self.count} elements for {self.text}, got {len(value)}")
        element = self.element
        return "<" + ", ".join([f"{element.text} {_reference(element, item)}" for item in value]) + ">"


class LiteralStructType(Type):
    """Values of the types ``elements`` one after another."""

    __slots__ = ("elements",)

    def __init__(self, elements: Sequence[Type]) -> None:
        super().__init__("{" + ", ".join(element.text for element in elements) + "}")
        self.elements = tuple(elements)


def _reference(shape: Type, item: Any) -> str:
    if not isinstance(item, Value):
        return shape.literal(item)
    if item.type is not shape:
        raise TypeError(f"expected an element of type {shape}, got {item}")
    return item.ref
