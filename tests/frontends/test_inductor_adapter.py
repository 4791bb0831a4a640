"""Inductor's Triton kernels on the emulator: shaped for the modelled GPU, priced and not timed, correct."""

from __future__ import annotations

import pytest
import torch
import torch._inductor.codegen.cpu_device_op_overrides
import torch._inductor.config
import torch.nn.functional as F
from torch._inductor.runtime import benchmarking
from torch._inductor.runtime.hints import DeviceProperties

from teachkit.emulator import observe
from teachkit.frontends import target
from teachkit.frontends.inductor_adapter import triton_for_cpu_tensors, use_modelled_benchmarks

pytestmark = pytest.mark.filterwarnings("default")  # PyTorch's own deprecations


@pytest.fixture(autouse=True)
def fresh_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path))
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
    target.set_architecture(None)


def compiled(function, *inputs):
    """Result of the compiled function, and the launches of its first call."""
    seen = []
    with triton_for_cpu_tensors(), observe(seen.append):
        out = torch.compile(function)(*inputs)
    return out, seen


def layer_norm_gelu_dropout(x, weight, bias):
    return F.dropout(F.gelu(F.layer_norm(x, (x.shape[1],), weight, bias)), 0.1, training=True)


FUNCTIONS = {
    "softmax": (lambda x: torch.softmax(x, -1), 1),
    "layer_norm_gelu": (lambda x: F.gelu(F.layer_norm(x, (x.shape[1],))), 1),
    "bias_gelu_residual": (lambda x: F.gelu(x + x[0], approximate="tanh") + x, 1),
    "column_sum": (lambda x: (x * 2).sum(0), None),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fused_functions_are_right_and_few_kernels(name):
    function, n_kernels = FUNCTIONS[name]
    x = torch.randn(123, 257, generator=torch.Generator().manual_seed(0))
    out, seen = compiled(function, x)
    torch.testing.assert_close(out, function(x), rtol=1e-5, atol=1e-5)
    assert seen
    assert n_kernels is None or len(seen) == n_kernels
    assert all(launch.name.startswith("triton_") for launch in seen)


def test_chain_with_dropout_is_one_kernel_that_drops_a_tenth():
    x = torch.randn(64, 1000, generator=torch.Generator().manual_seed(0))
    out, seen = compiled(layer_norm_gelu_dropout, x, torch.ones(1000), torch.zeros(1000))
    assert len(seen) == 1
    kept = out != 0
    assert 0.88 < kept.float().mean() < 0.92
    expected = F.gelu(F.layer_norm(x, (1000,))) / 0.9
    torch.testing.assert_close(out[kept], expected[kept], rtol=1e-5, atol=1e-5)


def test_kernels_are_shaped_for_the_modelled_gpu():
    cpu = torch.device("cpu")
    with triton_for_cpu_tensors():
        properties = DeviceProperties.create(cpu)
        assert (properties.multi_processor_count, properties.cc, properties.warp_size) == (108, 80, 32)
        assert "teachkit-A100-SXM4-40GB" in torch.compiler.config.cache_key_tag
        target.set_architecture(90)
        assert DeviceProperties.create(cpu).multi_processor_count == 132
        assert "teachkit-H100-SXM5-80GB" in torch.compiler.config.cache_key_tag
    assert DeviceProperties.create(cpu).cc == ""  # the C++ back end's view is as it was


def test_split_of_a_reduction_does_not_depend_on_this_machine(monkeypatch):
    x = torch.randn(1 << 20)
    _, (first, second) = compiled(torch.sum, x)
    monkeypatch.setattr("multiprocessing.cpu_count", lambda: 7)
    torch._dynamo.reset()
    _, again = compiled(torch.sum, x)
    assert [launch.grid for launch in again] == [first.grid, second.grid]


def test_candidates_are_priced_and_not_timed(monkeypatch):
    monkeypatch.setattr(benchmarking.Benchmarker, "benchmark_cpu", lambda *args, **kwargs: pytest.fail("timed"))
    x = torch.randn(1 << 16)
    out, seen = compiled(lambda x: torch.relu(x) + 1, x)
    assert torch.equal(out, torch.relu(x) + 1)
    assert len(seen) == 1  # trials are nobody's business


def test_what_the_adapter_relies_on():
    def probe(condition, what):
        assert condition, f"{what} held in torch 2.13; this is {torch.__version__}: adapt inductor_adapter.py"

    probe("cpu" in benchmarking._BENCHMARK_DISPATCH, "benchmarkers are registered by device type")
    fields = "type index multi_processor_count cc major regs_per_multiprocessor max_threads_per_multi_processor"
    probe(DeviceProperties._fields == (*fields.split(), "max_threads_per_block", "warp_size"), "DeviceProperties")
    probe(isinstance(torch.compiler.config.cache_key_tag, str), "caches take a tag")
    probe("max_autotune" in torch._inductor.list_mode_options("max-autotune", None), "modes are sets of options")
    overrides = torch._inductor.codegen.cpu_device_op_overrides.CpuDeviceOpOverrides()
    probe(overrides.import_get_raw_stream_as("get_raw_stream") == "get_raw_stream = lambda _: 0", "candidates' stream")
    config = torch._inductor.config
    probe(config.cpu_backend == "cpp", "the C++ back end is the default")
    probe({"compile_threads", "cpu_backend"} <= config.get_config_copy().keys(), "both are options of torch.compile")


def test_candidates_without_a_kernel_are_timed_as_before():
    assert benchmarking._BENCHMARK_DISPATCH["cpu"].prices_kernels
    use_modelled_benchmarks()
    assert benchmarking.benchmarker.benchmark(lambda: sum(range(1000)), device="cpu", warmup=1, rep=1) > 0
