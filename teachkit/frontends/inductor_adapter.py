"""The one module that touches what Inductor keeps private: its view of the device, and how it times candidates.

With ``torch._inductor.config.cpu_backend = "triton"`` Inductor writes Triton kernels for CPU tensors, which run on the
emulator. By itself it would shape them for this machine's CPU and time them by the wall clock; here it is told about
the modelled GPU and gets modelled time. The plug-in installs this as soon as Inductor is imported, and it acts only
while ``cpu_backend`` is ``"triton"``. Holds for torch 2.13; tests/frontends/test_inductor_adapter.py probes it.
Not modelled: flex_attention on CPU tensors, which Inductor does not lower to Triton.
"""

from __future__ import annotations

import contextlib
import functools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from teachkit.errors import CompileOptionError
from teachkit.frontends import target

_TAG = "teachkit-"


def install() -> None:
    """Tell Inductor about the modelled GPU from now on; calling it again changes nothing."""
    from torch._inductor.runtime.hints import DeviceProperties

    if getattr(DeviceProperties.create, "knows_modelled_gpu", False):
        return
    original = DeviceProperties.create

    @functools.wraps(original)
    def create(cls: Any, device: Any) -> Any:
        return _modelled(cls, device) if _is_emulated(device) else original(device)

    # Not cached: the modelled GPU may change.
    create.knows_modelled_gpu = True  # type: ignore[attr-defined]
    DeviceProperties.create = classmethod(create)  # type: ignore[assignment, method-assign]
    target.on_change(_tag_caches)
    _tag_caches()


def mend_benchmark_kernels() -> None:
    """Have Inductor write candidates for CPU tensors that Python can read; calling it again changes nothing.

    It pastes the function ``get_raw_stream`` into indented text, where two lines of it end at the wrong column; so
    it gets one line. It also enters the device that a candidate is for, which nobody has written for CPUs.
    """
    from torch._dynamo.device_interface import CpuInterface
    from torch._inductor.codegen.cpu_device_op_overrides import CpuDeviceOpOverrides

    def import_get_raw_stream_as(self: Any, name: str) -> str:
        return "get_raw_stream = lambda _: 0"

    CpuDeviceOpOverrides.import_get_raw_stream_as = import_get_raw_stream_as  # type: ignore[method-assign]
    CpuInterface.device = contextlib.nullcontext  # type: ignore[assignment, misc]


def triton_options() -> dict[str, Any]:
    """Options of ``torch.compile`` with which CPU tensors get Triton kernels, compiled in this process.

    A worker process would compile the same, but takes seconds and memory to start. A template takes its epilogue in
    without trials of that too: their launches cannot be told from the program's.
    """
    return {"cpu_backend": "triton", "compile_threads": 1, "benchmark_epilogue_fusion": False}


def checked_options(mode: str | None, options: Mapping[str, Any] | None, dynamic: bool | None) -> dict[str, Any]:
    """Options of ``torch.compile`` that ``mode`` stands for, then ``options`` over them."""
    import torch._inductor

    of_mode = torch._inductor.list_mode_options(mode, dynamic) if mode and mode != "default" else {}
    return {key.replace("-", "_"): value for key, value in {**of_mode, **(options or {})}.items()}


@contextlib.contextmanager
def triton_for_cpu_tensors() -> Iterator[None]:
    """Compile for the modelled GPU inside the block: ``torch.compile`` of CPU functions makes Triton kernels.

    Compilation happens at the first call of a compiled function, and of its backward pass, so these belong inside.
    """
    import torch._inductor.config as config

    install()
    use_modelled_benchmarks()
    with config.patch(**triton_options()):
        yield


