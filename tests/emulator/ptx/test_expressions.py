"""Constant expressions against ptxas, which works them out for itself: each is the initial value of a variable.

ptxas comes with Triton. What it puts into the cubin is an account of their meaning that is not ours.
"""

import random
import struct
import subprocess

import numpy as np
import pytest
import triton

from teachkit.emulator import load_ptx
from teachkit.emulator.ptx import parse
from teachkit.errors import PtxSyntaxError

HEADER = ".version 8.4\n.target sm_80\n.address_size 64\n"
BINARY = "+ - * / % << >> < > <= >= == != & ^ | && ||".split()
LITERALS = "0 1 2 3 7 31 010 0b101 3U 0U WARP_SZ 0x7fffffff 0xffffffff 4294967296 9223372036854775808".split()
LITERALS += ["0x7fffffffffffffff", "0xffffffffffffffff"]
FRACTIONS = "1.0 0.5 .25 3. 1e3 2.5e-3 0d3ff8000000000000".split()


def integers(rng, depth):
    """A random expression of integers."""
    kind = rng.random()
    if depth == 0 or kind < 0.15:
        return rng.choice(LITERALS)
    if kind < 0.3:
        return f"{rng.choice(['-', '+', '~', '!', '(.u64)', '(.s64)'])} {integers(rng, depth - 1)}"
    if kind < 0.4:
        return f"({integers(rng, depth - 1)} ? {integers(rng, depth - 1)} : {integers(rng, depth - 1)})"
    text = f"{integers(rng, depth - 1)} {rng.choice(BINARY)} {integers(rng, depth - 1)}"
    return f"({text})" if rng.random() < 0.5 else text


def fractions(rng, depth):
    """A random expression of decimal fractions."""
    if depth == 0 or rng.random() < 0.2:
        return rng.choice(FRACTIONS)
    text = f"{fractions(rng, depth - 1)} {rng.choice('+-*/')} {fractions(rng, depth - 1)}"
    return f"({text})" if rng.random() < 0.5 else text


def by_ptxas(kind, expressions, folder):
    """64 bits of each expression as ptxas has them, None where it refuses one."""
    path = triton.knobs.nvidia.ptxas.path
    source, cubin = folder / "k.ptx", folder / "k.cubin"
    names = range(len(expressions))
    uses = "".join(f"mov.u64 %rd1, v{i}; ld.global.b64 %rd2, [%rd1]; st.global.b64 [%rd1], %rd2;\n" for i in names)
    declared = "".join(f".global .align 8 .{kind} v{i} = {text};\n" for i, text in enumerate(expressions))
    source.write_text(f"{HEADER}{declared}.visible .entry k() {{ .reg .b64 %rd<3>;\n{uses}ret; }}\n")
    done = subprocess.run([path, "-arch=sm_80", source, "-o", cubin], capture_output=True, text=True, check=False)
    if done.returncode:
        if len(expressions) == 1:
            return [None]
        middle = len(expressions) // 2
        return by_ptxas(kind, expressions[:middle], folder) + by_ptxas(kind, expressions[middle:], folder)
    return _initial_values(cubin.read_bytes(), len(expressions))


def _initial_values(elf, n):
    """Of the variables v0, v1, ... in a cubin: section headers, symbols and data as the ELF format has them."""
    start = struct.unpack_from("<Q", elf, 0x28)[0]
    size, count, strings = struct.unpack_from("<HHH", elf, 0x3A)
    sections = [struct.unpack_from("<IIQQQQIIQQ", elf, start + i * size) for i in range(count)]

    def text(at):
        return elf[at : elf.index(b"\0", at)].decode()

    names = [text(sections[strings][4] + section[0]) for section in sections]
    (symbols,) = [section for section in sections if section[1] == 2]
    values = [0] * n  # zeros have a section without data
    for at in range(symbols[4], symbols[4] + symbols[5], 24):
        name, _, _, where, value, _ = struct.unpack_from("<IBBHQQ", elf, at)
        name = text(sections[symbols[6]][4] + name)
        if where < count and names[where] == ".nv.global.init" and name[:1] == "v" and name[1:].isdigit():
            (values[int(name[1:])],) = struct.unpack_from("<Q", elf, sections[where][4] + value)
    return values


def ours(kind, expression):
    try:
        module = parse(f"{HEADER}.global .align 8 .{kind} v = {expression};\n")
    except PtxSyntaxError:
        return None
    return int.from_bytes(module.variables["v"].initial, "little")


@pytest.mark.parametrize(("kind", "write"), [("u64", integers), ("f64", fractions)])
def test_random_expressions_have_the_values_that_ptxas_gives_them(kind, write, tmp_path):
    rng = random.Random(4711)
    expressions = [write(rng, 1 + i % 4) for i in range(300)]
    theirs = by_ptxas(kind, expressions, tmp_path)
    assert sum(value is not None for value in theirs) > 200
    wrong = [
        (text, expected, found)
        for text, expected in zip(expressions, theirs, strict=True)
        if (found := ours(kind, text)) != expected
    ]
    assert not wrong, wrong[:5]


@pytest.mark.parametrize(
    "text",
    ["1 / 0", "5 % (3 - 3)", "1 + 2.5", "1.5 & 1.0", "!1.5", "(.u64) 2.5", "1 ? 1.5 : 2.5", "(1", "2.0 * 0f3f800000"],
)
def test_what_ptxas_refuses_is_refused(text, tmp_path):
    assert by_ptxas("u64", [text], tmp_path) == [None]
    with pytest.raises(PtxSyntaxError):
        parse(f"{HEADER}.global .align 8 .u64 v = {text};\n")


def test_where_expressions_may_stand():
    text = (
        HEADER
        + """.global .align 4 .b32 table[4] = {(1 << 3) + 2, ~0, WARP_SZ * 2, 7};
.visible .entry k(.param .u64 p) {
.reg .b32 %r<9>; .reg .b64 %rd<9>; .reg .f32 %f<3>;
.shared .align 4 .b8 s[64];
ld.param.u64 %rd1, [p];
mov.u32 %r1, (1 << 3) + 2;
st.global.u32 [%rd1], %r1;
add.u32 %r2, %r1, WARP_SZ - 1;
st.global.u32 [%rd1 + (1 << 2)], %r2;
mov.f32 %f1, 1.5 * -2.0;
st.global.f32 [%rd1+4+4], %f1;
ld.global.u32 %r3, [table + (1 + 1) * 4];
st.global.u32 [%rd1 + 3*4], %r3;
st.shared.u32 [s + 2*4], 99;
ld.shared.u32 %r4, [s+4+4];
st.global.u32 [%rd1+16], %r4;
ret;
}
"""
    )
    out = np.zeros(5, np.int32)
    load_ptx(text)["k"].launch(1, 1, [out])
    assert [*out[:2], out[2:3].view(np.float32)[0], *out[3:]] == [10, 41, -3.0, 64, 99]
