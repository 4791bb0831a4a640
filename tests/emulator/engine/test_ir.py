"""The writer of LLVM text: LLVM reads what it writes, as what llvmlite's builder writes for the same calls."""

import ctypes
import math
import re
from pathlib import Path

import llvmlite.binding as llvm
import llvmlite.ir
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teachkit.emulator.engine import ir, jit

I1, I32, I64 = (ir.IntType(bits) for bits in (1, 32, 64))
F32, F64, POINTER = ir.FloatType(), ir.DoubleType(), ir.PointerType()
BINARY = "add sub mul udiv sdiv urem srem shl lshr ashr and_ or_ xor".split()
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=")


def integers(of, function, b):
    x, y = function.args[1], function.args[2]
    for name in BINARY:
        y = getattr(b, name)(x, y)
    wide = b.bitcast(y, of.VectorType(of.IntType(16), 4))
    return [b.not_(y), b.neg(y), b.not_(wide), b.neg(wide), b.cttz(x, of.IntType(1)(0)), b.cttz(y, of.IntType(1)(1))]


def floats(of, function, b):
    x = b.bitcast(function.args[1], of.DoubleType())
    y = b.bitcast(function.args[2], of.DoubleType())
    for name in ("fadd", "fsub", "fmul", "fdiv", "frem"):
        y = getattr(b, name)(x, y)
    numbers = (0.0, -0.0, 0.1, 1e-42, math.inf, -math.inf, math.nan, 65504.0)
    constants = [kind(n) for kind in (of.HalfType(), of.FloatType(), of.DoubleType()) for n in numbers]
    return [b.fneg(y), y, *constants]


def comparisons(of, function, b):
    x, y = function.args[1], function.args[2]
    results = [getattr(b, f"icmp_{kind}")(how, x, y) for kind in ("signed", "unsigned") for how in COMPARISONS]
    u, v = (b.bitcast(value, of.VectorType(of.FloatType(), 2)) for value in (x, y))
    results += [getattr(b, f"fcmp_{kind}")(how, u, v) for kind in ("ordered", "unordered") for how in COMPARISONS]
    results += [b.fcmp_ordered("ord", u, v), b.fcmp_unordered("uno", u, v)]
    return [*results, b.select(results[0], x, y), b.select(results[-1], u, v)]


def casts(of, function, b):
    x = function.args[1]
    short = b.trunc(x, of.IntType(8))
    number = b.sitofp(x, of.DoubleType())
    results = [b.zext(short, of.IntType(32)), b.sext(short, of.IntType(32)), b.uitofp(x, of.FloatType())]
    results += [b.fptosi(number, of.IntType(32)), b.fptoui(number, of.IntType(32)), b.fptrunc(number, of.HalfType())]
    assert b.zext(x, x.type) is x
    return [*results, b.fpext(results[-1], of.FloatType()), b.ptrtoint(b.inttoptr(x, of.PointerType()), of.IntType(64))]


def memory(of, function, b):
    one, many = b.alloca(of.IntType(32)), b.alloca(of.IntType(64), of.IntType(32)(9))
    b.store(of.IntType(32)(7), one)
    b.store(of.IntType(64)(-1), many, align=8)
    at = b.gep(many, [function.args[1]], source_etype=of.IntType(16))
    return [b.load(one), b.load(at, typ=of.VectorType(of.IntType(8), 4), align=1), b.load(at, align=4, typ=one.type)]


def vectors(of, function, b):
    shape = of.VectorType(of.IntType(32), 2)
    x = b.bitcast(function.args[1], shape)
    place = of.IntType(32)(1)
    order = of.Constant(of.VectorType(of.IntType(32), 4), [of.IntType(32)(i) for i in (3, 0, 1, 2)])
    y = b.insert_element(x, b.extract_element(x, place), of.IntType(32)(0))
    return [y, b.shuffle_vector(x, y, order), b.add(x, of.Constant(shape, None)), of.Constant(shape, [1, 2])]


def structures(of, function, b):
    shape = of.LiteralStructType([of.IntType(64), of.PointerType()])
    callee = of.Function(function.module, of.FunctionType(shape, []), "pair")
    callee.attributes.add("cold")
    pair = b.insert_value(b.call(callee, []), function.args[1], 0)
    return [b.extract_value(pair, 0), b.extract_value(pair, 1)]


