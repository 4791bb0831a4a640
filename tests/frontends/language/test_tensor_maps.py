"""Tensor descriptors on sm_90, where Triton has boxes of tensors copied in bulk, against PyTorch."""

import pytest
import torch
import triton
import triton.language as tl
from triton.runtime import _allocation
from triton.tools.tensor_descriptor import TensorDescriptor

import teachkit as tk
from teachkit.emulator import configure, observe
from teachkit.errors import KernelFault, LaunchError, UnsupportedInstruction
from teachkit.frontends import target

FP8 = torch.float8_e4m3fn


@pytest.fixture(autouse=True)
def hopper():
    """Kernels for sm_90, and memory for descriptors that they make."""
    target.set_architecture(90)
    token = _allocation._allocator.set(lambda size, align, stream: torch.empty(size, dtype=torch.int8))
    yield
    _allocation._allocator.reset(token)
    target.set_architecture(None)


@pytest.fixture
def threads():
    """A function that sets how many threads run the blocks."""
    old = configure()
    yield lambda n: configure(n_threads=n)
    configure(n_threads=old.n_threads)


def tensor(shape, dtype, seed=0):
    generator = torch.Generator().manual_seed(seed)
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(-100 if dtype.is_signed else 0, 100, shape, generator=generator).to(dtype)


def launched(kernel, grid, *args, **options):
    """The counters of a launch, which uses bulk copies and nothing else where descriptors are."""
    launches = []
    with observe(launches.append):
        compiled = kernel[grid](*args, **options)
    assert "cp.async.bulk.tensor" in compiled.asm["ptx"]
    return launches[0].counters


@triton.jit
def copy_1d(x, out, A: tl.constexpr):
    at = tl.program_id(0) * A
    out.store([at], x.load([at]))


@triton.jit
def copy_2d(x, out, A: tl.constexpr, B: tl.constexpr):
    a, b = tl.program_id(0) * A, tl.program_id(1) * B
    out.store([a, b], x.load([a, b]))


@triton.jit
def copy_3d(x, out, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr):
    a, b, c = tl.program_id(0) * A, tl.program_id(1) * B, tl.program_id(2) * C
    out.store([a, b, c], x.load([a, b, c]))


@triton.jit
def copy_4d(x, out, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr):
    b, c, d = tl.program_id(0) * B, tl.program_id(1) * C, tl.program_id(2) * D
    for a in range(0, x.shape[0], A):
        out.store([a, b, c, d], x.load([a, b, c, d]))


@triton.jit
def copy_5d(x, out, A: tl.constexpr, B: tl.constexpr, C: tl.constexpr, D: tl.constexpr, E: tl.constexpr):
    c, d, e = tl.program_id(0) * C, tl.program_id(1) * D, tl.program_id(2) * E
    for a in range(0, x.shape[0], A):
        for b in range(0, x.shape[1], B):
            out.store([a, b, c, d, e], x.load([a, b, c, d, e]))


COPIES = {
    1: (copy_1d, (1000,), (256,)),
    2: (copy_2d, (37, 80), (16, 64)),
    3: (copy_3d, (5, 9, 48), (2, 4, 32)),
    4: (copy_4d, (3, 5, 6, 32), (2, 2, 4, 16)),
    5: (copy_5d, (3, 2, 3, 5, 16), (2, 1, 2, 4, 16)),
}


