"""``wmma``: whole matrices of a warp, loaded, multiplied and stored. Source: PTX ISA, "wmma.load", "wmma.mma".

PTX leaves open which lane holds what. Here a fragment is cut into tiles as for ``mma.m16n8``: with E elements in a
register, g = lane / 4 and t = lane % 4, a tile of A is 8 rows by 4 E columns, and the lane's register holds
A[g, E t ... E t + E - 1]; a tile of B is its mirror image, B[E t ..., g]; a tile of C is 8 by 8, and the lane holds
C[g, 2 t] and C[g, 2 t + 1] (one register for f16, else two). Tiles follow each other down 16 rows, then along k for A,
along n for C; for B along k, then n. Where a fragment has more registers than tiles (f16), they repeat, as on
hardware since compute capability 7.5.

A load or store is one access a tile where the lane's elements are neighbours in memory (A by rows, B by columns, C by
rows), else one for each element; that is what the memory counters see. Not modelled: the order in which hardware adds.
"""

from __future__ import annotations

import dataclasses
import re

from teachkit.emulator.engine import ir, spaces
from teachkit.emulator.engine.addresses import address_of
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.interleave import interleave
from teachkit.emulator.engine.shapes import I16, I32, I64, Poison, Value, lane_constants, vector_of
from teachkit.emulator.isa.fragments import ELEMENTS
from teachkit.emulator.isa.products import items_of, names_of, product
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.ptx.model import Address, Operand

_HALF = "m16n16k16|m8n32k16|m32n8k16"
_SPACE = "[.global|.shared|.shared::cta]"
_LOAD = "wmma.load.{0}.sync.aligned.{1}.({2}){3}.({4})"
_STORE = "wmma.store.d.sync.aligned.(row|col).({0}){1}.({2})"
_BITS = {
    "f16": 16,
    "bf16": 16,
    "tf32": 32,
    "s8": 8,
    "u8": 8,
    "f64": 64,
    "s4": 4,
    "u4": 4,
    "b1": 1,
    "f32": 32,
    "s32": 32,
}
_RESULTS = ((_HALF, "f16|f32|s32"), ("m16n16k8", "f32"), ("m8n8k4", "f64"), ("m8n8k32|m8n8k128", "s32"))


def _sizes(shape: str) -> tuple[int, int, int]:
    m, n, k = (int(size) for size in re.split("[mnk]", shape)[1:])
    return m, n, k


def tiles(matrix: str, shape: str, kind: str) -> list[tuple[int, int]]:
    """Row and column at which each tile of matrix "a", "b" or "c" starts, in the order of their registers."""
    m, n, k = _sizes(shape)
    halves = (0, 8) if m > 8 else (0,)
    wide = 4 * ELEMENTS.get(kind, 1)
    if matrix == "a":
        return [(i + half, j) for i in range(0, m, 16) for j in range(0, k, wide) for half in halves]
    if matrix == "b":
        return [(i, j) for j in range(0, n, 8) for i in range(0, k, wide)]
    return [(i + half, j) for i in range(0, m, 16) for j in range(0, n, 8) for half in halves]


@instruction(
    _LOAD.format("(a|b)", "(row|col)", _HALF, _SPACE, "f16|bf16|s8|u8"),
    _LOAD.format("(a|b)", "(row|col)", "m16n16k8", _SPACE, "tf32"),
    _LOAD.format("(a|b)", "(row|col)", "m8n8k4", _SPACE, "f64"),
    _LOAD.format("a", "row", "m8n8k32", _SPACE, "s4|u4"),
    _LOAD.format("b", "col", "m8n8k32", _SPACE, "s4|u4"),
    _LOAD.format("a", "row", "m8n8k128", _SPACE, "b1"),
    _LOAD.format("b", "col", "m8n8k128", _SPACE, "b1"),
    *(_LOAD.format("c", "(row|col)", shape, _SPACE, kinds) for shape, kinds in _RESULTS),
    reads=None,
)
def wmma_load(e: Emitter, form: Form, target: Operand, source: Operand, *stride: Operand) -> None:
    """Fill a fragment; ``stride`` is the number of elements from one row (or column) to the next."""
    registers = items_of(target)
    memory = _Matrix.of(e, form, source, stride)
    words = [word for tile in memory.tiles for word in memory.load(tile)]
    for index, register in enumerate(registers):
        e.write(register, words[index % len(words)], f"b{memory.word_bits}")