def control(of, function, b):
    x, y = function.args[1], function.args[2]
    with b.if_then(b.icmp_signed("<", x, y)), b.if_then(b.icmp_signed("!=", x, y)):
        b.store(x, function.args[0])
    head, body, behind, last = (b.append_basic_block(name) for name in ("head", "body", "behind", "behind"))
    before = b.block
    b.branch(head)
    b.position_at_end(head)
    turn = b.phi(of.IntType(64))
    turn.add_incoming(x, before)
    b.cbranch(b.icmp_unsigned("<", turn, y), body, behind).set_weights([4095, 1])
    b.position_at_end(body)
    following = b.add(turn, of.IntType(64)(1))
    turn.add_incoming(following, body)
    b.cbranch(b.icmp_unsigned("==", following, x), behind, head).set_weights([1, 4095])
    b.position_at_end(behind)
    switch = b.switch(turn, last)
    for number, block in ((3, last), (-4, body)):
        switch.add_case(of.IntType(64)(number), block)
    b.position_at_end(last)
    with b.goto_entry_block():
        room = b.alloca(of.IntType(64))
    b.store(turn, room)
    return [turn]


def calls(of, function, b):
    owner = function.module
    kind = of.FunctionType(of.VoidType(), [of.IntType(64), of.PointerType()])
    callee = of.Function(owner, kind, "tk.callee-1")
    inner = of.Function(owner, kind, "inner")
    inner.linkage = "internal"
    inner.attributes.add("noinline")
    inner.attributes.add("cold")
    other = of.IRBuilder(inner.append_basic_block("entry"))
    other.call(callee, inner.args)
    other.ret_void()
    b.call(inner, [function.args[1], function.args[0]])
    return [function.args[1]]


FUNCTIONS = [integers, floats, comparisons, casts, memory, vectors, structures, control, calls]  # for both builders


def built(of, write) -> str:
    """A module with one function whose body ``write`` writes; it stores all results."""
    module = of.Module()
    kind = of.FunctionType(of.IntType(32), [of.PointerType(), of.IntType(64), of.IntType(64)])
    function = of.Function(module, kind, "f")
    b = of.IRBuilder(function.append_basic_block("entry"))
    for value in write(of, function, b):
        b.store(value, function.args[0])
    b.ret(of.IntType(32)(0))
    return str(module)


def read(text: str) -> str:
    """What LLVM understands, with names replaced by numbers in the order in which they appear."""
    module = llvm.parse_assembly(text)
    module.verify()
    found: dict[str, int] = {}
    plain = re.sub(r"\s*;.*", "", str(module))
    names = re.compile(r'%"?([-\w$.]+)"?|^([-\w$.]+)(?=:$)', re.MULTILINE)
    return names.sub(lambda m: f"%{found.setdefault(m[1] or m[2], len(found))}", plain)


@pytest.mark.parametrize("write", FUNCTIONS, ids=lambda f: f.__name__)
def test_llvm_reads_the_same_as_from_llvmlite(write) -> None:
    assert read(built(ir, write)) == read(built(llvmlite.ir, write))


def test_every_method_is_tried(monkeypatch) -> None:
    seen = set()

    class Watched(ir.IRBuilder):
        def __getattribute__(self, name):
            seen.add(name)
            return super().__getattribute__(name)

    monkeypatch.setattr(ir, "IRBuilder", Watched)
    for write in FUNCTIONS:
        built(ir, write)
    assert [name for name in vars(Watched.__base__) if not name.startswith("_") and name not in seen] == []


def compiled(module: ir.Module, name: str, kind):
    """The function ``name`` as a Python callable, and what keeps it."""
    address, keep = jit.load_object(jit.compile_object(str(module)), name, {})
    function = kind(address)
    function.keep = keep
    return function


def test_a_loop_gives_the_right_sum() -> None:
    module = ir.Module()
    function = ir.Function(module, ir.FunctionType(I64, [I64]), "sum_of_squares")
    entry, loop, done = (function.append_basic_block(name) for name in ("entry", "loop", "done"))
    b = ir.IRBuilder(entry)
    b.branch(loop)
    b.position_at_end(loop)
    i, total = b.phi(I64), b.phi(I64)
    i.add_incoming(I64(0), entry)
    total.add_incoming(I64(0), entry)
    more, following = b.add(total, b.mul(i, i)), b.add(i, I64(1))
    i.add_incoming(following, loop)
    total.add_incoming(more, loop)
    b.cbranch(b.icmp_signed("<", following, function.args[0]), loop, done).set_weights([9, 1])
    b.position_at_end(done)
    b.ret(more)
    call = compiled(module, "sum_of_squares", ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64))
    assert [call(n) for n in (1, 2, 10, 1000)] == [sum(i * i for i in range(n)) for n in (1, 2, 10, 1000)]


