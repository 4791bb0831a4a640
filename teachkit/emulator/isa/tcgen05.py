"""``tcgen05.mma``: one thread multiplies matrices of 64 or 128 rows; the result lies in tensor memory.

B lies in shared memory, A there or in tensor memory, and an instruction descriptor of 32 bits says the rest: whether
whole numbers saturate (bit 3), the types of D (4, 5), A (7 to 9) and B (10 to 12), whether A and B are negated (13 and
14), whether they lie by M or N (15, 16), N / 8 (17 to 22) and M / 16 (24 to 28). It is only known when the instruction
runs, so its code has every type that its kind allows, unless the kernel names the number right before.

A row of D is a lane of tensor memory, and a column a column. Of 128 rows, row r is lane r; of 64, it is lane
r % 16 + 32 (r / 16), or 16 more where D begins at lane 16. A in tensor memory lies likewise, 32 bits of K a column.

The product is done when it is issued, so ``tcgen05.commit`` arrives at its barrier at once. The instruction counts
``flop_tensor``, 2 M N K; what tensor cores read of shared memory is not counted, as for ``wgmma``. ``emulator.check()``
sees every row that is read there, in the name of the warp's first lanes.
Not modelled: sparse A, 4 and 6 bits an element, block scaling, ``.ws``, pairs of blocks, lanes of D that are left out;
the order in which hardware adds.

Source: PTX ISA, "tcgen05.mma", "Instruction Descriptor", "Data Path Layout Organization"; CUTLASS, mma_sm100_desc.hpp.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from teachkit.emulator.engine import ir, tally
from teachkit.emulator.engine.emit import Emitter
from teachkit.emulator.engine.shapes import I1, I8, I32, I64, POINTER, Value, vector_of
from teachkit.emulator.isa import tensor_products as products
from teachkit.emulator.isa.descriptors import buffers, limits, tiles_function
from teachkit.emulator.isa.fragments import ELEMENTS, room
from teachkit.emulator.isa.mbarrier import arrive_unseen
from teachkit.emulator.isa.table import Form, instruction
from teachkit.emulator.isa.tensor_memory import address_in, place_function
from teachkit.emulator.ptx.model import Address, Immediate, Operand

# of each kind: what bits 4 and 5 of the instruction descriptor mean, and bits 7 to 9 and 10 to 12
_KINDS: dict[str, tuple[dict[int, str], dict[int, str]]] = {
    "kind::f16": ({0: "f16", 1: "f32"}, {0: "f16", 1: "bf16"}),
    "kind::tf32": ({1: "f32"}, {2: "tf32"}),
    "kind::f8f6f4": ({0: "f16", 1: "f32"}, {0: "e4m3", 1: "e5m2"}),
    "kind::i8": ({2: "s32"}, {0: "u8", 1: "s8"}),
}
_COLLECTORS = "[.collector::a::fill|.collector::a::use|.collector::a::lastuse|.collector::a::discard]"
_BAD_INSTRUCTION, _BAD_MATRIX = 7, 8  # reasons of Fault.TENSOR_MEMORY
_TENSOR_MEMORY = 10
_SATURATES, _NEGATED, _BY_M, _BY_N = 3, 13, 15, 16
_RESERVED = 0b111 | 1 << 6 | 1 << 23 | 0b111 << 29  # sparsity, nothing, nothing, shifts
_FOREIGN = 1 << 61 | 1 << 52  # of a matrix: atoms of 32 bytes, absolute offsets
_HALF_LANE = 16


@instruction(f"tcgen05.mma.cta_group::1.({'|'.join(_KINDS)}){_COLLECTORS}", reads=None)
def mma(
    e: Emitter, form: Form, d: Operand, a: Operand, b: Operand, what: Operand, adds: Operand, *rest: Operand
) -> None:
    """D = A B + D, or A B where ``adds`` does not hold."""
    if rest or not isinstance(d, Address):
        raise e.unsupported("lanes that are left out, or a scaled D")
    kind, in_tensor = form.required[0], isinstance(a, Address)
    what_value = e.read(what, "u32")
    known = _number(what_value)
    assert e.instruction is not None
    tally.plain(e, e.instruction)
    site = e.sites.tensor(e.instruction)
    e.sites.is_again = True
    read_site = e.sites.access(e.instruction, "shared", False, 16)
    e.sites.is_again = False
    counter = e.builder.gep(e.scratch["sites"], [I64(8 * site)], source_etype=I8) if e.sites.counting else None
    a_value = e.cast("zext", address_in(e, a), I64) if in_tensor else e.read(a, "b64")
    wanted = I1(int(adds.value != 0)) if isinstance(adds, Immediate) else e.read(adds, "pred")
    vectors = [e.vector(v) for v in (address_in(e, d), a_value, e.read(b, "b64"), what_value)]
    product = _Product(e, kind, in_tensor, known, e.sites.counting)
    tables = room(e, "tensor tables", vector_of(I32), (2 * products.TABLE_BYTES + 256 * products.K_BYTES) // 128)
    arguments = [e.context, e.lanes(), *vectors, e.lane_bits(wanted), I64(site), I64(~read_site)]
    null = ir.Constant(POINTER, None)
    e.builder.call(product.function(), [*arguments, *limits(e), *buffers(e), counter or null, tables])


@instruction("tcgen05.commit.cta_group::1.mbarrier::arrive::one[.shared::cluster].b64", reads=None)
def commit(e: Emitter, form: Form, barrier: Operand) -> None:
    """An arrival once the thread's products are done, as they are."""
    assert isinstance(barrier, Address)
    if "shared::cluster" not in form.optional:
        raise e.unsupported("a generic address")
    assert e.instruction is not None
    tally.plain(e, e.instruction)
    arrive_unseen(e, barrier, e.lanes())


