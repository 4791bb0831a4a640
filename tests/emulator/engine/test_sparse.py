"""Products with a sparse A: metadata as PyTorch lays it out for the kernels that use these instructions on GPUs."""

import numpy as np
import pytest
import torch
from torch.sparse._semi_structured_conversions import sparse_semi_structured_from_dense_cutlass

from teachkit.emulator import load_ptx
from teachkit.errors import UnsupportedInstruction

TYPES = {"f16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "s8": torch.int8, "u8": torch.int8}
FORMS = {  # k, and how many selectors there are
    **{f"m16n8k{k}.row.col.{d}.f16.f16.{d}": (k, 64 // k) for k in (16, 32) for d in ("f16", "f32")},
    **{f"m16n8k{k}.row.col.f32.bf16.bf16.f32": (k, 64 // k) for k in (16, 32)},
    **{f"m16n8k{k}.row.col.f32.tf32.tf32.f32": (k, 32 // k) for k in (8, 16)},
    **{f"m16n8k{k}.row.col{sat}.s32.{a}.{b}.s32": (k, 64 // k) for k in (32, 64)
       for a, sat in (("s8", ""), ("u8", ".satfinite")) for b in ("s8", "u8")},
}  # fmt: skip


def program(both, form, n_a, n_b, n_c, n_d, selector, variant="sp"):
    groups, declared, loads = {}, ".reg .b32 %m;", ""
    for number, (name, n) in enumerate((("a", n_a), ("b", n_b), ("c", n_c), ("d", n_d))):
        names = [f"%{name}{i}" for i in range(n)]
        declared += f".reg .b32 {', '.join(names)};"
        groups[name] = "{" + ", ".join(names) + "}"
        if name != "d":
            loads += f"mul.wide.u32 %rd2, %r1, {n * 4}; add.s64 %rd2, %rd2, %rd{10 + number};"
            loads += "".join(f"ld.global.b32 {x}, [%rd2+{i * 4}];" for i, x in enumerate(names))
    out = f"mul.wide.u32 %rd2, %r1, {n_d * 4}; add.s64 %rd2, %rd2, %rd0;"
    out += "".join(f"st.global.b32 [%rd2+{i * 4}], %d{i};" for i in range(n_d))
    loads += "mul.wide.u32 %rd2, %r1, 4; add.s64 %rd2, %rd2, %rd13; ld.global.b32 %m, [%rd2];"
    operands = f"{groups['d']}, {groups['a']}, {groups['b']}, {groups['c']}, %m, {selector}"
    body = f"{loads}\nmma.{variant}.sync.aligned.{form} {operands};\n{out}"
    return both.kernel(body, variables=declared, pointers=("a", "b", "c", "m"))


def bits(matrix, kind):
    """The elements of a matrix of numbers as unsigned integers of their size."""
    if kind == "bf16":
        return (matrix.astype(np.float32).view(np.uint32) >> 16).astype(np.uint16)
    dtype = {"f16": np.float16, "f32": np.float32, "tf32": np.float32, "s32": np.int32, "s8": np.int8, "u8": np.uint8}
    held = matrix.astype(dtype[kind])
    return held.view(f"u{held.itemsize}")


def held(both, elements):
    """Registers of 32 lanes in an array, [lane, register], from elements [lane, register, in the register]."""
    words = np.ascontiguousarray(elements).view(np.uint32).reshape(-1)
    array = both.array(words.size)
    array[:] = words
    return array


def fragment_a(matrix, kind):
    """[lane, register, element]: rows g and g + 8 by turns, then the next columns. PTX ISA, "Matrix Fragments"."""
    elements = bits(matrix, kind)
    n = 4 // elements.itemsize
    blocks = matrix.shape[1] // (4 * n)
    parts = elements.reshape(2, 8, blocks, 4, n)  # half, g, step, t, element
    return parts.transpose(1, 3, 2, 0, 4).reshape(32, 2 * blocks, n)


def fragment_b(matrix, kind):
    return fragment_a(np.concatenate([matrix.T, matrix.T]), kind)[:, ::2]


def fragment_c(matrix, kind):
    elements = bits(matrix, kind).reshape(2, 8, 4, 2)  # half, g, t, element
    return elements.transpose(1, 2, 0, 3).reshape(32, 4)


def result(array, kind):
    dtype = {"f16": np.float16, "f32": np.float32, "s32": np.int32}[kind]
    return array.view(dtype).reshape(8, 4, 2, 2).transpose(2, 0, 1, 3).reshape(16, 8)


def sparse(random, n_rows, n_columns, kind):
    """Small whole numbers, of four columns two (of two columns one) not zero."""
    dense = random.integers(1, 8, (n_rows, n_columns)).astype(np.int64)
    if kind not in ("u8",):
        dense *= random.choice([-1, 1], dense.shape)
    chunk = 2 if kind == "tf32" else 4
    order = random.permuted(np.tile(np.arange(chunk), (n_rows * n_columns // chunk, 1)), axis=1)
    return np.where(order.reshape(dense.shape) < chunk // 2, dense, 0)


@pytest.mark.parametrize(
    ("form", "variant"),
    [*((form, "sp") for form in FORMS), ("m16n8k32.row.col.f32.f16.f16.f32", "sp::ordered_metadata")],
)
def test_a_matrix_that_pytorch_has_compressed(both, form, variant):
    k, n_selectors = FORMS[form]
    *_, d_type, a_type, b_type, c_type = form.split(".")
    random = np.random.default_rng(sum(form.encode()))
    # A lane's word serves as many instructions as there are selectors: of wide elements two blocks of rows.
    n_rows, n_columns = (16, 64) if a_type in ("s8", "u8") else (32, 16 if a_type == "tf32" else 32)
    dense = sparse(random, n_rows, n_columns, a_type)
    stored, meta = sparse_semi_structured_from_dense_cutlass(torch.from_numpy(dense).to(TYPES[a_type]))
    stored = stored.to(torch.float64).numpy()
    words = np.ascontiguousarray(meta.numpy()).view(np.uint32).reshape(-1)
    assert words.size == 32
    for selector in range(n_selectors):
        n_wide = n_columns // k  # instructions side by side
        row, column = 16 * (selector // n_wide), k * (selector % n_wide)
        a = dense[row : row + 16, column : column + k]
        least = 0 if b_type == "u8" else -8
        b, c = random.integers(least, 9, (k, 8)), random.integers(-8, 9, (16, 8))
        if d_type == "s32":
            c = c + random.choice([0, 2**31 - 9, -(2**31) + 9], c.shape)
        compressed = stored[row : row + 16, column // 2 : (column + k) // 2]
        given = [fragment_a(compressed, a_type), fragment_b(b, b_type), fragment_c(c, c_type)]
        counts = [fragment.reshape(32, -1).view(np.uint32).shape[1] for fragment in map(np.ascontiguousarray, given)]
        arrays = [held(both, fragment) for fragment in given]
        arrays.append(held(both, words))
        out = both.array(32 * (2 if d_type == "f16" else 4))
        text = program(both, form, *counts, out.size // 32, selector, variant)
        run = both.run_both(text, "k", 1, 32, [out, *arrays])
        run.check_memory()
        run.check_counters()
        expected = a @ b + c
        if d_type == "s32":
            limits = np.iinfo(np.int32)
            expected = np.clip(expected, limits.min, limits.max) if "satfinite" in form else expected.astype(np.int32)
        assert (result(out, d_type) == expected).all()
        assert run.launch.counters.flop_tensor == 16 * 8 * k


def test_only_the_places_that_are_stored_are_read(both):
    form = "m16n8k16.row.col.f32.f16.f16.f32"
    b = np.full((16, 8), 2.0)
    b[0::4] = np.inf
    b[3::4] = np.nan
    arrays = [held(both, fragment_a(np.ones((16, 8)), "f16")), held(both, fragment_b(b, "f16"))]
    arrays += [held(both, fragment_c(np.zeros((16, 8)), "f32")), held(both, np.full(32, 0x99999999, np.uint32))]
    out = both.array(128)
    run = both.run_both(program(both, form, 2, 2, 4, 4, 3), "k", 1, 32, [out, *arrays])
    run.check_memory()
    assert (result(out, "f32") == 16.0).all()


@pytest.mark.parametrize(
    ("form", "selector"),
    [
        ("m16n8k16.row.col.f32.f16.f16.f32", "4"),
        ("m16n8k32.row.col.f32.f16.f16.f32", "2"),
        ("m16n8k64.row.col.s32.s8.s8.s32", "1"),
        ("m16n8k32.row.col.f32.f16.f16.f32", "%r1"),
        ("m16n8k64.row.col.f32.f16.f16.f32", "0"),
        ("m16n8k64.row.col.s32.s4.s4.s32", "0"),
        ("m16n8k32.row.col.f32.f16.f16.f16", "0"),
        ("m16n8k32.row.col.f32.bf16.f16.f32", "0"),
    ],
)
def test_what_is_refused(both, form, selector):
    kernel = load_ptx(program(both, form, 4, 4, 4, 4, selector))["k"]
    with pytest.raises(UnsupportedInstruction, match=r"mma\.sp\.sync"):
        kernel[1, 32](*(both.array(128) for _ in range(5)))