@instruction(*(_STORE.format(shape, _SPACE, kinds) for shape, kinds in _RESULTS), reads=None)
def wmma_store(e: Emitter, form: Form, target: Operand, source: Operand, *stride: Operand) -> None:
    """The reverse, for the result."""
    memory = _Matrix.of(e, form, target, stride)
    words = [e.vector(e.read(register, f"b{memory.word_bits}")) for register in items_of(source)]
    n = len(words) // len(memory.tiles)
    for index, tile in enumerate(memory.tiles):
        memory.store(tile, words[n * index : n * index + n])


_MMA = "wmma.mma.sync.aligned.(row|col).(row|col)"


@instruction(
    f"{_MMA}.({_HALF}).(f16|f32).(f16|f32)",
    f"{_MMA}.({_HALF}).f32.bf16.bf16.f32",
    f"{_MMA}.({_HALF})[.satfinite].s32.(s8|u8).(s8|u8).s32",
    f"{_MMA}.m16n16k8.f32.tf32.tf32.f32",
    f"{_MMA}.m8n8k4[.rn].f64.f64.f64.f64",
    "wmma.mma.sync.aligned.row.col.m8n8k32[.satfinite].s32.(s4|u4).(s4|u4).s32",
    "wmma.mma.(xor|and).popc.sync.aligned.row.col.m8n8k128.s32.b1.b1.s32",
    reads=None,
)
def wmma_mma(e: Emitter, form: Form, d: Operand, a: Operand, b: Operand, c: Operand) -> None:
    """D = A B + C, tile by tile as ``mma.m16n8`` (``m8n8`` where A has 8 rows). A fragment knows nothing of the layout
    that it was loaded from, so ``.row`` and ``.col`` make no difference."""
    d_type, a_type, b_type, c_type = form.required[-4:]
    if a_type not in ELEMENTS:  # only the types of D and C are named
        d_type, a_type, b_type, c_type = form.required[-2], "f16", "f16", form.required[-1]
    how = form.required[0] if a_type == "b1" else "satfinite" if "satfinite" in form.optional else ""
    shape = next(part for part in form.opcode.split(".") if re.fullmatch(r"m\d+n\d+k\d+", part))
    m, n, k = _sizes(shape)
    halves, steps = min(m, 16) // 8, k // (4 * ELEMENTS[a_type])
    wide = "b64" if d_type == "f64" else "b32"
    words = {
        name: [e.vector(e.read(item, wide)) for item in items_of(operand)]
        for name, operand in (("a", a), ("b", b), ("c", c))
    }
    names = {name: names_of(items_of(operand)) for name, operand in (("a", a), ("b", b))}
    n_c, n_d = ((1 if kind == "f16" else 2) * halves for kind in (c_type, d_type))
    results: list[Value] = []
    for block in range(m // (8 * halves)):
        of_rows = slice(block * halves * steps, (block + 1) * halves * steps)
        for j in range(n // 8):
            of_columns = slice(j * steps, (j + 1) * steps)
            rows, columns = words["a"][of_rows], words["b"][of_columns]
            before = words["c"][len(results) // n_d * n_c :][:n_c]
            sizes = (len(rows), len(columns), len(before), n_d)
            types, known = (d_type, a_type, b_type, c_type), [*names["a"][of_rows], *names["b"][of_columns]]
            results += product(e, types, how, sizes, [*rows, *columns, *before], known)
    for register, value in zip(items_of(d), results, strict=True):
        e.write(register, value, wide)


@dataclasses.dataclass
class _Matrix:
    """Matrix "a", "b" or "c" in memory. ``base``: host address of its first element, ``stride``: elements from one
    row (column, with ``layout`` "col") to the next, both [32]."""

    e: Emitter
    operand: Address
    space: str
    base: Value
    stride: Value
    name: str
    layout: str
    kind: str
    tiles: list[tuple[int, int]]
    is_counted: bool = False  # the instruction, by an access before

    @classmethod
    def of(cls, e: Emitter, form: Form, operand: Operand, stride: tuple[Operand, ...]) -> _Matrix:
        """What a load's or a store's opcode and operands say."""
        assert isinstance(operand, Address)
        _, _, name, _, _, layout, shape, *_, kind = form.opcode.split(".")
        name = "c" if name == "d" else name
        space = next((part.partition("::")[0] for part in form.optional), "generic")
        if space == "generic":
            space = spaces.generic_space(e, operand)
        base = address_of(e, operand, space)
        if space == "shared":
            base = e.builder.add(*e.alike(e.scratch["shared_base"], base))
        m, n, k = _sizes(shape)
        rows, columns = {"a": (m, k), "b": (k, n), "c": (m, n)}[name]
        ahead = e.cast("zext", e.read(stride[0], "u32"), I64) if stride else I64(columns if layout == "row" else rows)
        parts = tiles(name, shape, kind)
        return cls(e, operand, space, e.vector(base), e.vector(ahead), name, layout, kind, parts)

    @property
    def word_bits(self) -> int:
        """Of a register."""
        return 64 if self.kind == "f64" else 32

    @property
    def n_elements(self) -> int:
        """That a lane holds of a tile."""
        return 2 if self.name == "c" else ELEMENTS[self.kind]

    @property
    def is_run(self) -> bool:
        """Whether they are neighbours in memory."""
        return (self.layout == "row") == (self.name != "b")

    def load(self, tile: tuple[int, int]) -> list[Value]:
        """A lane's registers of a tile."""
        e, bits = self.e, _BITS[self.kind]
        if self.is_run:
            return self._loaded(self._place(tile, 0), self.n_elements * bits // 8)
        elements = [self._loaded(self._place(tile, h), bits // 8)[0] for h in range(self.n_elements)]
        if self.name == "c" and self.kind != "f16":
            return elements
        word = elements[0]
        for h, element in enumerate(elements[1:], start=1):
            word = e.builder.or_(word, e.builder.shl(element, e.constant(element, h * bits)))
        return [word]

    def store(self, tile: tuple[int, int], words: list[Value]) -> None:
        """The reverse of :meth:`load`."""
        e, bits = self.e, _BITS[self.kind]
        if self.is_run:
            self._stored(self._place(tile, 0), interleave(e, words), self.n_elements * bits // 8)
            return
        elements = words
        if self.kind == "f16":
            elements = [e.cast("trunc", e.builder.lshr(words[0], e.constant(words[0], 16 * h)), I16) for h in (0, 1)]
        for h, element in enumerate(elements):
            self._stored(self._place(tile, h), element, bits // 8)

    def _place(self, tile: tuple[int, int], h: int) -> Value:
        """Host address of each lane's element ``h`` of a tile."""
        e, n = self.e, self.n_elements
        across = [lane // 4 for lane in range(32)]
        along = [n * (lane % 4) + h for lane in range(32)]
        inside = (along, across) if self.name == "b" else (across, along)
        row, column = ([start + i for i in part] for start, part in zip(tile, inside, strict=True))
        major, minor = (row, column) if self.layout == "row" else (column, row)
        index = e.builder.add(e.builder.mul(self.stride, lane_constants(I64, major)), lane_constants(I64, minor))
        n_bits = e.builder.mul(index, e.constant(index, _BITS[self.kind]))
        return e.builder.add(self.base, e.builder.lshr(n_bits, e.constant(n_bits, 3)))

    def _loaded(self, address: Value, n_bytes: int) -> list[Value]:
        """Registers from ``n_bytes`` a lane; where they are less than one, its low part."""
        e = self.e
        n = max(1, 8 * n_bytes // self.word_bits)
        element = ir.IntType(8 * n_bytes // n)
        shape = vector_of(element, 32 * n)
        e.builder.store(ir.Constant(shape, None), e.scratch["packed"], align=64)
        self._move(address, n_bytes, "load")
        packed = e.builder.load(e.scratch["packed"], typ=shape, align=64)
        parts = [
            e.builder.shuffle_vector(packed, Poison(shape), lane_constants(I32, range(i, 32 * n, n))) for i in range(n)
        ]
        return [e.cast("zext", part, I32) if element.width < 32 else part for part in parts]

    def _stored(self, address: Value, packed: Value, n_bytes: int) -> None:
        self.e.builder.store(packed, self.e.scratch["packed"], align=64)
        self._move(address, n_bytes, "store")

    def _move(self, address: Value, n_bytes: int, verb: str) -> None:
        spaces.move_at(self.e, self.space, self.operand, address, n_bytes, verb, self.is_counted)
        self.is_counted = True
