"""Triton's driver for the emulator: one device per modelled architecture, CPU tensors for memory.

Exactly one concrete driver class may be visible in this module: Triton's discovery takes whatever it finds.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Callable
from typing import Any

from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase

from teachkit.frontends import import_hook
from teachkit.hardware.device import SWITCH, uses_cuda

_CUBIN_MAGIC = b"\x7fELF"
_MAX_THREADS_PER_BLOCK = 1024
_REGISTERS_PER_BLOCK = 65_536

if os.environ.get(SWITCH) == "1":
    # With a GPU, NVIDIA's driver is active too, and Triton wants a choice between two.
    os.environ.setdefault("TRITON_DEFAULT_BACKEND", "cpu")


def _shape_for_the_modelled_gpu() -> None:
    from teachkit.frontends.inductor_adapter import install

    install()


def _price_candidates() -> None:
    from teachkit.frontends.inductor_adapter import use_modelled_benchmarks

    use_modelled_benchmarks()


def _mend_candidates() -> None:
    from teachkit.frontends.inductor_adapter import mend_benchmark_kernels

    mend_benchmark_kernels()


def _price_graphs() -> None:
    from teachkit.frontends import triton_adapter

    triton_adapter.price_graphs()


def _bring_launches_to_the_emulator() -> None:
    from teachkit.emulator import launches

    def bring() -> contextlib.AbstractContextManager[None]:
        from teachkit.frontends.triton_hardware import bring_to_the_emulator

        return bring_to_the_emulator()

    launches.on_hardware.append(bring)


# With a GPU, checks and traces would not see what runs on it.
import_hook.after_import("teachkit.emulator.launches", _bring_launches_to_the_emulator)
import_hook.after_import("triton.testing", _price_graphs)
# Inductor decides on grids and splits before it asks for a driver, and may compile in other processes.
import_hook.after_import("torch._inductor.runtime.hints", _shape_for_the_modelled_gpu)
import_hook.after_import("torch._inductor.runtime.benchmarking", _price_candidates)
import_hook.after_import("torch._inductor.codegen.cpu_device_op_overrides", _mend_candidates)


class EmulatorDriver(DriverBase):  # type: ignore[misc]  # Triton has no types
    """Runs compiled kernels on the emulator. Triton makes one, the first time it needs a driver."""

    def __init__(self) -> None:
        super().__init__()
        from teachkit.frontends import triton_adapter

        triton_adapter.claim_cuda_target()
        triton_adapter.install_lazy_binaries()
        self.utils = EmulatorUtils()

    @property
    def launcher_cls(self) -> Any:
        """Class whose instances launch one compiled kernel each; the emulator is imported with the first."""
        from teachkit.frontends.triton_backend.launcher import EmulatorLauncher

        return EmulatorLauncher

    @classmethod
    def is_active(cls) -> bool:
        """Whether kernels are to be emulated: there is no GPU that PyTorch could use, or ``TEACHKIT_EMULATE=1``."""
        if os.environ.get(SWITCH) == "1":
            return True
        try:
            return not uses_cuda()
        except ImportError:  # without torch there are no tensors to emulate with
            return False

    def get_current_target(self) -> GPUTarget:
        """Architecture to compile for; it is called ``cuda`` because programs ask for that name."""
        from teachkit.frontends.target import architecture

        return GPUTarget("cuda", architecture(), 32)

    def get_current_device(self) -> int:
        """Ordinal of the emulated device."""
        from teachkit.frontends.target import device_ordinal

        return device_ordinal()

    def set_current_device(self, device: int) -> None:
        """Make another emulated device the current one."""
        from teachkit.frontends.target import architecture_of_device, set_architecture

        set_architecture(architecture_of_device(device))

    def get_current_stream(self, device: int | None = None) -> int:
        """Return the default stream: there are no others."""
        return 0

    def get_device_capability(self, device: int | None = None) -> tuple[int, int]:
        """Compute capability that is modelled."""
        from teachkit.frontends.target import architecture

        return divmod(architecture(), 10)

    def get_active_torch_device(self) -> Any:
        """Return the device of tensors that kernels can use."""
        import torch

        return torch.device("cpu")

    def get_device_interface(self) -> Any:
        """Return what stands in for ``torch.cuda`` while benchmarking."""
        from teachkit.frontends.triton_backend.clock import DeviceInterface

        return DeviceInterface

    def get_benchmarker(self) -> Callable[..., Any]:
        """Return the benchmarker of autotuning: modelled time."""
        from teachkit.frontends.triton_backend.clock import benchmark

        return benchmark

    def get_empty_cache_for_benchmark(self) -> Any:
        """Return a buffer to clear before each timed launch: empty, since emulated launches start cold."""
        import torch

        return torch.empty(0, dtype=torch.int32)

    def clear_cache(self, cache: Any) -> None:
        """See :func:`teachkit.frontends.triton_backend.clock.clear_cache`."""
        from teachkit.frontends.triton_backend.clock import clear_cache

        clear_cache(cache)

    def map_python_to_cpp_type(self, ty: str) -> str:
        """C++ name of a Triton type, for launchers that Inductor writes as C++."""
        from triton.backends.nvidia.driver import ty_to_cpp

        return str(ty_to_cpp(ty))


class EmulatorUtils:
    """What Triton asks of a device: its limits, and to load a binary."""

    def get_device_properties(self, device: int) -> dict[str, int]:
        """Limits of an emulated device, under the names of Triton's CUDA driver; clocks in kHz, bus width in bits."""
        from teachkit.frontends.target import architecture_of_device, modelled_gpu

        gpu = modelled_gpu(architecture_of_device(device))
        mem_bus_width, mem_clock_rate = _memory_bus(gpu.dram_bytes_per_s)
        return {
            "max_shared_mem": gpu.shared_bytes_per_block_max,
            "max_num_regs": _REGISTERS_PER_BLOCK,
            "multiprocessor_count": gpu.n_sms,
            "warpSize": 32,
            "sm_clock_rate": round(gpu.clock_hz / 1e3),
            "mem_clock_rate": mem_clock_rate,
            "mem_bus_width": mem_bus_width,
        }

    def load_binary(self, name: str, kernel: bytes, shared: int, device: int) -> tuple[Any, Any, Any, Any, int]:
        """Load a kernel.

        Returns
        -------
        tuple
            Module, function, registers a thread, 4-byte words of stack a thread (Triton's spills), most threads a
            block. The counts are functions: ``ptxas`` runs when they are read.
        """
        from teachkit.frontends.target import architecture_of_device
        from teachkit.frontends.triton_backend.launcher import Binary

        ptx = None if kernel.startswith(_CUBIN_MAGIC) else kernel.decode()
        binary = Binary(ptx, architecture_of_device(device))
        if ptx is None:
            return binary, binary, None, None, _MAX_THREADS_PER_BLOCK
        n_regs = functools.partial(_n_registers, ptx, name)
        n_spills = functools.partial(_n_spilled_words, ptx, name)
        return binary, binary, n_regs, n_spills, _MAX_THREADS_PER_BLOCK

    def unload_module(self, module: Any) -> None:
        """Do nothing: a kernel's memory is freed with its last reference (Triton 3.8 and later ask)."""

    def set_printf_fifo_size(self, n_bytes: int) -> None:
        """Do nothing: the emulator's printf has no fixed buffer."""


def _n_registers(ptx: str, name: str) -> int:
    from teachkit.frontends.resources import assemble

    return assemble(ptx).usage[name].n_registers


def _n_spilled_words(ptx: str, name: str) -> int:
    from teachkit.frontends.resources import assemble

    return assemble(ptx).usage[name].n_stack_bytes // 4


def _memory_bus(dram_bytes_per_s: float) -> tuple[int, int]:
    """Bus width in bits and clock in kHz whose product, twice a clock, is the data sheet's bandwidth."""
    bus_bits = 4096
    return bus_bits, round(dram_bytes_per_s / (2 * bus_bits / 8) / 1e3)
