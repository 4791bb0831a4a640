"""What ptxas makes of instructions on constants, it works out itself: an account of their meaning that is not ours.

Each case is an instruction whose result is stored. Where ptxas put a number into the machine code, the emulator must
have stored that number. ptxas and nvdisasm come with Triton.
"""

import itertools
import random
import re
import subprocess

import numpy as np
import pytest

from teachkit.emulator import load_ptx

WORDS = [0, 1, 2, 5, 31, 32, 33, 255, 0x7FFF, 0x8000, 0xFFFF, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]
WORDS += [0x12345678, 0xDEADBEEF, 0x00FF00FF]
COUNTS = [0, 1, 3, 8, 16, 31, 32, 33, 63, 255]  # lengths and positions, which ptxas wants below 256
FLOATS = [0, 0x80000000, 0x3F800000, 0xBF800000, 0x7F800000, 0xFF800000, 1, 0x80000001, 0x007FFFFF, 0x00800000]
FLOATS += [0x7F7FFFFF, 0x3EFFFFFF, 0x3F000000, 0xBF000000, 0x40200000, 0xC0200000, 0x4EFFFFFF, 0x4F000000, 0xCF000001]
NAN = 0x7FFFFFFF
N_CASES = 30

INTEGER = {
    1: "abs.s32 neg.s32 clz.b32 popc.b32 brev.b32 not.b32 cnot.b32",
    2: "add.u32 sub.s32 add.sat.s32 mul.lo.s32 mul.hi.s32 mul.hi.u32 mul24.lo.s32 mul24.hi.s32 mul24.hi.u32 min.s32"
    " max.u32 shl.b32 shr.u32 shr.s32 szext.clamp.s32 szext.wrap.u32 set.lt.u32.s32 set.hs.u32.u32",
    3: "mad.lo.s32 mad24.lo.u32 mad24.hi.sat.s32 shf.l.wrap.b32 shf.l.clamp.b32 shf.r.wrap.b32 shf.r.clamp.b32",
}
CARRIES = [
    "add.cc.u32 %r2, {}, {}; addc.u32 %r1, {}, 0;",
    "sub.cc.u32 %r2, {}, {}; subc.u32 %r1, {}, 0;",
    "sub.cc.u32 %r2, {}, {}; addc.u32 %r1, {}, 0;",
    "add.cc.u32 %r2, {}, {}; subc.cc.u32 %r3, {}, 7; addc.u32 %r1, 0, 0;",
    "sub.cc.s32 %r2, {}, {}; subc.cc.s32 %r3, {}, 7; subc.u32 %r1, 5, 0;",
]
FLOAT = {
    "%f1": "add.f32/2 mul.f32/2 add.sat.f32/2"
    " min.f32/2 max.ftz.f32/2 cvt.rni.f32.f32/1 cvt.rmi.f32.f32/1 cvt.sat.f32.f32/1 abs.f32/1 neg.f32/1",
    "%r1": "cvt.rni.s32.f32/1 cvt.rzi.u32.f32/1 cvt.rmi.s32.f32/1 cvt.rpi.ftz.u32.f32/1",
    "%p1": "setp.lt.f32/2 setp.ltu.f32/2 setp.ne.f32/2 setp.neu.f32/2 setp.num.f32/2 testp.normal.f32/1"
    " testp.subnormal.f32/1 testp.finite.f32/1",
}
STORED = {"%f1": "mov.b32 %r1, %f1;", "%r1": "", "%p1": "selp.b32 %r1, 1, 0, %p1;"}


