"""Whole-matrix instructions on engine, oracle and NumPy: every shape, type and layout that ``nvcuda::wmma`` has."""

import itertools

import numpy as np
import pytest

LARGE = ("m16n16k16", "m8n32k16", "m32n8k16")
# (shape, type of A and B, type of C, type of D, registers of A, B, C, D)
COUNTS = {"m16n16k16": (4, 4), "m8n32k16": (2, 8), "m32n8k16": (8, 2)}
CASES = [
    *((shape, "f16", c, d, 8, 8) for shape in LARGE for c in ("f16", "f32") for d in ("f16", "f32")),
    *((shape, "bf16", "f32", "f32", *COUNTS[shape]) for shape in LARGE),
    *((shape, kind, "s32", "s32", *(n // 2 for n in COUNTS[shape])) for shape in LARGE for kind in ("s8", "u8")),
    ("m16n16k8", "tf32", "f32", "f32", 4, 4),
    ("m8n8k4", "f64", "f64", "f64", 1, 1),
    *(("m8n8k32", kind, "s32", "s32", 1, 1) for kind in ("s4", "u4")),
    ("m8n8k128", "b1", "s32", "s32", 1, 1),
]
N_RESULTS = {"f16": 4, "f32": 8, "s32": 8, "f64": 2}


def sizes(shape):
    return tuple(int(x) for x in shape[1:].replace("n", " ").replace("k", " ").split())


def numbers(kind, rows, cols, random):
    """A matrix of small whole numbers, whose products are exact in any order."""
    if kind == "b1":
        return random.integers(0, 2, (rows, cols))
    if kind in ("u8", "u4"):
        return random.integers(0, 256 if kind == "u8" else 16, (rows, cols))
    if kind in ("s8", "s4"):
        return random.integers(-128 if kind == "s8" else -8, 128 if kind == "s8" else 8, (rows, cols))
    return random.integers(-8, 9, (rows, cols))


def in_memory(both, matrix, kind, layout, ahead):
    """Bytes of the matrix, rows or columns ``ahead`` elements apart."""
    lines = matrix if layout == "row" else matrix.T
    padded = np.zeros((lines.shape[0], ahead), np.float64)
    padded[:, : lines.shape[1]] = lines
    if kind == "bf16":
        octets = (padded.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    elif kind == "b1":
        octets = np.packbits(padded.astype(np.uint8), axis=1, bitorder="little")
    elif kind in ("s4", "u4"):
        digits = padded.astype(np.int64) & 15
        octets = (digits[:, ::2] | digits[:, 1::2] << 4).astype(np.uint8)
    else:
        dtype = {"f16": "f2", "f32": "f4", "tf32": "f4", "f64": "f8", "s32": "i4", "s8": "i1", "u8": "u1"}[kind]
        octets = padded.astype(dtype)
    held = both.array(octets.nbytes // 4)
    held[:] = np.ascontiguousarray(octets).reshape(-1).view(np.uint32)
    return held


def registers(name, n, bits):
    return "{" + ", ".join(f"%{name}{i}" for i in range(n)) + "}", f".reg .b{bits} %{name}<{n}>;"


def program(both, case, layouts, strides, space=".global", product=""):
    shape, kind, c, d, n_a, n_b = case
    n_c, n_d = ((2 if shape.startswith("m8n8k") else N_RESULTS[t]) for t in (c, d))
    wide = 64 if kind == "f64" else 32
    groups, declared = zip(
        *(registers(f"w{name}", n, wide) for name, n in zip("abcd", (n_a, n_b, n_c, n_d), strict=True)), strict=True
    )
    a_layout, b_layout, c_layout = layouts
    loads = "".join(
        f"wmma.load.{name}.sync.aligned.{layout}.{shape}{space}.{t} {group}, [%rd{10 + i}], {stride};\n"
        for i, (name, layout, t, group, stride) in enumerate(
            zip("abc", layouts, (kind, kind, c), groups, strides, strict=False)
        )
    )
    types = f"{d}.{c}" if kind == "f16" else f"{d}.{kind}.{kind}.{c}"
    operands = ", ".join((groups[3], *groups[:3]))
    body = f"""{loads}
    wmma.mma{product}.sync.aligned.{a_layout}.{b_layout}.{shape}.{types} {operands};
    wmma.store.d.sync.aligned.{c_layout}.{shape}{space}.{d} [%rd0], {groups[3]}, {strides[3]};"""
    return both.kernel(body, variables="".join(declared), pointers=("a", "b", "c"))


def layouts_of(case):
    if case[1] in ("s4", "u4", "b1"):
        return [("row", "col", "row"), ("row", "col", "col")]
    if case[0] not in ("m16n16k16", "m8n8k4"):
        return [("row", "col", "row"), ("col", "row", "col")]
    return list(itertools.product(("row", "col"), repeat=3))


@pytest.mark.parametrize("case", CASES, ids=lambda case: "-".join(map(str, case[:4])))
def test_product(both, case):
    shape, kind, c_type, d_type, *_ = case
    m, n, k = sizes(shape)
    random = np.random.default_rng(m + n)
    operation = ".xor.popc" if kind == "b1" else ""
    for number, layouts in enumerate(layouts_of(case)):
        a, b, c = (numbers(t, *s, random) for t, s in ((kind, (m, k)), (kind, (k, n)), (c_type, (m, n))))
        expected = (a[:, :, None] != b[None]).sum(1) + c if kind == "b1" else a @ b + c
        pad = 0 if kind == "b1" else 32 if number % 2 else 0
        lines = [
            k if layouts[0] == "row" else m, n if layouts[1] == "row" else k, *[n if layouts[2] == "row" else m] * 2
        ]  # fmt: skip
        strides = [line + pad for line in lines]
        space = ("", ".global")[number % 2]
        arrays = [
            in_memory(both, matrix, t, layout, stride)
            for matrix, t, layout, stride in zip((a, b, c), (kind, kind, c_type), layouts, strides, strict=False)
        ]
        out = in_memory(both, np.zeros((m, n)), d_type, layouts[2], strides[3])
        run = both.run_both(program(both, case, layouts, strides, space, operation), "k", 1, 32, [out, *arrays])
        run.check_memory()
        run.check_counters()
        assert run.launch.counters.flop_tensor == 2 * m * n * k
        dtype = {"f16": "f2", "f32": "f4", "f64": "f8", "s32": "i4"}[d_type]
        got = out.view(dtype).reshape(-1, strides[3])[:, : lines[3]]
        np.testing.assert_array_equal(got if layouts[2] == "row" else got.T, expected.astype(dtype))


def test_ones_in_common(both):
    case = ("m8n8k128", "b1", "s32", "s32", 1, 1)
    random = np.random.default_rng(1)
    a, b, c = numbers("b1", 8, 128, random), numbers("b1", 128, 8, random), numbers("s32", 8, 8, random)
    arrays = [
        in_memory(both, matrix, kind, layout, stride)
        for matrix, kind, layout, stride in ((a, "b1", "row", 128), (b, "b1", "col", 128), (c, "s32", "row", 8))
    ]
    out = both.array(64)
    text = program(both, case, ("row", "col", "row"), (128, 128, 8, 8), product=".and.popc")
    run = both.run_both(text, "k", 1, 32, [out, *arrays])
    run.check_memory()
    np.testing.assert_array_equal(out.view(np.int32).reshape(8, 8), a @ b + c)


def test_whole_numbers_wrap_or_stop_at_the_limit(both):
    case = ("m16n16k16", "u8", "s32", "s32", 2, 2)
    arrays = [both.array(64), both.array(64), both.array(256)]
    arrays[0][:], arrays[1][:], arrays[2][:] = 0x02020202, 0x01010101, 2**31 - 5
    for suffix, expected in (("", -(2**31) + 27), (".satfinite", 2**31 - 1)):
        text = program(both, case, ("row", "col", "row"), (16, 16, 16, 16))
        text = text.replace(".s32.u8.u8.s32 ", f".s32.u8.u8.s32{suffix} ")
        out = both.array(256)
        run = both.run_both(text, "k", 1, 32, [out, *arrays])
        run.check_memory()
        assert (out.view(np.int32) == expected).all()


def test_through_shared_memory_with_what_each_tile_costs(both):
    """A by rows is an access of 4 bytes a lane and tile; by columns one of 2 bytes for each of a lane's 2 elements."""
    out = both.array(256)
    for layout, n_requests in (("row", 4), ("col", 8)):
        body = f"""
        cvt.u16.u32 %h1, %r1; mov.u64 %rd2, s; mul.lo.u32 %r4, %r1, 16; cvt.u64.u32 %rd3, %r4; add.u64 %rd2, %rd2, %rd3;
        st.shared.v4.u32 [%rd2], {{%r1, %r4, %r1, %r4}}; bar.sync 0; mov.u64 %rd2, s;
        wmma.load.a.sync.aligned.{layout}.m16n16k16.shared.f16
            {{%r10, %r11, %r12, %r13, %r14, %r15, %r16, %r17}}, [%rd2], 16;
        st.global.u32 [%rd1], %r10; st.global.u32 [%rd1+128], %r13; st.global.u32 [%rd1+256], %r17;"""
        text = both.kernel(body, variables=".shared .align 32 .b8 s[512];")
        run = both.run_both(text, "k", 1, 32, [out])
        run.check_memory()
        run.check_counters()
        assert run.launch.counters.shared_load_wavefronts >= n_requests
        assert (out[32:64] == out[64:96]).all()  # an f16 fragment has its four tiles twice


@pytest.mark.parametrize(
    "form", ["wmma.load.a.sync.aligned.row.m16n16k16.s4", "wmma.load.a.sync.aligned.col.m8n8k128.b1"]
)
def test_what_no_gpu_has_is_refused(both, form):
    from teachkit.errors import UnsupportedInstruction

    with pytest.raises(UnsupportedInstruction, match=form.replace(".", r"\.")):
        both.run_both(both.kernel(f"{form} {{%r10}}, [%rd0], 32;"), "k", 1, 32, [both.array(64)])
