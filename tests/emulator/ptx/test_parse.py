"""What the parser makes of each piece of syntax, and of what compilers write."""

import pathlib
import struct
import time

import numpy as np
import pytest

from teachkit.emulator.ptx import parse, print_module
from teachkit.emulator.ptx.model import (
    Address,
    Group,
    Guard,
    Immediate,
    Instruction,
    Label,
    Negated,
    Part,
    PredicatePair,
    Register,
    SourceLine,
    Symbol,
)
from teachkit.errors import PtxSyntaxError

GOLDEN = pathlib.Path(__file__).parent / "golden"
HEADER = ".version 8.7\n.target sm_80\n.address_size 64\n"


def body_of(statements, declarations=".reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<9>; .reg .f32 %f<9>;"):
    """The body of a kernel of these statements."""
    return parse(f"{HEADER}.entry k()\n{{\n{declarations}\n{statements}\n}}").functions["k"].body


def one(statement):
    """The only instruction of a kernel with this statement."""
    (instruction,) = body_of(statement)
    return instruction


R1, R2, RD1, P1, P2 = (Register(name) for name in ("%r1", "%r2", "%rd1", "%p1", "%p2"))


@pytest.mark.parametrize(
    ("text", "operands"),
    [
        ("add.s32 %r1, %r2, -8388608;", (R1, R2, Immediate(-8388608))),
        ("mov.b16 %r1, 0x3340U;", (R1, Immediate(0x3340))),
        ("mov.b32 %r1, 0b101;", (R1, Immediate(5))),
        ("mov.b32 %r1, 017;", (R1, Immediate(15))),
        ("mov.b32 %r1, 0;", (R1, Immediate(0))),
        ("mov.f32 %f1, 0f3FB8AA3B;", (Register("%f1"), Immediate(0x3FB8AA3B, "f32"))),
        ("mov.f64 %rd1, 0d3FF0000000000000;", (RD1, Immediate(0x3FF0000000000000, "f64"))),
        ("mov.f32 %f1, 0.5;", (Register("%f1"), Immediate(0x3F000000, "f32"))),
        ("mov.f64 %rd1, 1e0;", (RD1, Immediate(0x3FF0000000000000, "f64"))),
        ("mov.u32 %r1, %tid.x;", (R1, Register("%tid.x"))),
        ("mov.u32 %r1, WARP_SZ;", (R1, Immediate(32))),
        ("mov.u64 %rd1, table+8;", (RD1, Address(Symbol("table"), 8))),
        (
            "vmad.s32.s32.s32 %r1, -%r2, %r2.b3, -%r1.h0;",
            (R1, Part(R2, "", True), Part(R2, "b3"), Part(R1, "h0", True)),
        ),
        ("vadd2.s32.s32.s32 %r1.h1, %r2.h32, %r2, %tid.x;", (Part(R1, "h1"), Part(R2, "h32"), R2, Register("%tid.x"))),
        ("mov.b64 %rd1, {%r1, %r2};", (RD1, Group((R1, R2)))),
        ("ld.global.b32 { %r1 }, [ %rd1 + 0 ];", (Group((R1,)), Address(RD1, 0))),
        ("ld.global.v2.b32 {%r1, _}, [%rd1+-8];", (Group((R1, Register("_"))), Address(RD1, -8))),
        ("ld.global.b32 %r1, [4096];", (R1, Address(Immediate(4096)))),
        ("ld.shared.b32 %r1, [tile+12];", (R1, Address(Symbol("tile"), 12))),
        ("setp.lt.s32 %p1|%p2, %r1, 3;", (PredicatePair(P1, P2), R1, Immediate(3))),
        ("shfl.sync.up.b32 _|%p1, %r1, 1, 0, -1;", None),
        ("and.pred %p1, !%p1, %p2;", (P1, Negated(P1), P2)),
        ("call f;", (Symbol("f"),)),
        ("call.uni (r), f, (a, b);", (Group((Symbol("r"),), "("), Symbol("f"), Group((Symbol("a"), Symbol("b")), "("))),
        (
            "cp.async.bulk.tensor.2d.shared::cluster.global [%r1], [%rd1, {%r1, %r2}], [%r2];",
            (Address(R1), Group((Address(RD1), Group((R1, R2))), "["), Address(R2)),
        ),
    ],
)
def test_operands(text, operands):
    instruction = one(text)
    assert instruction.opcode == text.split(" ", 1)[0]
    assert operands is None or instruction.operands == operands


