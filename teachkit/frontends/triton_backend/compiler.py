"""Triton's compiler for the emulator: NVIDIA's pipeline as far as PTX; ``ptxas`` is left for those who ask.

Exactly one concrete backend class may be visible in this module: Triton's discovery takes whatever it finds.
"""

from __future__ import annotations

import os
from typing import Any

import triton
import triton.backends.nvidia.compiler as nvidia
from triton.backends.compiler import GPUTarget

import teachkit

BINARY_EXTENSION = "emulated"
"""What the emulator loads: the PTX text as bytes, under a name of its own so that ``asm["ptx"]`` stays text."""

# The PTX dialect decides what LLVM may emit. Triton takes that of the ptxas it finds, so another ptxas would change the
# counts; ours is fixed.
_PTX_VERSION = 87
_PTX_VERSION_BLACKWELL = 90


class EmulatorBackend(nvidia.CUDABackend):  # type: ignore[misc]  # Triton has no types
    """Compiles ``@triton.jit`` functions to PTX for the modelled architecture.

    Target ``cpu`` is what Inductor and the profiler ask for; the same class under target ``cuda`` serves plain
    Triton programs (:func:`teachkit.frontends.triton_adapter.claim_cuda_target`).
    """

    backend = "cpu"

    @classmethod
    def supports_target(cls, target: GPUTarget) -> bool:
        """Whether this class compiles for ``target``."""
        return bool(target.backend == cls.backend)

    def __init__(self, target: GPUTarget) -> None:
        # Inductor names no architecture for a CPU; then the modelled one is meant.
        from teachkit.frontends.target import architecture

        arch = target.arch if isinstance(target.arch, int) else architecture()
        super().__init__(GPUTarget(target.backend, arch, 32))
        self.binary_ext = BINARY_EXTENSION
        # TRITON_STORE_BINARY_ONLY=1 keeps cubins, and would leave out what the emulator loads.
        triton.knobs.compilation.store_binary_only = False

    def parse_options(self, opts: dict[str, Any]) -> Any:
        """Options of one compilation, with the architecture, the PTX dialect and fma fusion pinned."""
        pinned = dict(opts)
        pinned["arch"] = f"sm{self.target.arch}"
        if pinned.get("ptx_version") is None:
            pinned["ptx_version"] = _PTX_VERSION if self.target.arch < 100 else _PTX_VERSION_BLACKWELL
        if pinned.get("enable_fp_fusion") is None and "TRITON_DEFAULT_FP_FUSION" not in os.environ:
            pinned["enable_fp_fusion"] = True
        return super().parse_options(pinned)

    def add_stages(self, stages: dict[str, Any], options: Any, language: Any) -> None:
        """Stages up to PTX; the last one only passes it on as bytes."""
        super().add_stages(stages, options, language)
        stages.pop("cubin")
        stages[BINARY_EXTENSION] = lambda src, metadata: src.encode()

    def hash(self) -> str:
        """Name under which Triton's disk cache keeps what this backend compiled."""
        return f"teachkit-{teachkit.__version__}-{self.backend}-sm{self.target.arch}"
