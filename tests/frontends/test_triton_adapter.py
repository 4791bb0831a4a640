"""Probes of what Triton keeps private: a failure names the assumption and the version in which it held."""

from __future__ import annotations

import dataclasses
import inspect

import pytest
import torch
import triton
from triton.backends import Backend, backends
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.backends.nvidia.compiler import CUDABackend, CUDAOptions
from triton.compiler.compiler import AsmDict, ASTSource, CompiledKernel, make_backend
from triton.runtime import _allocation
from triton.runtime.autotuner import Autotuner
from triton.runtime.cache import get_cache_manager
from triton.runtime.jit import JITFunction

from teachkit.frontends import triton_adapter
from teachkit.frontends.triton_backend.clock import benchmark_graph
from teachkit.frontends.triton_backend.compiler import EmulatorBackend
from tests.frontends.triton_kernels import add_kernel

HELD = f"held in Triton 3.7 to 3.9; this is {triton.__version__}: adapt teachkit/frontends/triton_adapter.py"


def parameters(function):
    return list(inspect.signature(function).parameters)


def probe(condition, what):
    assert condition, f"{what} {HELD}"


def test_registry_of_back_ends():
    probe(isinstance(backends, dict) and {"cpu", "nvidia"} <= set(backends), "triton.backends.backends maps names")
    probe([f.name for f in dataclasses.fields(Backend)] == ["compiler", "driver"], "Backend has compiler and driver")


def test_each_target_has_one_back_end():
    assert triton.runtime.driver.active.get_current_target().backend == "cuda"
    assert type(make_backend(GPUTarget("cpu", "", 32))) is EmulatorBackend
    assert isinstance(make_backend(GPUTarget("cuda", 80, 32)), EmulatorBackend)
    triton_adapter.claim_cuda_target()
    triton_adapter.install_lazy_binaries()
    assert isinstance(make_backend(GPUTarget("cuda", 90, 32)), EmulatorBackend)


def test_compiler_interface():
    probe(parameters(CUDABackend.add_stages) == ["self", "stages", "options", "language"], "add_stages' parameters")
    stages = {}
    backend = CUDABackend(GPUTarget("cuda", 80, 32))
    backend.add_stages(
        stages, backend.parse_options({"enable_fp_fusion": True}), triton.backends.compiler.Language.TRITON
    )
    probe(list(stages)[-2:] == ["ptx", "cubin"], "the last stages are ptx and cubin")
    fields = {field.name for field in dataclasses.fields(CUDAOptions)}
    probe({"arch", "ptx_version", "enable_fp_fusion", "num_warps", "num_ctas"} <= fields, "CUDAOptions' fields")


def test_driver_interface():
    abstract = DriverBase.__abstractmethods__
    known = {
        "is_active",
        "map_python_to_cpp_type",
        "get_current_target",
        "get_active_torch_device",
        "get_benchmarker",
    }
    probe(abstract <= known, f"a driver implements {sorted(known)}, now {sorted(abstract)}")


def test_benchmark_in_a_graph():
    names = ["fn", "rep", "grad_to_none", "quantiles", "return_mode"]
    probe(parameters(triton.testing.do_bench_cudagraph) == names, "do_bench_cudagraph's parameters")
    probe(parameters(benchmark_graph) == names, "benchmark_graph's parameters")


def test_compiled_kernel():
    source = inspect.getsource(CompiledKernel._init_handles)
    probe("self.n_regs, self.n_spills, self.n_max_threads" in source, "_init_handles assigns n_regs and n_spills")
    probe("launcher_cls(self.src, self.metadata)" in source, "launchers are made from source and metadata")
    source = inspect.getsource(JITFunction.run)
    call = "kernel.run(grid_0, grid_1, grid_2, stream, kernel.function, kernel.packed_metadata, launch_metadata,"
    probe(call in source, "the call of a launcher")
    probe("__missing__" in vars(AsmDict), "AsmDict makes SASS on demand")


def test_source_and_metadata_of_a_compiled_kernel():
    x = torch.ones(64)
    compiled = add_kernel.warmup(x, x, x, 64, BLOCK_SIZE=64, grid=(1,))
    probe(isinstance(compiled.src, ASTSource), "a compiled kernel keeps its ASTSource")
    kinds = ["*fp32", "*fp32", "*fp32", "i32", "constexpr"]
    probe(list(compiled.src.signature.values()) == kinds, "a signature maps names to type names")
    sizes = {"global_scratch_size", "global_scratch_align", "profile_scratch_size", "profile_scratch_align"}
    probe(sizes <= set(compiled.metadata._fields), "metadata has the scratch sizes")
    probe({"hash", "name", "num_warps", "shared"} <= set(compiled.metadata._fields), "metadata has names and sizes")
    group = get_cache_manager(compiled.hash).get_group("add_kernel.json")
    probe(group is not None and "add_kernel.ptx" in group, "the disk cache is a group of files by kernel name")
    names = [argument.name for argument in triton_adapter.runtime_arguments(compiled.src)]
    assert names == ["x_ptr", "y_ptr", "out_ptr", "n_elements"]
    probe(triton_adapter.n_ptx_parameters(compiled.asm["ptx"]) - len(names) == 2, "PTX has two hidden parameters")


def test_allocators():
    probe(hasattr(_allocation._allocator, "get"), "triton.runtime._allocation._allocator is a context variable")
    probe(hasattr(_allocation._profile_allocator, "get"), "_profile_allocator has get()")


def test_scratch_comes_from_the_programs_allocator():
    sizes = {"global_scratch_size": 16, "global_scratch_align": 8, "profile_scratch_size": 0, "num_ctas": 1}
    metadata = dataclasses.make_dataclass("Metadata", sizes)(**sizes)
    allocate = triton_adapter.scratch_allocator(metadata)
    nobodys = _allocation._allocator.set(_allocation._NULL_ALLOCATOR)
    try:
        with pytest.raises(RuntimeError, match="allocator"):
            allocate(3, 0)
        asked = []
        triton.set_allocator(lambda *request: asked.append(request) or torch.empty(request[0], dtype=torch.int8))
        buffer, profile = allocate(3, 0)

        class OnGpu(torch.Tensor):
            is_cuda = property(lambda self: True)

        # A program for a GPU allocates there; its launch is run on the emulator once more.
        triton.set_allocator(lambda size, *_: torch.empty(size, dtype=torch.int8).as_subclass(OnGpu))
        elsewhere, _ = allocate(3, 0)
    finally:
        _allocation._allocator.reset(nobodys)
    assert (asked, buffer.numel(), profile) == ([(48, 8, 0)], 48, None)
    assert (elsewhere.shape, elsewhere.is_cuda) == ((48,), False)


def test_what_the_hardware_profiler_wraps():
    probe(parameters(JITFunction.run) == ["self", "args", "grid", "warmup", "kwargs"], "JITFunction.run's parameters")
    probe(parameters(Autotuner._bench) == ["self", "args", "config", "meta"], "Autotuner._bench's parameters")