@pytest.mark.parametrize("rank", COPIES)
def test_copies_whose_last_boxes_reach_outside(rank):
    kernel, shape, block = COPIES[rank]
    x = tensor(shape, torch.float32)
    out = torch.full((shape[0] + 1, *shape[1:]), 99.0)
    grid = [-(-n // b) for n, b in zip(shape, block, strict=True)][-3:]
    described = [TensorDescriptor.from_tensor(t, list(block)) for t in (x, out[: shape[0]])]
    counters = launched(kernel, tuple(grid), *described, *block)
    assert torch.equal(out[: shape[0]], x)
    assert (out[shape[0]] == 99).all()  # what lies behind the tensor is as it was
    n_bytes = x.numel() * 4
    assert counters.compulsory_read_bytes == counters.dram_read_bytes == n_bytes
    assert counters.compulsory_write_bytes == counters.dram_write_bytes == n_bytes
    assert counters.global_load_bytes == counters.global_load_requests == counters.global_store_bytes == 0


DTYPES = [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int8, torch.uint16, torch.int64, FP8]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("block", [(8, 16), (16, 128)], ids=str)
def test_element_types_and_swizzles(dtype, block):
    x = tensor((33, 144), dtype)
    out = torch.zeros_like(x)
    grid = tuple(-(-n // b) for n, b in zip(x.shape, block, strict=True))
    launched(copy_2d, grid, *(TensorDescriptor.from_tensor(t, list(block)) for t in (x, out)), *block)
    assert torch.equal(out.view(torch.uint8), x.view(torch.uint8))


@triton.jit
def shifted_kernel(x, out_ptr, ROW, COL, R: tl.constexpr, C: tl.constexpr):
    at = tl.arange(0, R)[:, None] * C + tl.arange(0, C)[None, :]
    tl.store(out_ptr + at, x.load([ROW, COL]))


@pytest.mark.parametrize("padding", ["zero", "nan"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("start", [(-3, -5), (12, 30), (-20, 0), (5, 100), (0, 0)], ids=str)
def test_boxes_that_reach_outside_on_any_side(start, dtype, padding):
    x = tensor((20, 40), dtype)
    out = torch.zeros(16, 32, dtype=dtype)
    launched(shifted_kernel, (1,), TensorDescriptor.from_tensor(x, [16, 32], padding), out, *start, 16, 32)
    wide = torch.full((20 + 64, 40 + 256), float("nan") if padding == "nan" else 0.0, dtype=dtype)
    wide[32:52, 128:168] = x
    expected = wide[32 + start[0] : 48 + start[0], 128 + start[1] : 160 + start[1]]
    assert torch.equal(out.isnan(), expected.isnan())
    assert torch.equal(out.nan_to_num(), expected.nan_to_num())


@triton.jit
def transpose_kernel(x, out, R: tl.constexpr, C: tl.constexpr):
    r, c = tl.program_id(0) * R, tl.program_id(1) * C
    out.store([c, r], tl.trans(x.load([r, c])))


@pytest.mark.parametrize("dtype", [torch.int8, torch.float16, torch.float32], ids=str)
@pytest.mark.parametrize("block", [(16, 64), (128, 32), (32, 16)], ids=str)
def test_transposes(dtype, block):
    x = tensor((144, 80), dtype)
    out = torch.zeros(80, 144, dtype=dtype)
    grid = tuple(-(-n // b) for n, b in zip(x.shape, block, strict=True))
    described = TensorDescriptor.from_tensor(x, list(block)), TensorDescriptor.from_tensor(out, list(block[::-1]))
    launched(transpose_kernel, grid, *described, *block)
    assert torch.equal(out, x.T)


@triton.jit
def reduce_kernel(x, out, KIND: tl.constexpr, R: tl.constexpr, C: tl.constexpr):
    block = x.load([tl.program_id(0) * R, tl.program_id(1) * C])
    at = [0, tl.program_id(1) * C]
    if KIND == "add":
        out.atomic_add(at, block)
    elif KIND == "min":
        out.atomic_min(at, block)
    elif KIND == "max":
        out.atomic_max(at, block)
    elif KIND == "and":
        out.atomic_and(at, block)
    elif KIND == "or":
        out.atomic_or(at, block)
    else:
        out.atomic_xor(at, block)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("add", dtype) for dtype in (torch.int32, torch.float16, torch.bfloat16, torch.float32)]
    + [(kind, dtype) for kind in ("min", "max") for dtype in (torch.int32, torch.int64, torch.uint32, torch.float16)]
    + [(kind, torch.int32) for kind in ("and", "or", "xor")],
    ids=str,
)
def test_reductions(kind, dtype):
    """Five rows of blocks onto one, the last column of blocks partly outside."""
    x, out = tensor((80, 48), dtype), torch.ones(16, 48, dtype=dtype)
    expected = out.clone()
    if dtype.is_floating_point:
        x = (4 * x).round().clamp(-9, 9).to(dtype)  # sums that are exact in any order
    wide = torch.int64 if dtype == torch.uint32 else dtype
    functions = {"add": torch.add, "min": torch.minimum, "max": torch.maximum, "and": torch.bitwise_and,
                 "or": torch.bitwise_or, "xor": torch.bitwise_xor}  # fmt: skip
    for part in x.view(5, 16, 48):
        expected = functions[kind](expected.to(wide), part.to(wide)).to(dtype)
    launched(reduce_kernel, (5, 2), *(TensorDescriptor.from_tensor(t, [16, 32]) for t in (x, out)), kind, 16, 32)
    assert torch.equal(out, expected)


@triton.jit
def device_kernel(x_ptr, out_ptr, n_rows, n_cols, stride, R: tl.constexpr, C: tl.constexpr, PAD: tl.constexpr):
    x = tl.make_tensor_descriptor(x_ptr, [n_rows, n_cols], [stride, 1], [R, C], padding_option=PAD)
    out = tl.make_tensor_descriptor(out_ptr, [n_rows + 3, n_cols], [n_cols, 1], [R, C])
    row, col = tl.program_id(0) * R, tl.program_id(1) * C
    out.store([row, col], x.load([row, col]) * 2)


@pytest.mark.parametrize("padding", ["zero", "nan"])
def test_descriptors_made_in_the_kernel(padding):
    x = tensor((50, 96), torch.float16)[:, :72]
    out = torch.full((54, 72), 7.0, dtype=torch.float16)
    compiled = device_kernel[(4, 2)](x, out, 50, 72, 96, 16, 64, padding)
    assert "tensormap.replace" in compiled.asm["ptx"]
    assert torch.equal(out[:50], 2 * x)
    beyond = out[50:53]
    assert beyond.isnan().all() if padding == "nan" else (beyond == 0).all()
    assert (out[53] == 7).all()


@triton.jit
def sum_rows_kernel(x, out, n_rows, n_cols, R: tl.constexpr, C: tl.constexpr):
    """One program a multiprocessor; blocks of a row are on their way while another is added."""
    for row in range(tl.program_id(0) * R, n_rows, tl.num_programs(0) * R):
        total = tl.zeros((R, C), tl.float32)
        for col in tl.range(0, n_cols, C, num_stages=3):
            total += x.load([row, col]).to(tl.float32)
        out.store([row, 0], total)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_persistent_programs_with_copies_ahead(n_threads, threads):
    threads(n_threads)
    x = torch.arange(100 * 520).remainder(97).sub(48).reshape(100, 520).half()
    out = torch.zeros(100, 64)
    described = TensorDescriptor.from_tensor(x, [16, 64]), TensorDescriptor.from_tensor(out, [16, 64])
    counters = launched(sum_rows_kernel, (3,), *described, 100, 520, 16, 64)
    padded = torch.zeros(100, 576)
    padded[:, :520] = x.float()
    assert torch.equal(out, padded.view(100, 9, 64).sum(1))
    assert counters.compulsory_read_bytes == counters.dram_read_bytes == x.numel() * 2


def test_counters_are_the_same_for_any_number_of_threads(threads):
    x = tensor((512, 512), torch.float16)
    found = []
    for n_threads in (1, 2):
        threads(n_threads)
        out = torch.zeros_like(x)
        described = [TensorDescriptor.from_tensor(t, [32, 64]) for t in (x, out)]
        found.append(launched(copy_2d, (16, 8), *described, 32, 64))
        assert torch.equal(out, x)
    assert found[0] == found[1]


def test_blackwell_copies_likewise():
    target.set_architecture(100)
    x = tensor((37, 80), torch.float16)
    out = torch.zeros_like(x)
    launched(copy_2d, (3, 2), *(TensorDescriptor.from_tensor(t, [16, 64]) for t in (x, out)), 16, 64)
    assert torch.equal(out, x)


def test_descriptors_in_a_tuple():
    x, out = tensor((32, 64), torch.float32), torch.zeros(32, 64)

    @triton.jit
    def kernel(pair, R: tl.constexpr, C: tl.constexpr):
        pair[1].store([0, 0], pair[0].load([0, 0]) + 1)

    kernel[(1,)](tuple(TensorDescriptor.from_tensor(t, [32, 64]) for t in (x, out)), 32, 64)
    assert torch.equal(out, x + 1)


def test_what_a_map_cannot_be_is_said_at_the_launch():
    x = torch.zeros(20, 40, dtype=torch.float16)
    shifted = TensorDescriptor(x, [20, 8], [40, 1], [16, 8])
    launched(copy_2d, (1, 1), shifted, shifted, 16, 8)
    endless = TensorDescriptor(x, [1 << 33, 8], [40, 1], [16, 8])
    with pytest.raises(LaunchError, match=r"argument 'x'.*1 to 2\^32 elements"):
        copy_2d[(1, 1)](endless, shifted, 16, 8)


def test_loads_round_to_tf32():
    x, out = tensor((20, 40), torch.float32), torch.zeros(16, 32)
    described = TensorDescriptor.from_tensor(x, [16, 32], round_f32_to_tf32=True)
    launched(shifted_kernel, (1,), described, out, 0, 0, 16, 32)
    bits = x[:16, :32].contiguous().view(torch.int32)
    rounded = bits + 0xFFF + (bits >> 13 & 1) & -0x2000
    assert torch.equal(out.view(torch.int32), rounded)


def test_a_descriptor_of_more_than_the_tensor_is_a_fault_that_names_it():
    x, out = torch.zeros(20, 64), torch.zeros(40, 64)
    described = TensorDescriptor(x, [40, 64], [64, 1], [16, 32]), TensorDescriptor.from_tensor(out, [16, 32])
    with pytest.raises(KernelFault, match="bulk copy") as caught:
        copy_2d[(3, 2)](*described, 16, 32)
    assert "argument 'x'" in str(caught.value)
    assert "tensor map describes more" in str(caught.value)
    assert "copy_2d" in str(caught.value)


@triton.jit
def gather_kernel(x, rows_ptr, out_ptr):
    at = tl.arange(0, 16)
    block = x.gather(tl.load(rows_ptr + at), 0)
    tl.store(out_ptr + at[:, None] * 32 + tl.arange(0, 32)[None, :], block)


def test_gathering_rows_is_refused_by_name():
    described = TensorDescriptor.from_tensor(torch.zeros(40, 64), [1, 32])
    with pytest.raises(UnsupportedInstruction, match="gather4"):
        gather_kernel[(1,)](described, torch.arange(16).int(), torch.zeros(16, 32))


def test_a_checked_launch_finds_nothing_where_there_is_nothing():
    x, out = tensor((50, 72), torch.float16), torch.zeros(50, 72, dtype=torch.float16)
    described = [TensorDescriptor.from_tensor(t, [16, 64]) for t in (x, out)]
    with tk.emulator.check() as report:
        copy_2d[(4, 2)](*described, 16, 64)
        reduce_kernel[(1, 1)](*described, "add", 16, 64)
        device_kernel[(3, 2)](x, torch.zeros(54, 72, dtype=torch.float16), 50, 72, 72, 16, 64, "zero")
        sums = TensorDescriptor.from_tensor(torch.zeros(50, 64), [16, 64])
        sum_rows_kernel[(2,)](described[0], sums, 50, 72, 16, 64)
    assert not report.findings, str(report)
    assert torch.equal(out[16:], x[16:])


def test_a_check_knows_what_copies_have_written():
    x = tensor((32, 64), torch.float16)
    with tk.emulator.check(raises=False) as report:
        between, out = torch.empty_like(x), torch.empty_like(x)
        described = [TensorDescriptor.from_tensor(t, [16, 64]) for t in (x, between, out)]
        copy_2d[(2, 1)](described[0], described[1], 16, 64)
        copy_2d[(2, 1)](described[1], described[2], 16, 64)
        assert not report.findings, str(report)
        nothing = TensorDescriptor.from_tensor(torch.empty_like(x), [16, 64])
        copy_2d[(2, 1)](nothing, described[2], 16, 64)
    assert {finding.kind for finding in report.findings} == {"init"}, str(report)
    assert "asynchronous copy" in str(report.findings[0])