def _number(value: Value) -> int | None:
    """What a constant is, None of any other value."""
    return value.number if isinstance(value, ir.Constant) else None


@dataclasses.dataclass
class _Product:
    """The function of an instruction: thread by thread, it makes tables of A and B, and adds their product to D."""

    e: Emitter
    kind: str
    in_tensor: bool  # A
    known: int | None  # the instruction descriptor
    counts: bool

    def function(self) -> ir.Function:
        """From the context, lanes, D, A, B, the instruction descriptor (each of 32 lanes), lanes that add, the site,
        the complement of that of reading, limits and buffers, a counter, and room for tables."""
        e = self.e
        known = "any" if self.known is None else str(self.known)
        name = f"tk_tensor_mma_{self.kind.partition('::')[2]}_{known}{'_tensor' if self.in_tensor else ''}"
        found: ir.Function | None = e.module.globals.get(name)
        if found is not None:
            return found
        words, wide = vector_of(I32), vector_of(I64)
        kinds = [POINTER, I32, words, wide, wide, words, I32, I64, I64, I64, I64, POINTER, POINTER, POINTER, POINTER]
        function = ir.Function(e.module, ir.FunctionType(ir.VoidType(), kinds), name)
        function.linkage = "internal"
        function.attributes.add("noinline")
        self.arguments = function.args
        caller, e.builder = e.builder, ir.IRBuilder(function.append_basic_block("entry"))
        with e.builder.if_then(e.builder.icmp_unsigned("!=", function.args[1], I32(0))):
            self._each_lane(function.args[1])
        e.builder.ret_void()
        e.builder = caller
        return function

    def _each_lane(self, lanes: Value) -> None:
        b = self.e.builder
        before, loop, done = b.block, b.append_basic_block("lane"), b.append_basic_block("end")
        b.branch(loop)
        b.position_at_end(loop)
        left = b.phi(I32)
        left.add_incoming(lanes, before)
        lane = b.cttz(left, I1(1))
        rest = b.and_(left, b.sub(left, I32(1)))
        self._one(lane, b.xor(left, rest))
        left.add_incoming(rest, b.block)
        b.cbranch(b.icmp_unsigned("!=", rest, I32(0)), loop, done)
        b.position_at_end(done)

    def _one(self, lane: Value, bit: Value) -> None:
        b = self.e.builder
        self.bit = bit
        d, a, b_word, self.what = (b.extract_element(vector, lane) for vector in self.arguments[2:6])
        if self.known is not None:
            self.what = I32(self.known)
        n = b.zext(b.shl(self._field(17, 6), I32(3)), I64)
        m = b.zext(b.shl(self._field(24, 5), I32(4)), I64)
        is_good = self._is_good(m, n)
        with b.if_then(b.not_(is_good)):
            self._fault(_BAD_INSTRUCTION, b.zext(self.what, I64))
        with b.if_then(is_good):
            self._multiply(d, a, b_word, m, n, b.icmp_unsigned("!=", b.and_(self.arguments[6], bit), I32(0)))

    def _field(self, at: int, width: int) -> Value:
        return self.e.builder.and_(self.e.builder.lshr(self.what, I32(at)), I32((1 << width) - 1))

    def _is_good(self, m: Value, n: Value) -> Value:
        b = self.e.builder
        d_types, types = _KINDS[self.kind]
        whole = self.kind == "kind::i8"
        reserved = _RESERVED | (3 << _NEGATED if whole else 1 << _SATURATES)
        tests = [b.icmp_unsigned("==", b.and_(self.what, I32(reserved)), I32(0))]
        for at, width, allowed in ((4, 2, d_types), (7, 3, types), (10, 3, types)):
            matches = [b.icmp_unsigned("==", self._field(at, width), I32(code)) for code in allowed]
            tests.append(_joined(b.or_, matches))
        if self.kind == "kind::f16":  # A and B are of one type, and only f16 adds up to f16
            tests.append(b.icmp_unsigned("==", self._field(7, 3), self._field(10, 3)))
            tests.append(b.icmp_unsigned("<=", self._field(7, 3), self._field(4, 2)))
        small = b.icmp_unsigned("==", m, I64(64))
        tests.append(b.or_(small, b.icmp_unsigned("==", m, I64(128))))
        multiple = b.select(small, I64(7), I64(15))
        if whole:
            multiple = b.select(b.icmp_unsigned("<=", n, I64(24)), multiple, I64(15))
        tests.append(b.icmp_unsigned("==", b.and_(n, multiple), I64(0)))
        tests.append(b.icmp_unsigned("<", b.sub(n, I64(1)), I64(256)))
        return _joined(b.and_, tests)

    def _fault(self, reason: int, number: Value) -> None:
        e = self.e
        function = e.module.globals.get("tk_fault")
        if function is None:
            function = ir.Function(
                e.module, ir.FunctionType(ir.VoidType(), [POINTER, I64, I64, I32, I64, I64]), "tk_fault"
            )
        context, site = self.arguments[0], self.arguments[7]
        e.builder.call(function, [context, I64(_TENSOR_MEMORY), site, self.bit, number, I64(reason)])

    def _multiply(self, d: Value, a: Value, b_word: Value, m: Value, n: Value, adds: Value) -> None:
        b, (d_types, types) = self.e.builder, _KINDS[self.kind]
        tables = self.arguments[14]
        b_table, tiles = (b.gep(tables, [I64(i * products.TABLE_BYTES)], source_etype=I8) for i in (1, 2))
        is_small = b.icmp_unsigned("==", m, I64(64))
        step = b.select(is_small, I64(128), I64(64))  # bytes from 16 rows to the next
        mask = b.select(is_small, I64(0xFFFF & ~_HALF_LANE), I64(0xFFFF))
        d_at = self._place(d, n, mask)
        negated = b.shl(b.xor(self._field(_NEGATED, 1), self._field(_NEGATED + 1, 1)), I32(31))
        if self.in_tensor:
            a_at = self._place(b.trunc(a, I32), I64(products.K_BYTES // 4), mask)
            for code, kind in types.items():
                self._where(
                    [(7, 3, code)],
                    lambda kind=kind: b.call(  # type: ignore[misc]
                        products.table_of_columns(self.e, kind), [a_at, m, step, tables, negated]
                    ),
                )
        else:
            self._from_shared(a, 7, _BY_M, m, tiles, tables, negated)
        self._from_shared(b_word, 10, _BY_N, n, tiles, b_table, I32(0))
        n_k = products.K_BYTES * ELEMENTS[next(iter(types.values()))] // 4
        saturates = b.trunc(self._field(_SATURATES, 1), I1)
        for code, kind in d_types.items():
            self._where(
                [(4, 2, code)],
                lambda kind=kind: b.call(  # type: ignore[misc]
                    products.sums(self.e, kind, n_k), [tables, b_table, d_at, m, step, n, adds, saturates]
                ),
            )
        if self.counts:
            slot = self.arguments[13]
            b.store(b.add(b.load(slot, typ=I64, align=8), b.mul(b.mul(m, n), I64(2 * n_k))), slot, align=8)

    def _place(self, address: Value, n: Value, mask: Value) -> Value:
        context, site = self.arguments[0], self.arguments[7]
        return self.e.builder.call(place_function(self.e), [context, self.bit, address, n, mask, I64(0), site])

    def _from_shared(self, word: Value, at: int, way: int, n: Value, tiles: Value, table: Value, flip: Value) -> None:
        """Make the table of a matrix in shared memory whose type is at bit ``at`` and whose way of lying at ``way``."""
        b = self.e.builder
        foreign = b.icmp_unsigned("!=", b.and_(word, I64(_FOREIGN)), I64(0))
        with b.if_then(foreign):
            self._fault(_BAD_MATRIX, word)
        for code, kind in _KINDS[self.kind][1].items():
            for by_k in (True, False):
                self._where(
                    [(at, 3, code), (way, 1, int(not by_k))],
                    lambda kind=kind, by_k=by_k: self._table(kind, by_k, word, n, tiles, table, flip),  # type: ignore[misc]
                )

    def _table(self, kind: str, by_k: bool, word: Value, n: Value, tiles: Value, table: Value, flip: Value) -> None:
        e, b = self.e, self.e.builder
        context, shared, buffered = self.arguments[0], self.arguments[9:11], self.arguments[11:13]
        n_k, rows = products.tiles_along_k(kind, by_k), products.rows_of_group(kind, by_k)
        n_groups = b.lshr(b.add(n, I64(rows - 1)), I64(rows.bit_length() - 1))
        load = tiles_function(e, by_k, n_k, turns=False)
        arguments = [context, word, I64(0), n_groups, *shared, self.arguments[8], *buffered, self.bit, tiles]
        b.call(load, arguments)
        b.call(products.table_of_tiles(e, kind, by_k), [tiles, b.mul(n_groups, I64(n_k)), table, flip])

    def _where(self, fields: list[tuple[int, int, int]], build: Callable[[], object]) -> None:
        """Write ``build`` for where the instruction descriptor has in each field (place, bits) the given value."""
        if self.known is not None:
            if all(self.known >> at & (1 << width) - 1 == value for at, width, value in fields):
                build()
            return
        b = self.e.builder
        with b.if_then(
            _joined(b.and_, [b.icmp_unsigned("==", self._field(at, width), I32(value)) for at, width, value in fields])
        ):
            build()


def _joined(join: Callable[[Value, Value], Value], values: list[Value]) -> Value:
    result = values[0]
    for value in values[1:]:
        result = join(result, value)
    return result
