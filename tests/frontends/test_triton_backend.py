"""Plain Triton on the emulator: results against PyTorch, arguments of every kind, and Triton's own surroundings."""

from __future__ import annotations

import collections
import ctypes
import subprocess
import sys
import warnings

import pytest
import torch
import triton
import triton.language as tl
from torch._subclasses.fake_tensor import FakeTensorMode
from triton.tools.tensor_descriptor import TensorDescriptor

from teachkit.emulator import observe
from teachkit.errors import KernelFault, LaunchError, ModelledTimeWarning, NoLaunchError, UnsupportedArchitecture
from teachkit.frontends import target
from teachkit.frontends.triton_backend import address_tables, clock
from teachkit.frontends.triton_backend.address_tables import tensors_behind
from tests.frontends import triton_kernels
from tests.frontends.triton_kernels import BLOCK_SIZE, CASES, add_kernel, launch_add, softmax_kernel

ROWS = [
    pytest.param(case, dtype, shape, id=f"{case.name}-{str(dtype).removeprefix('torch.')}-{'x'.join(map(str, shape))}")
    for case in CASES
    for dtype in case.dtypes
    for shape in case.shapes
]


@pytest.fixture(autouse=True)
def default_architecture():
    yield
    target.set_architecture(None)


@pytest.mark.parametrize(("case", "dtype", "shape"), ROWS)
def test_equals_pytorch(case, dtype, shape):
    inputs = case.inputs(shape, dtype, torch.Generator().manual_seed(0))
    before = [tensor.clone() for tensor in inputs]
    got, expected = case.launch(*inputs), case.reference(*inputs)
    tolerance = case.tolerance(dtype)
    torch.testing.assert_close(got, expected, rtol=tolerance, atol=tolerance)
    assert all(torch.equal(*pair) for pair in zip(inputs, before, strict=True))


@pytest.mark.parametrize("arch", [75, 90, 100])
def test_equals_pytorch_on_other_architectures(arch):
    target.set_architecture(arch)
    for case in CASES:
        inputs = case.inputs(case.shapes[-1], torch.float32, torch.Generator().manual_seed(0))
        tolerance = case.tolerance(torch.float32)
        torch.testing.assert_close(case.launch(*inputs), case.reference(*inputs), rtol=tolerance, atol=tolerance)


def compiled_add(n_elements=1000, **options):
    x = torch.ones(n_elements)
    return add_kernel[(1,)](x, x, torch.empty_like(x), n_elements, BLOCK_SIZE=BLOCK_SIZE, **options)


def test_architecture_is_80_and_can_be_changed():
    assert ".target sm_80" in compiled_add().asm["ptx"]
    target.set_architecture("sm_90")
    assert triton.runtime.driver.active.get_current_target() == triton.backends.compiler.GPUTarget("cuda", 90, 32)
    assert ".target sm_90a" in compiled_add().asm["ptx"]
    target.set_architecture(None)
    assert ".target sm_80" in compiled_add().asm["ptx"]


@pytest.mark.parametrize("value", [60, "sm_42", "ampere", ""])
def test_unknown_architecture(value):
    with pytest.raises(UnsupportedArchitecture, match="70, 75, 80, 89, 90, 100"):
        target.set_architecture(value)


def test_architecture_from_environment(monkeypatch):
    monkeypatch.setenv("TEACHKIT_ARCH", "90")
    assert target.architecture() == 90
    monkeypatch.setenv("TEACHKIT_ARCH", "x")
    with pytest.raises(UnsupportedArchitecture, match="TEACHKIT_ARCH"):
        target.architecture()


# Arguments


@triton.jit
def scalars_kernel(
    out_ptr, boolean, small, large, unsigned, real, half: tl.float16, brain: tl.bfloat16, double: tl.float64
):
    tl.store(out_ptr + 0, boolean.to(tl.float64))
    tl.store(out_ptr + 1, small.to(tl.float64))
    tl.store(out_ptr + 2, large.to(tl.float64))
    tl.store(out_ptr + 3, unsigned.to(tl.float64))
    tl.store(out_ptr + 4, real.to(tl.float64))
    tl.store(out_ptr + 5, half.to(tl.float64))
    tl.store(out_ptr + 6, brain.to(tl.float64))
    tl.store(out_ptr + 7, double)