def test_lanes_of_a_vector() -> None:
    """Rotates 32 lanes by one, doubles the odd ones and adds a number to all."""
    module, shape = ir.Module(), ir.VectorType(I32, 32)
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [POINTER, I32]), "turn")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    value = b.load(function.args[0], typ=shape, align=4)
    turned = b.shuffle_vector(value, ir.Poison(shape), ir.Constant(shape, [(lane + 1) % 32 for lane in range(32)]))
    odd = b.icmp_unsigned("!=", b.and_(turned, ir.Splat(shape, I32(1))), ir.Constant(shape, None))
    turned = b.select(odd, b.shl(turned, ir.Splat(shape, I32(1))), turned)
    one = b.insert_element(ir.Poison(shape), function.args[1], I32(0))
    turned = b.add(turned, b.shuffle_vector(one, ir.Poison(shape), ir.Constant(shape, None)))
    b.store(turned, function.args[0], align=4)
    b.ret_void()
    call = compiled(module, "turn", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int32))
    data = np.arange(32, dtype=np.int32) * 7
    expected = np.roll(data, -1)
    expected = np.where(expected % 2 == 1, 2 * expected, expected) + 5
    call(data.ctypes.data, 5)
    assert data.tolist() == expected.tolist()


@given(st.lists(st.floats(width=32), min_size=4, max_size=4), st.lists(st.floats(), min_size=2, max_size=2))
def test_float_constants_are_exact(singles: list[float], doubles: list[float]) -> None:
    """LLVM's own reading of them, as bits."""
    for kind, bits, dtype, numbers in ((F32, I32, np.float32, singles), (F64, I64, np.float64, doubles)):
        lines = [f"@g{i} = global {bits} bitcast ({kind} {kind(n).ref} to {bits})" for i, n in enumerate(numbers)]
        found = re.findall(r"= global i\d+ (-?\d+)", str(llvm.parse_assembly("\n".join(lines))))
        expected = np.array(numbers, dtype)
        got = np.array([int(bits) for bits in found], f"i{expected.itemsize}").view(dtype)
        assert np.array_equal(got, expected, equal_nan=True)
        assert np.array_equal(np.signbit(got), np.signbit(expected))


def test_one_object_for_each_type() -> None:
    assert ir.IntType(32) is I32
    assert ir.FloatType() is F32
    assert ir.VectorType(I32, 4) is ir.VectorType(I32, 4)
    assert ir.VectorType(I32, 4) is not ir.VectorType(I32, 8)
    assert ir.LiteralStructType([I32, F32]) is ir.LiteralStructType((I32, F32))
    assert ir.VectorType(F64, 4).mangled == "v4f64"


def test_many_conditions_in_a_row() -> None:
    """Names of blocks stay short: LLVM refuses long ones."""

    def write(of, function, b):
        for _ in range(500):
            with b.if_then(b.icmp_signed("<", function.args[1], function.args[2])):
                b.store(function.args[1], function.args[0])
        return []

    assert read(built(ir, write))


def test_mistakes_are_found_where_they_are_made() -> None:
    module = ir.Module()
    callee = ir.Function(module, ir.FunctionType(I32, [I32]), "f")
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [I32, I64]), "g")
    b = ir.IRBuilder(function.append_basic_block("entry"))
    x, y = function.args
    for mistake in (
        lambda: b.add(x, y),
        lambda: b.icmp_signed("<", x, y),
        lambda: b.select(I1(1), x, y),
        lambda: b.call(callee, [y]),
        lambda: b.store(x, y),
        lambda: b.load(b.inttoptr(y, POINTER)),
        lambda: ir.Constant(ir.VectorType(I32, 2), [I64(1), I64(2)]),
        lambda: ir.VoidType()(3),
    ):
        with pytest.raises(TypeError, match=r"expected|no constants"):
            mistake()
    with pytest.raises(ValueError, match="expected 2 elements"):
        ir.Constant(ir.VectorType(I32, 2), [1])
    with pytest.raises(ValueError, match="already"):
        ir.Function(module, ir.FunctionType(I32, []), "f")
    b.ret_void()
    for late in (lambda: b.add(x, x), b.ret_void, lambda: ir.IRBuilder(b.block).neg(x)):
        with pytest.raises(ValueError, match="one that has ended"):
            late()


def test_the_engine_uses_no_other_builder() -> None:
    """A type of the one is unknown to the other."""
    other = re.compile(r"^\s*(from llvmlite import ir\b|from llvmlite\.ir\b|import llvmlite\.ir\b)", re.MULTILINE)
    sources = Path(ir.__file__).parents[3].rglob("*.py")
    assert [path.name for path in sources if other.search(path.read_text())] == []