def test_no_operands_and_guards():
    assert one("ret;") == Instruction("ret")
    assert one("@%p1 add.s32 %r1, %r1, %r2;").guard == Guard(P1)
    assert one("@!%p1 trap;").guard == Guard(P1, negated=True)
    assert one("shfl.sync.up.b32 _|%p1, %r1, 1, 0, -1;").operands[0] == PredicatePair(Register("_"), P1)


def test_register_ranges():
    function = parse(HEADER + ".entry k() { .reg .pred %p<3>; .reg .b64 %SP, x; }").functions["k"]
    assert function.registers == {"%p0": "pred", "%p1": "pred", "%p2": "pred", "%SP": "b64", "x": "b64"}


def test_a_name_without_percent_is_a_register_once_declared():
    assert body_of("mov.u32 t, 1; mov.u32 %r1, u;", ".reg .u32 t, %r1;") == (
        Instruction("mov.u32", (Register("t"), Immediate(1))),
        Instruction("mov.u32", (R1, Symbol("u"))),
    )


def test_nested_scopes_have_their_own_names():
    body = body_of(
        "mov.b32 %r1, 1; { .reg .b32 %r1; mov.b32 %r1, 2; { .reg .b32 %r1; mov.b32 %r1, 3; } mov.b32 %r1, 4; }"
        "mov.b32 %r1, 5;"
    )
    names = [instruction.operands[0].name for instruction in body]
    assert names == ["%r1", names[1], names[2], names[1], "%r1"]
    assert len(set(names)) == 3


def test_labels_of_nested_scopes_are_unique_forward_and_backward():
    body = body_of("{ bra L; L: bra L; } { bra L; L: bra L; } bra L; L: bra L;")
    labels = [item.name for item in body if isinstance(item, Label)]
    targets = [item.operands[0].name for item in body if isinstance(item, Instruction)]
    assert len(set(labels)) == 3
    assert targets == [label for label in labels for _ in range(2)]
    assert labels[2] == "L"


def test_labels_that_nothing_refers_to_are_dropped():
    assert body_of("$L__tmp0: ret;") == (Instruction("ret"),)


def test_branch_targets_call_targets_and_prototypes():
    module = parse(
        HEADER + ".entry k() { .reg .b32 %r<3>; .reg .b64 %rd<2>; .param .b32 a;\n"
        "ts: .branchtargets A, B;\n fs: .calltargets f, g;\n"
        "p0 : .callprototype (.param .b32 _) _ (.param .b64 _) .noreturn;\n"
        "A: brx.idx %r1, ts; B: call (a), %rd1, (a), p0; }"
    )
    function = module.functions["k"]
    assert function.branch_targets == {"ts": ("A", "B")}
    assert function.call_targets == {"fs": ("f", "g")}
    assert [variable.type for variable in function.prototypes["p0"].params] == ["b64"]
    assert [type(item) for item in function.body] == [Label, Instruction, Label, Instruction]


def test_locations_with_both_spellings_of_inlining():
    text = (
        HEADER + ".entry k() {\n.loc 1 7 1\n.loc 2 9 4, function_name $L__info+12, inlined_at 1 7 1\nret;\n"
        ".loc 2 26 15 // b.py:26:15 @[ b.py:29:36 @[ a.py:13:32 ] ]\nret;\n.loc 1 3 2\nret;\n}\n"
        '.file 1 "/x//a.py"\n.file 2 "/y/b.py"\n'
    )
    sources = [instruction.source for instruction in parse(text).functions["k"].body]
    assert sources == [
        SourceLine("/y/b.py", 9, 4, SourceLine("/x//a.py", 7, 1)),
        SourceLine("/y/b.py", 26, 15, SourceLine("/y/b.py", 29, 36, SourceLine("/x//a.py", 13, 32))),
        SourceLine("/x//a.py", 3, 2),
    ]


def test_ptx_lines_count_from_one_through_comments():
    body = body_of("/* two\nlines */ ret; // x ; y\nret;")
    assert [instruction.ptx_line for instruction in body] == [8, 9]