def test_scalars_of_every_kind():
    out = torch.zeros(8, dtype=torch.float64)
    scalars_kernel[(1,)](out, True, -7, -(2**40), 2**63 + 2**20, 0.1, 0.1, 0.1, 0.1)
    float32, half = torch.tensor(0.1).item(), torch.tensor(0.1, dtype=torch.half).item()
    truncated_bfloat16 = torch.tensor([0.1]).view(torch.int32).bitwise_right_shift(16).bitwise_left_shift(16)
    brain = truncated_bfloat16.view(torch.float32).item()
    assert out.tolist() == [1.0, -7.0, -(2.0**40), 2.0**63 + 2**20, float32, half, brain, 0.1]


def test_scalars_that_are_too_large_become_infinity():
    out = torch.zeros(8, dtype=torch.float64)
    scalars_kernel[(1,)](out, False, 0, 2**40, 2**63, 1e300, 1e6, -1e300, 1e300)
    assert out[4:].tolist() == [float("inf"), float("inf"), float("-inf"), 1e300]


@triton.jit
def number_kernel(address, out_ptr, seed, BLOCK: tl.constexpr):
    offsets = tl.arange(0, BLOCK)
    x_ptr = address.to(tl.pointer_type(tl.float32))
    tl.store(out_ptr + offsets, tl.load(x_ptr + offsets) + (seed >> 62))


def mapped(n, at=0):
    """``n`` numbers in pages of their own; ``at`` is where, 0 for far up, where no address is a number of 32 bits."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    place = libc.mmap(at or None, 4 * n, 3, 0x22 | (0x100000 if at else 0), -1, 0)  # MAP_FIXED_NOREPLACE
    assert place == at if at else place < 1 << 63
    return torch.frombuffer((ctypes.c_float * n).from_address(place), dtype=torch.float32).copy_(torch.randn(n))


def test_a_tensor_may_be_given_by_its_address(monkeypatch):
    x, out = mapped(64), torch.empty(32)
    number_kernel[(1,)](x[32:].data_ptr(), out, 2**62, BLOCK=32)
    assert torch.equal(out, x[32:] + 1)
    with pytest.raises(KernelFault, match="Out-of-bounds"):
        number_kernel[(1,)](x[48:].data_ptr(), out, 2**62, BLOCK=32)
    # The number of a random generator is no address: nothing is looked for.
    monkeypatch.setattr("gc.get_objects", lambda: pytest.fail("looked at every object"))
    assert not tensors_behind([2**62, 2**31, -1, 0.5, out])


def test_addresses_of_a_low_heap(monkeypatch):
    """Where the interpreter is no position-independent program its heap is far below where others have it."""
    at = 0x20_0000_0000
    x = mapped(64, at)
    numbers = torch.tensor([at + 128, 77, 2**62])
    monkeypatch.setattr(address_tables, "_heap_is_low", lambda: False)
    assert tensors_behind([numbers]) == []
    monkeypatch.setattr(address_tables, "_heap_is_low", lambda: True)
    monkeypatch.setattr(address_tables, "_heap", lambda: range(at, at + 256))
    assert [tensor.data_ptr() for tensor in tensors_behind([numbers, 5])] == [at]
    assert tensors_behind([torch.tensor([at + 256, at - 1])]) == []
    assert x.data_ptr() == at


def test_the_heap_is_where_the_system_says():
    """In a process of its own: one that has run long has its small objects anywhere."""
    code = """