def cases():
    """Names and statements that leave their result in %r1."""
    for n, names in INTEGER.items():
        for name in names.split():
            yield name, [f"{name} %r1, {', '.join(map(str, row))};" for row in rows([WORDS] * n)]
    for name in ("bfe.u32", "bfe.s32", "bfi.b32"):
        whole = [WORDS] * (1 if name.startswith("bfe") else 2)
        yield name, [f"{name} %r1, {', '.join(map(str, row))};" for row in rows([*whole, COUNTS, COUNTS])]
    for text in CARRIES:
        yield text, [text.format(*row) for row in rows([WORDS] * 3)]
    for result, names in FLOAT.items():
        # Which NaN comes out of arithmetic is nobody's promise.
        values = FLOATS if result == "%f1" else [*FLOATS, NAN]
        for name, n in (each.split("/") for each in names.split()):
            operands = [", ".join(f"0f{word:08X}" for word in row) for row in rows([values] * int(n))]
            yield name, [f"{name} {result}, {each}; {STORED[result]}" for each in operands]


def rows(values):
    every = list(itertools.product(*values))
    return random.Random(len(every)).sample(every, min(N_CASES, len(every)))


def kernel(statements):
    body = "\n".join(f"{each} st.global.b32 [%rd1+{4 * i}], %r1;" for i, each in enumerate(statements))
    return f""".version 8.0\n.target sm_80\n.address_size 64
    .visible .entry k(.param .u64 out) {{ .reg .b32 %r<4>; .reg .f32 %f<2>; .reg .b64 %rd<2>; .reg .pred %p<2>;
    ld.param.u64 %rd1, [out];\n{body}\nret; }}"""


def folded(text, folder):
    """The numbers among what the machine code stores, by place."""
    from triton import knobs

    source, binary = folder / "k.ptx", folder / "k.cubin"
    source.write_text(text)
    subprocess.run([knobs.nvidia.ptxas.path, "-arch=sm_80", "-O3", source, "-o", binary], check=True)
    disassembler = [knobs.nvidia.nvdisasm.path, "-c", binary]
    listing = subprocess.run(disassembler, check=True, capture_output=True, text=True).stdout
    known, stored = {"RZ": 0}, {}
    for line in re.findall(r"/\*0[0-9a-f]+\*/\s+(.*?) ;", listing):
        if match := re.fullmatch(r"STG\.E \[R\d+\.64(?:\+(0x[0-9a-f]+))?\], (R\w+)", line):
            stored[int(match[1] or "0", 16) // 4] = known.get(match[2])
        elif match := re.fullmatch(r"(?:MOV|IMAD\.MOV\.U32) (R\d+),(?: RZ, RZ,)? (-?0x[0-9a-f]+)", line):
            known[match[1]] = int(match[2], 16) % 2**32
        elif match := re.fullmatch(r"HFMA2\.MMA (R\d+), -RZ, RZ, (\S+), (\S+)", line):
            halves = [match[i].replace("QNAN", "nan").replace("SNAN", "nan") for i in (2, 3)]
            low, high = (int(np.float16(float(half)).view(np.uint16)) for half in (halves[1], halves[0]))
            known[match[1]] = None if "nan" in "".join(halves) else low | high << 16
        elif match := re.match(r"(?:@!?U?P\d+ )?\S+ (?:P\d, )?R(\d+)", line):
            number = int(match[1])
            known.update({f"R{number + i}": None for i in range(2 if ".64" in line or line.startswith("CS2R") else 1)})
            if re.match(r"CS2R R\d+, SRZ", line):
                known |= {f"R{number}": 0, f"R{number + 1}": 0}
    return {place: number for place, number in stored.items() if number is not None}


CASES = dict(cases())


BATCHES = [list(CASES)[i : i + 5] for i in range(0, len(CASES), 5)]


@pytest.mark.parametrize("names", BATCHES, ids=[names[0].split()[0] for names in BATCHES])
def test_the_emulator_agrees(names, tmp_path):
    statements = [statement for name in names for statement in CASES[name]]
    text = kernel(statements)
    expected = folded(text, tmp_path)
    assert len(expected) > len(statements) // 4
    out = np.zeros(len(statements), np.uint32)
    load_ptx(text)["k"][1, 1](out)
    wrong = [f"{statements[i]} ptxas {n:#x}, emulator {out[i]:#x}" for i, n in expected.items() if out[i] != n]
    assert not wrong, "; ".join(wrong[:5])