def test_initialised_variables():
    variables = parse(
        HEADER
        + ".global .f32 f[3] = {0f3F800000, -0.5}; .const .u16 h = -1; .global .u64 p[2] = {generic(f)+4, k};"
        + ".extern .shared .align 16 .b8 s[]; .global .b8 grid[2][3] = {{1, 2, 3}, {4}};"
        + ".global .align 1 .b8 q[10] = {7, "
        + ", ".join(f"{0xFF << 8 * i:#x}(f)" for i in range(8))
        + "}; .shared .v4 .f32 v;"
    ).variables
    assert variables["f"].initial == struct.pack("<3f", 1, -0.5, 0)
    assert variables["f"].align == 4
    assert (variables["h"].initial, variables["h"].n_bytes) == (b"\xff\xff", 2)
    assert variables["p"].relocations == ((0, "f"), (8, "k"))
    assert variables["p"].initial == struct.pack("<2q", 4, 0)
    assert (variables["s"].n_bytes, variables["s"].is_extern, variables["s"].align) == (0, True, 16)
    assert (variables["grid"].n_bytes, variables["grid"].initial) == (6, bytes([1, 2, 3, 4, 0, 0]))
    assert variables["q"].relocations == ((1, "f"),)
    assert (variables["v"].type, variables["v"].n_bytes, variables["v"].align) == ("v4.f32", 16, 16)


def test_parameters_and_directives():
    module = parse(
        HEADER + ".visible .entry k(.param .u64 .ptr .shared .align 1 a, .param .align 8 .b8 b[16])\n"
        ".maxntid 256, 1, 1 .minnctapersm 2 .noreturn { }"
    )
    function = module.functions["k"]
    pointer, structure = function.params
    assert (pointer.is_pointer, pointer.align, pointer.space, pointer.n_bytes) == (True, 8, "param", 8)
    assert (structure.is_pointer, structure.align, structure.n_bytes) == (False, 8, 16)
    assert function.directives == {"maxntid": (256, 1, 1), "minnctapersm": (2,), "noreturn": ()}


@pytest.mark.parametrize(
    ("literal", "value"),
    [
        ("-1.5", -1.5),
        ("- 1.5", -1.5),
        ("--1.5", 1.5),
        ("-+1.5", -1.5),
        ("+.5", 0.5),
        (".5e-1", 0.05),
        ("5.", 5.0),
        ("1.e3", 1000.0),
        ("-1.5E+3", -1500.0),
        ("1e3", 1000.0),
        ("-0.0", -0.0),
        ("0.1", 0.1),
        # Halfway between two single-precision numbers but for digits that double precision drops: even is nearest.
        ("1.00000017881393432617187499", 1.000000178813934326171875),
        ("1e-50", 1e-50),
    ],
)
def test_decimal_fractions(literal, value):
    """The values that ptxas 12.8 puts into the machine code: decimal digits mean double precision, then rounded."""
    single, double = np.float32(value).view(np.uint32), np.float64(value).view(np.uint64)
    assert one(f"mov.f32 %f1, {literal};").operands[1] == Immediate(int(single), "f32")
    assert one(f"mov.f64 %rd1, {literal};").operands[1] == Immediate(int(double), "f64")
    stored = one(f"st.global.v2.f32 [%rd1], {{{literal}, %f1}};").operands[1]
    assert stored == Group((Immediate(int(single), "f32"), Register("%f1")))
    text = HEADER + "".join(
        f".global .{kind} {kind}[2] = {{{literal}, 2.5}};\n" for kind in ("f32", "f64", "b32", "b64")
    )
    module = parse(text)
    for kind, expected in {"f32": single, "b32": single, "f64": double, "b64": double}.items():
        second = np.float32(2.5) if expected is single else np.float64(2.5)
        assert module.variables[kind].initial == expected.tobytes() + second.tobytes()
    assert parse(print_module(module)) == module


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_decimal_fraction_too_large_for_single_precision_is_infinite(sign):
    bits = int(np.float32(f"{sign}inf").view(np.uint32))
    assert one(f"mov.f32 %f1, {sign}1e40;").operands[1] == Immediate(bits, "f32")
    (variable,) = parse(f"{HEADER}.global .f32 x = {sign}1e40;").variables.values()
    assert variable.initial == bits.to_bytes(4, "little")