def use_modelled_benchmarks() -> None:
    """Have Inductor price Triton candidates on CPU tensors from now on; candidates without a kernel as it did before.

    By the wall clock it would launch each candidate for 0.1 s and more, and its choice would depend on the machine.
    """
    from torch._inductor.runtime import benchmarking

    before = benchmarking._BENCHMARK_DISPATCH["cpu"]
    if getattr(before, "prices_kernels", False):
        return
    benchmarking.register_benchmarker("cpu", _priced(before), override=True)
    # Templates are compared by a way of their own.
    benchmarking.Benchmarker.benchmark_cpu = _priced(benchmarking.Benchmarker.benchmark_cpu)  # type: ignore[method-assign]


def _priced(before: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(before)
    def benchmark(self: Any, call: Callable[[], Any], *args: Any, **options: Any) -> Any:
        from teachkit.emulator.launches import observe_alone
        from teachkit.frontends.triton_backend.clock import ModelledClock

        clock = ModelledClock()
        with observe_alone(clock.add):
            call()
        if clock.n_launches:
            return clock.picoseconds / 1e9
        return before(self, call, *args, **options)

    benchmark.prices_kernels = True  # type: ignore[attr-defined]
    return benchmark


def _is_emulated(device: Any) -> bool:
    """Whether Inductor writes Triton kernels for ``device`` that the emulator will run."""
    config = sys.modules.get("torch._inductor.config")
    if device.type != "cpu" or config is None or config.cpu_backend != "triton":
        return False
    from teachkit.frontends.triton_backend.driver import EmulatorDriver

    return EmulatorDriver.is_active()


def _modelled(cls: Any, device: Any) -> Any:
    gpu = target.modelled_gpu()
    return cls(
        type=device.type,
        index=device.index,
        multi_processor_count=gpu.n_sms,
        cc=target.architecture(),
        major=gpu.compute_capability[0],
        regs_per_multiprocessor=gpu.registers_per_sm,
        max_threads_per_multi_processor=gpu.max_threads_per_sm,
        max_threads_per_block=1024,
        warp_size=32,
    )


def _tag_caches() -> None:
    """Key Inductor's caches by the modelled GPU: a graph is shaped for it, but not keyed by it."""
    import torch.compiler.config as config

    kept = [part for part in config.cache_key_tag.split() if not part.startswith(_TAG)]
    config.cache_key_tag = " ".join([*kept, _TAG + target.modelled_gpu().name])


def compile_graph(graph: Any, inputs: Sequence[Any], options: Mapping[str, Any]) -> tuple[Callable[..., Any], str]:
    """Compile a graph of ATen operators, without Dynamo and without gradients.

    Parameters
    ----------
    graph : torch.fx.GraphModule
        Takes the inputs one by one and returns a list of tensors.
    inputs : sequence of torch.Tensor
        Examples of its inputs; shapes and strides are fixed by them.
    options : dict
        Options of Inductor, over :func:`triton_options`.

    Returns
    -------
    call : callable
        Takes the inputs one by one.
    source : str
        The Python program that Inductor wrote: kernels, and a function ``call`` that launches them.

    Raises
    ------
    CompileOptionError
        If Inductor cannot compile the graph under these options.
    """
    import torch
    import torch._functorch.config as functorch_config
    from torch._dynamo.exc import TorchDynamoException
    from torch._inductor import config
    from torch._inductor.compile_fx import compile_fx, compile_fx_inner

    sources: list[str] = []

    def inner_compile(*args: Any, **kwargs: Any) -> Any:
        code = compile_fx_inner(*args, **kwargs)
        sources.append(getattr(code, "source_code", "") or "")
        return code

    chosen = {**triton_options(), **options}
    with torch.no_grad(), config.patch(chosen), functorch_config.patch(enable_autograd_cache=False):
        try:
            call: Any = compile_fx(graph, inputs, inner_compile=inner_compile)
        except TorchDynamoException as error:
            raise CompileOptionError(
                f"Expected a graph that Inductor compiles, got {type(error).__name__}: {error}",
                hint="run the operator without compiling it.",
            ) from error
    return call, "\n".join(sources)