from ctypes import CDLL, c_size_t, c_void_p
from teachkit.frontends.triton_backend.address_tables import _heap
malloc = CDLL(None).malloc
malloc.restype, malloc.argtypes = c_void_p, [c_size_t]
places = [malloc(4000) for _ in range(1000)]
print(sum(place in _heap() for place in places))
"""
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(found.stdout) > 900


def test_a_tensor_of_vmap_is_passed_by_when_addresses_are_looked_for():
    """A buffer that nobody has written yet may hold what looks like one, so any launch may have to look."""
    x, out, seen = mapped(64), torch.empty(32), []
    torch.func.vmap(lambda row: seen.append(row) or row + 1)(torch.ones(3, 4))
    number_kernel[(1,)](x[32:].data_ptr(), out, 2**62, BLOCK=32)
    assert torch.equal(out, x[32:] + 1)
    with pytest.raises(NotImplementedError):
        seen[0].untyped_storage()


@triton.jit
def optional_kernel(x_ptr, out_ptr, n_elements, scale=2, BLOCK: tl.constexpr = 32):
    offsets = tl.arange(0, BLOCK)
    mask = offsets < n_elements
    value = tl.full([BLOCK], 5, tl.int32)
    if x_ptr is not None:
        value = tl.load(x_ptr + offsets, mask=mask)
    tl.store(out_ptr + offsets, value * scale, mask=mask)


def test_null_pointer_defaults_and_keywords():
    out = torch.zeros(20, dtype=torch.int32)
    optional_kernel[(1,)](None, out, 20)
    assert out.tolist() == [10] * 20
    optional_kernel[(1,)](x_ptr=torch.arange(20, dtype=torch.int32), out_ptr=out, n_elements=19, scale=3)
    assert out.tolist() == [*range(0, 57, 3), 10]


@triton.jit
def tuple_kernel(pointers, sizes, out_ptr):
    tl.store(out_ptr, tl.load(pointers[0]) * sizes[0] + tl.load(pointers[1]) * sizes[1][0])


def test_tuples():
    Pair = collections.namedtuple("Pair", ["first", "second"])
    out = torch.zeros(1)
    tuple_kernel[(1,)](Pair(torch.tensor([2.0]), torch.tensor([3.0])), (10, (100,)), out)
    assert out.item() == 320.0


@triton.jit
def descriptor_kernel(x_desc, out_desc, ROWS: tl.constexpr, COLS: tl.constexpr):
    row, col = tl.program_id(0) * ROWS, tl.program_id(1) * COLS
    out_desc.store([row, col], x_desc.load([row, col]) + 1.0)


def test_tensor_descriptor():
    x = torch.randn(70, 40)
    out = torch.zeros_like(x)
    block = [16, 16]
    descriptors = [TensorDescriptor.from_tensor(tensor, block) for tensor in (x, out)]
    descriptor_kernel[(5, 3)](*descriptors, ROWS=16, COLS=16)
    assert torch.equal(out, x + 1)


def test_reinterpreted_tensor():
    x = torch.tensor([1.5, -2.0])
    out = torch.zeros(2, dtype=torch.int32)
    optional_kernel[(1,)](triton.reinterpret(x, tl.int32), out, 2, scale=1)
    assert torch.equal(out, x.view(torch.int32))


def test_empty_tensors_launch_nothing():
    seen = []
    with observe(seen.append):
        assert launch_add(torch.empty(0), torch.empty(0)).shape == (0,)
    assert seen == []


@pytest.mark.parametrize("view", [lambda x: x.t(), lambda x: x[3:, 1:], lambda x: x.flip(0).as_strided((5,), (7,), 2)])
def test_strided_views(view):
    x = view(torch.randn(40, 40))
    flat = x if x.dim() == 1 else x[:, 0]
    assert torch.equal(triton_kernels.launch_strided_copy(flat), flat)


def test_parameters_and_gradients_can_be_arguments():
    x = torch.nn.Parameter(torch.ones(5))
    assert launch_add(x.detach(), x).tolist() == [2.0] * 5


def test_tensor_of_another_device_is_refused():
    x = torch.ones(5)
    with pytest.raises(LaunchError, match="with data for argument 'y_ptr', got one on the meta device"):
        add_kernel[(1,)](x, x.to("meta"), x, 5, BLOCK_SIZE=BLOCK_SIZE)


@pytest.mark.filterwarnings("ignore:Accessing the data pointer of FakeTensor")
def test_tensor_without_memory_is_refused():
    """Its device says cpu and its address is 0, where the kernel would have stored."""
    with FakeTensorMode():
        x = torch.ones(5)
        with pytest.raises(LaunchError, match="argument 'x_ptr', got a FakeTensor without memory"):
            add_kernel[(1,)](x, x, x, 5, BLOCK_SIZE=BLOCK_SIZE)


@pytest.mark.parametrize("grid", [(1, 65_536), (1, 1, 65_536), (2**31,), (-1,)])
def test_grid_out_of_range_is_refused(grid):
    x = torch.ones(5)
    with pytest.raises(LaunchError, match=r"for grid.* of kernel 'add_kernel', got"):
        add_kernel[grid](x, x, x, 5, BLOCK_SIZE=BLOCK_SIZE)


@pytest.mark.parametrize("num_ctas", [2, 4])
def test_programs_of_several_blocks(num_ctas):
    """A program of n blocks is a cluster of that size; it adds five times as many numbers as it counts."""
    target.set_architecture(90)
    x, y = torch.rand(5000), torch.rand(5000)
    out = torch.empty(5000)
    seen = []
    with observe(seen.append):
        add_kernel[(5,)](x, y, out, 5000, BLOCK_SIZE=1024, num_ctas=num_ctas)
    torch.testing.assert_close(out, x + y)
    assert seen[0].grid == (5 * num_ctas, 1, 1)
    assert seen[0].counters.global_load_bytes == 40_000


@triton.jit
def row_sums_kernel(x_ptr, out_ptr, n_rows: tl.constexpr, n_cols: tl.constexpr, AXIS: tl.constexpr):
    start = tl.program_id(0) * n_rows * n_cols
    rows, cols = tl.arange(0, n_rows), tl.arange(0, n_cols)
    sums = tl.sum(tl.load(x_ptr + start + rows[:, None] * n_cols + cols[None, :]), AXIS)
    if AXIS == 1:
        tl.store(out_ptr + tl.program_id(0) * n_rows + rows, sums)
    else:
        tl.store(out_ptr + tl.program_id(0) * n_cols + cols, sums)


@pytest.mark.parametrize("axis", [0, 1])
def test_sums_in_programs_of_two_blocks(axis):
    target.set_architecture(90)
    x, out = torch.rand(3, 64, 128), torch.empty(3, 64 if axis else 128)
    row_sums_kernel[(3,)](x, out, 64, 128, AXIS=axis, num_ctas=2)
    torch.testing.assert_close(out, x.sum(axis + 1))


@triton.jit
def matmul_in_boxes_kernel(a_desc, b_desc, out_desc, K, M: tl.constexpr, N: tl.constexpr, BLOCK_K: tl.constexpr):
    row, col = tl.program_id(0) * M, tl.program_id(1) * N
    sums = tl.zeros((M, N), tl.float32)
    for k in range(0, K, BLOCK_K):
        sums = tl.dot(a_desc.load([row, k]), b_desc.load([k, col]), sums)
    out_desc.store([row, col], sums.to(tl.float16))


def test_products_in_programs_of_two_blocks():
    """Each block of a program copies its own boxes and multiplies them with wgmma."""
    target.set_architecture(90)
    a, b, out = torch.randn(256, 128).half(), torch.randn(128, 256).half(), torch.empty(256, 256).half()
    descriptors = [
        TensorDescriptor.from_tensor(t, box) for t, box in ((a, [128, 64]), (b, [64, 128]), (out, [128, 128]))
    ]
    matmul_in_boxes_kernel[(2, 2)](*descriptors, 128, 128, 128, 64, num_ctas=2)
    torch.testing.assert_close(out, (a.float() @ b.float()).half(), rtol=1e-3, atol=2e-2)  # sums in another order


def test_too_much_shared_memory_is_refused_as_on_the_gpu():
    target.set_architecture(75)
    x = torch.ones(128, 128, dtype=torch.float64)
    with pytest.raises(triton.runtime.errors.OutOfResources, match="Required: 131072, Hardware limit: 65536"):
        triton_kernels.transpose_tiled_kernel[(1, 1)](x, torch.empty_like(x), 128, 128, TILE=128)


# What surrounds a launch


def test_grid_function_and_launch_options():
    x, out = torch.ones(1000), torch.empty(1000)
    seen = []
    with observe(seen.append):
        add_kernel[lambda meta: (triton.cdiv(1000, meta["BLOCK_SIZE"]),)](
            x, x, out, 1000, BLOCK_SIZE=128, num_warps=2, num_stages=1
        )
    (launch,) = seen
    assert (launch.name, launch.grid, launch.block) == ("add_kernel", (8, 1, 1), (64, 1, 1))
    assert out.eq(2).all()


def test_counters_of_vector_add():
    n = 1 << 14
    seen = []
    with observe(seen.append):
        launch_add(torch.ones(n), torch.ones(n))
    counters = seen[0].counters
    assert (counters.dram_read_bytes, counters.dram_write_bytes) == (8 * n, 4 * n)
    assert (counters.global_load_bytes, counters.global_store_bytes, counters.flop_fp32) == (8 * n, 4 * n, n)
    resources = seen[0].resources
    assert (resources.n_spill_bytes, resources.shared_bytes, resources.occupancy) == (0, 0, 1.0)
    assert 10 <= resources.n_registers <= 40
    assert seen[0].seconds is None


def test_compiled_kernel_tells_what_it_is():
    x = torch.ones(4, 1000)
    compiled = softmax_kernel.warmup(x, x, 1000, 1000, 1000, BLOCK_SIZE=1024, grid=(1,), num_warps=8)
    compiled._init_handles()
    assert set(compiled.asm) >= {"ttir", "ttgir", "llir", "ptx"}
    assert ".entry softmax_kernel" in compiled.asm["ptx"]
    assert compiled.asm["cubin"].startswith(b"\x7fELF")
    assert isinstance(compiled.n_regs, int)
    assert 16 <= compiled.n_regs <= 64
    assert compiled.n_spills == 0
    assert compiled.metadata.shared == 32
    assert compiled.metadata.num_warps == 8


def test_warm_compiled_kernel_can_be_launched():
    x, out = torch.ones(64), torch.empty(64)
    compiled = add_kernel.warmup(x, x, out, 64, BLOCK_SIZE=64, grid=(1,))
    compiled[(1, 1, 1)](x, x, out, 64, 64)
    assert out.eq(2).all()


def test_launch_hooks():
    names = []

    def hook(metadata):
        names.append(metadata.get()["name"])

    runtime = triton.knobs.runtime
    runtime.launch_enter_hook.add(hook)
    runtime.launch_exit_hook.add(hook)
    try:
        compiled_add()
    finally:
        runtime.launch_enter_hook.remove(hook)
        runtime.launch_exit_hook.remove(hook)
    assert names == ["add_kernel", "add_kernel"]


def test_kernel_that_nvidias_backend_compiled(monkeypatch):
    monkeypatch.setenv("TRITON_DEFAULT_FP_FUSION", "1")  # Triton 3.9 warns where nobody chooses
    from triton.backends.nvidia.compiler import CUDABackend
    from triton.compiler.compiler import ASTSource

    names = {"x_ptr": "*fp32", "y_ptr": "*fp32", "out_ptr": "*fp32", "n_elements": "i32", "BLOCK_SIZE": "constexpr"}
    source = ASTSource(add_kernel, names, {"BLOCK_SIZE": 64})
    backends = triton.backends.backends
    claimed = backends["nvidia"]
    backends["nvidia"] = triton.backends.Backend(CUDABackend, claimed.driver)
    try:
        compiled = triton.compile(source, target=triton.backends.compiler.GPUTarget("cuda", 80, 32))
    finally:
        backends["nvidia"] = claimed
    assert "cubin" in dict(compiled.asm)
    x, out = torch.ones(64), torch.empty(64)
    compiled[(1, 1, 1)](x, x, out, 64, 64)
    assert out.eq(2).all()


# Tuning and timing

CONFIGS = [
    triton.Config({"BLOCK_SIZE": size}, num_warps=warps) for size, warps in ((32, 4), (256, 4), (1024, 4), (4096, 16))
]


def tuned_add(**options):
    return triton.autotune(CONFIGS, key=["n_elements"], **options)(add_kernel)


def run_tuned(tuned, n=1 << 20):
    x, y, out = torch.ones(n), torch.ones(n), torch.empty(n)
    tuned[lambda meta: (triton.cdiv(n, meta["BLOCK_SIZE"]),)](x, y, out, n)
    assert out.eq(2).all()
    return {str(config): timing for config, timing in tuned.configs_timings.items()}


def test_autotune_is_deterministic():
    first, second = tuned_add(), tuned_add()
    assert run_tuned(first) == run_tuned(second)
    assert first.best_config == second.best_config
    timings = {str(config): timing[0] for config, timing in first.configs_timings.items()}
    assert timings[str(first.best_config)] == min(timings.values())
    # Blocks of 32 elements go through the GPU in so many waves that latency, not bandwidth, binds.
    assert timings[str(CONFIGS[0])] > 1.2 * min(timings.values())


def test_trials_of_autotuning_are_not_shown():
    seen = []
    with observe(seen.append):
        run_tuned(tuned_add(), n=1000)
    assert len(seen) == 1


def test_autotune_reset_to_zero():
    @triton.autotune(CONFIGS[:3], key=["n_elements"], reset_to_zero=["out_ptr"])
    @triton.jit
    def accumulate_kernel(x_ptr, out_ptr, n_elements, BLOCK_SIZE: tl.constexpr):
        offsets = tl.program_id(0) * BLOCK_SIZE + tl.arange(0, BLOCK_SIZE)
        mask = offsets < n_elements
        tl.store(
            out_ptr + offsets, tl.load(out_ptr + offsets, mask=mask) + tl.load(x_ptr + offsets, mask=mask), mask=mask
        )

    out = torch.zeros(500)
    accumulate_kernel[lambda meta: (triton.cdiv(500, meta["BLOCK_SIZE"]),)](torch.ones(500), out, 500)
    assert out.eq(1).all()


def test_autotune_skips_what_does_not_fit():
    target.set_architecture(75)
    configs = [triton.Config({"TILE": tile}) for tile in (128, 32)]
    tuned = triton.autotune(configs, key=["n_rows"])(triton_kernels.transpose_tiled_kernel)
    x = torch.randn(300, 300, dtype=torch.float64)
    out = torch.empty_like(x)
    tuned[lambda meta: (triton.cdiv(300, meta["TILE"]), triton.cdiv(300, meta["TILE"]))](x, out, 300, 300)
    assert torch.equal(out, x.t())
    assert tuned.best_config.kwargs == {"TILE": 32}
    assert tuned.configs_timings[configs[0]] == [float("inf")] * 3


def test_heuristics():
    decorated = triton.heuristics({"BLOCK_SIZE": lambda args: triton.next_power_of_2(args["n_elements"])})(add_kernel)
    x, out = torch.ones(77), torch.empty(77)
    decorated[(1,)](x, x, out, 77)
    assert out.eq(2).all()


def test_do_bench_returns_modelled_time_and_says_so(monkeypatch):
    monkeypatch.setattr(clock, "_warned", set())
    x, y, out = torch.ones(1 << 20), torch.ones(1 << 20), torch.empty(1 << 20)
    calls = []

    def launch():
        calls.append(None)
        add_kernel[(1024,)](x, y, out, 1 << 20, BLOCK_SIZE=1024)

    with pytest.warns(ModelledTimeWarning, match="modelled for A100-SXM4-40GB"):
        first = triton.testing.do_bench(launch)
    assert len(calls) < 20
    assert triton.testing.do_bench(launch) == first
    # 12 MiB at the A100's measured bandwidth take 9.3 us, a launch 2 us.
    assert 0.009 < first < 0.013
    assert clock.benchmark(launch, quantiles=(0.5, 0.2, 0.8)) == pytest.approx([first] * 3)


def test_do_bench_refuses_what_has_no_modelled_time():
    with pytest.raises(NoLaunchError, match="expected a kernel launch"):
        triton.testing.do_bench(lambda: torch.ones(10) + 1)


def test_a_benchmark_in_a_graph_is_modelled_too(monkeypatch):
    """Where there is a device it captures a graph and replays it; here there is none to capture."""
    monkeypatch.setattr(clock, "_warned", {"A100-SXM4-40GB"})
    weight = torch.ones(1 << 20, requires_grad=True)
    weight.grad = torch.ones(1 << 20)
    y, out, calls = torch.ones(1 << 20), torch.empty(1 << 20), []

    def launch():
        calls.append(weight.grad)
        add_kernel[(1024,)](weight.detach(), y, out, 1 << 20, BLOCK_SIZE=1024)

    in_graph = triton.testing.do_bench_cudagraph(launch, grad_to_none=[weight])
    assert calls == [None]
    assert in_graph == triton.testing.do_bench(launch)
    assert triton.testing.do_bench_cudagraph(launch, quantiles=(0.5, 0.2)) == [in_graph] * 2
    assert triton.testing.do_bench_cudagraph(launch, quantiles=(0.5,)) == in_graph
    assert triton.testing.do_bench_cudagraph(launch, return_mode="all") == [in_graph]
    with pytest.raises(NoLaunchError, match="in the function that is timed"):
        triton.testing.do_bench_cudagraph(lambda: torch.ones(10) + 1)


@pytest.mark.filterwarnings("ignore:warmup, rep, and use_cuda_graph:DeprecationWarning")
def test_tuning_in_graphs_chooses_as_tuning_without(monkeypatch):
    """Flash-linear-attention and others ask for ``use_cuda_graph=True``."""
    monkeypatch.setattr(clock, "_warned", {"A100-SXM4-40GB"})
    chosen = []
    for how in ({"use_cuda_graph": True}, {}):
        configs = [triton.Config({"BLOCK_SIZE": size}, num_warps=4) for size in (64, 1024)]
        tuned = triton.autotune(configs=configs, key=["n_elements"], **how)(add_kernel)
        x, y, out = torch.ones(1 << 16), torch.ones(1 << 16), torch.empty(1 << 16)
        seen = []
        with observe(seen.append):
            tuned[lambda meta: (triton.cdiv(1 << 16, meta["BLOCK_SIZE"]),)](x, y, out, 1 << 16)
        assert len(seen) == 1
        assert out.eq(2).all()
        chosen.append(tuned.best_config.kwargs)
    assert chosen[0] == chosen[1]


def test_device_properties_are_the_modelled_gpus():
    driver = triton.runtime.driver.active
    properties = driver.utils.get_device_properties(driver.get_current_device())
    assert properties["multiprocessor_count"] == 108
    assert properties["max_shared_mem"] == 166_912
    assert triton.testing.get_dram_gbps() == pytest.approx(1555, rel=1e-3)
    assert driver.get_active_torch_device() == torch.device("cpu")
    assert driver.get_device_capability() == (8, 0)


# Other people's machines


def test_a_gpu_keeps_its_own_driver(monkeypatch):
    from teachkit.frontends.triton_backend.driver import EmulatorDriver

    assert EmulatorDriver.is_active()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert not EmulatorDriver.is_active()
    monkeypatch.setenv("TEACHKIT_EMULATE", "1")
    assert EmulatorDriver.is_active()


def test_cache_key_starts_with_our_name_and_version():
    import teachkit
    from teachkit.frontends.triton_backend.compiler import EmulatorBackend

    backend = EmulatorBackend(triton.backends.compiler.GPUTarget("cpu", "", 32))
    assert backend.hash().startswith(f"teachkit-{teachkit.__version__}")
    assert backend.target.arch == 80
    options = backend.parse_options({})
    assert (options.arch, options.enable_fp_fusion) == ("sm80", True)


def test_a_cache_that_would_keep_cubins_alone(monkeypatch, tmp_path):
    """TRITON_STORE_BINARY_ONLY=1 leaves out what Triton does not know as a binary; the emulator loads PTX."""
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(triton.knobs.compilation, "store_binary_only", True)
    for _ in range(2):  # compiled, then from the cache
        add_kernel.device_caches.clear()
        assert launch_add(torch.ones(100), torch.ones(100)).eq(2).all()
    assert list(tmp_path.rglob("*.emulated"))


def test_warnings_are_not_needed_to_autotune():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_tuned(tuned_add(), n=5000)
