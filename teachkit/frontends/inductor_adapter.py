"""The one module that touches what Inductor keeps private: its view of the device, and how it times candidates.

With ``torch._inductor.config.cpu_backend = "triton"`` Inductor writes Triton kernels for CPU tensors, which run on the
emulator. By itself it would shape them for this machine's CPU and time them by the wall clock; here it is told about
the modelled GPU and gets modelled time. Holds for torch 2.13; tests/frontends/test_inductor_adapter.py probes it.
Not modelled: flex_attention on CPU tensors, which Inductor does not lower to Triton.
"""

from __future__ import annotations

import contextlib
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

from teachkit.frontends.target import architecture, modelled_gpu


@contextlib.contextmanager
def triton_for_cpu_tensors() -> Iterator[None]:
    """Compile for the modelled GPU inside the block: ``torch.compile`` of CPU functions makes Triton kernels.

    Compilation happens at the first call of a compiled function, so that call belongs inside. Grids, reduction splits
    and autotuning are then those of the modelled GPU, whatever this machine is; kernels compile in this process.
    """
    import torch._inductor.config as config
    import torch.compiler.config as compiler_config
    from torch._dynamo.device_interface import CpuInterface
    from torch._inductor.runtime.hints import DeviceProperties

    # Graphs in the disk cache are not keyed by the device that they were shaped for.
    tag = f"{compiler_config.cache_key_tag}teachkit-{modelled_gpu().name}"
    properties = staticmethod(lambda device=None: _properties())
    capability = staticmethod(lambda device=None: architecture())
    with contextlib.ExitStack() as stack:
        stack.callback(DeviceProperties.create.cache_clear)
        stack.enter_context(mock.patch.object(CpuInterface, "get_device_properties", properties))
        stack.enter_context(mock.patch.object(CpuInterface, "get_compute_capability", capability))
        stack.enter_context(config.patch(cpu_backend="triton", compile_threads=1))
        stack.enter_context(compiler_config.patch(cache_key_tag=tag))  # type: ignore[attr-defined]
        stack.enter_context(modelled_benchmarks())
        DeviceProperties.create.cache_clear()
        yield


@contextlib.contextmanager
def modelled_benchmarks() -> Iterator[None]:
    """Inside the block Inductor compares candidates on CPU tensors by modelled time."""
    from torch._inductor.runtime import benchmarking

    before = benchmarking._BENCHMARK_DISPATCH["cpu"]
    use_modelled_benchmarks()
    try:
        yield
    finally:
        benchmarking.register_benchmarker("cpu", before, override=True)


def use_modelled_benchmarks() -> None:
    """Have Inductor price Triton candidates on CPU tensors from now on; candidates without a kernel as it did before.

    By the wall clock it would launch each candidate for 0.1 s and more, and its choice would depend on the machine.
    """
    from torch._inductor.runtime import benchmarking

    from teachkit.emulator.launches import observe_alone
    from teachkit.frontends.triton_backend.clock import ModelledClock

    before = benchmarking._BENCHMARK_DISPATCH["cpu"]
    if getattr(before, "prices_kernels", False):
        return

    def benchmark(self: Any, call: Callable[[], Any], *, warmup: int, rep: int, **options: Any) -> Any:
        clock = ModelledClock()
        with observe_alone(clock.add):
            call()
        if clock.n_launches:
            return clock.picoseconds / 1e9
        return before(self, call, warmup=warmup, rep=rep, **options)

    benchmark.prices_kernels = True  # type: ignore[attr-defined]
    benchmarking.register_benchmarker("cpu", benchmark, override=True)


def _properties() -> types.SimpleNamespace:
    gpu = modelled_gpu()
    return types.SimpleNamespace(
        name=gpu.product,
        multi_processor_count=gpu.n_sms,
        major=gpu.compute_capability[0],
        minor=gpu.compute_capability[1],
        regs_per_multiprocessor=gpu.registers_per_sm,
        max_threads_per_multi_processor=gpu.max_threads_per_sm,
        max_threads_per_block=1024,
        warp_size=32,
        total_memory=gpu.dram_bytes,
        shared_memory_per_block_optin=gpu.shared_bytes_per_block_max,
        L2_cache_size=gpu.l2_bytes,
    )