def test_a_double_initialises_a_single():
    (variable,) = parse(HEADER + ".global .f32 x = 0d3FF8000000000000;").variables.values()
    assert variable.initial == struct.pack("<f", 1.5)


@pytest.mark.parametrize(
    ("text", "line", "expected"),
    [
        ("", 1, ".version"),
        (".version 8.0\n.target sm_80\nnonsense", 3, "outside functions"),
        (HEADER + ".entry k() {\nadd.s32 %r1 %r2;\n}", 5, "','"),
        (HEADER + ".entry k() {\nadd.s32 %r1, ;\n}", 5, "an operand"),
        (HEADER + ".entry k() {\nld.b32 %r1, [%rd1;\n}", 5, "','"),
        (HEADER + ".entry k() {\nret;\n", 5, "an instruction"),
        (HEADER + ".entry k() {\n.reg .b31 %r1;\n}", 5, "a register type"),
        (HEADER + ".entry k() {\n.loc 1 x 3\n}", 5, "an integer"),
        (HEADER + ".global .b32 x = {;\n", 4, "a symbol"),
        (HEADER + ".global .f32 x = 1;\n", 4, "a floating-point number"),
        (HEADER + ".global .u32 x = 1.5;\n", 4, "an integer"),
        (HEADER + ".global .f32 x = -0f3f800000;\n", 4, "decimal digits"),
        (HEADER + ".entry k() {\nmov.f32 %f1, -0f3f800000;\n}", 5, "decimal digits"),
        (HEADER + ".entry k() {\nmov.f32 %f1, 1.5f;\n}", 5, "','"),
    ],
)
def test_syntax_errors_say_where_and_what(text, line, expected):
    with pytest.raises(PtxSyntaxError) as caught:
        parse(text)
    assert (caught.value.line, expected in caught.value.expected) == (line, True), caught.value


def test_traps_file_flattens_to_the_golden_text():
    module = parse((GOLDEN / "traps.ptx").read_text() + "\0")
    text = print_module(module)
    assert text == (GOLDEN / "traps.flat.ptx").read_text()
    assert parse(text) == module


def check_real(text):
    module = parse(text)
    assert any(function.is_entry and function.body for function in module.functions.values())
    printed = print_module(module)
    assert parse(printed) == module
    assert print_module(parse(printed)) == printed


def test_triton_output(samples, triton_sample):
    check_real(samples.triton_ptx(triton_sample))


@pytest.mark.parametrize("arch", [90, 100])
@pytest.mark.parametrize("kernel", ["matmul", "attention", "softmax"])
def test_triton_output_of_newer_targets(samples, kernel, arch):
    for sample in samples.TRITON:
        if sample.kernel == kernel:
            check_real(samples.triton_ptx(sample, arch))


@pytest.mark.parametrize("options", [(), ("-lineinfo",), ("-G",)], ids=str)
def test_nvrtc_output(samples, options):
    text = samples.cuda_ptx("language", options=options)
    assert text.endswith("\0")
    check_real(text)


def test_numba_output(samples):
    for name in samples.sources("numba_kernels").SIGNATURES:
        check_real(samples.numba_ptx(name))


def test_triton_lines_are_known(samples):
    sample = next(sample for sample in samples.TRITON if sample.kernel == "softmax")
    module = parse(samples.triton_ptx(sample))
    (function,) = module.functions.values()
    assert all(item.source is not None for item in function.body if isinstance(item, Instruction))
    inlined = {item.source for item in function.body if isinstance(item, Instruction) and item.source.inlined_at}
    assert inlined
    for source in inlined:
        while source.inlined_at is not None:
            source = source.inlined_at
        assert source.file.endswith("triton_kernels.py")


def test_two_thousand_instructions_parse_quickly():
    # 22 ms of processor time on a slow shared core. A parser whose work grows with the square of the text takes
    # seconds; a machine that is busy with other tests takes a few times longer.
    text = HEADER + ".entry k() { .reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .pred %p<9>;\n"
    text += "@%p1 ld.global.v2.b32 {%r1, %r2}, [%rd1+16];\n\tadd.s32 %r1, %r2, 0x10;\n" * 1000 + "}"
    seconds = []
    for _ in range(5):
        start = time.process_time()
        parse(text)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.4
