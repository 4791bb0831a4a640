"""Data sheets of GPUs: one TOML file a device, every number with its unit and its source.

Modelled: nothing; these are facts. Data-sheet values and values measured on hardware are different fields, and so are
dense and sparse (2:4) tensor rates.
Not modelled: clocks that change under load, power limits, multi-instance GPU.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from teachkit.errors import DataSheetError, UnknownGpuError
from teachkit.hardware.sheet import Sheet, by_alias, key, parse, shipped

DEFAULT_GPU_NAME = "A100-SXM4-40GB"
"""The GPU that is modelled where nobody names one; the compilers' default target, sm_80, is its architecture."""

GPU_OF_ARCHITECTURE = {
    70: "V100-SXM2-16GB",
    75: "T4-PCIe-16GB",
    80: DEFAULT_GPU_NAME,
    89: "RTX-4090-24GB",
    90: "H100-SXM5-80GB",
    100: "B200-SXM6-180GB",
}
"""The data sheet that stands for each compute capability, written without the dot."""

_MEASURED_DRAM_RATES = (
    "dram_triad_bytes_per_s",
    "dram_copy_bytes_per_s",
    "dram_read_bytes_per_s",
    "dram_write_bytes_per_s",
)
_ARITHMETIC = (
    *(f"{kind}_flop_per_s" for kind in ("fp64", "fp32", "fp16", "bf16")),
    *(f"tensor_{kind}_flop_per_s" for kind in ("fp64", "tf32", "fp16", "bf16", "fp8", "fp4")),
    *(f"tensor_{kind}_op_per_s" for kind in ("int8", "int4")),
    *(f"sparse_tensor_{kind}_flop_per_s" for kind in ("tf32", "fp16", "bf16", "fp8", "fp4")),
    *(f"sparse_tensor_{kind}_op_per_s" for kind in ("int8", "int4")),
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuSpec(Sheet):
    """Facts about one GPU in SI units, as its vendor states them and as others measured them.

    Rates are per device and dense unless the name starts with ``sparse_``; tensor rates accumulate in float32 (integers
    in int32). ``None`` means that no source was found. Fields that end in ``_bytes_per_s`` under "measured" are what
    kernels reach, ``dram_bytes_per_s`` is what the data sheet promises. ``small_kernel_s`` is the time of a kernel with
    next to no work, one queued behind the other; ``graph_kernel_s`` the same replayed from a CUDA graph.
    ``blocks_per_s`` is how many blocks with next to no work the whole GPU starts, ``block_turnover_s`` the time from a
    block that stores a little to the next one in its place. Where L2 is two halves, ``l2_latency_cycles`` is that of
    the near one and ``l2_far_latency_cycles`` that of a line which only the other holds.
    """

    SECTIONS: ClassVar[tuple[str, ...]] = ("sm", "memory", "clock", "dense", "sparse", "measured")
    TEXT_KEYS: ClassVar[tuple[str, ...]] = (*Sheet.TEXT_KEYS, "compute_capability")
    SCALES: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "dram_bytes_per_s": _MEASURED_DRAM_RATES,
        "n_sms": _ARITHMETIC,
        "clock_hz": (*_ARITHMETIC, "blocks_per_s"),
    }

    compute_capability: tuple[int, int]
    # [sm]
    n_sms: int
    l1_bytes_per_sm: int
    l1_includes_shared: bool
    max_warps_per_sm: int
    max_blocks_per_sm: int
    registers_per_sm: int
    shared_bytes_per_sm: int
    shared_bytes_per_block_max: int
    shared_bytes_reserved_per_block: int
    # [memory]
    l2_bytes: int
    dram_bytes: int
    dram_bytes_per_s: float
    sector_bytes: int
    line_bytes: int
    # [clock]
    clock_hz: float
    # [dense]
    fp64_flop_per_s: float | None = None
    fp32_flop_per_s: float | None = None
    fp16_flop_per_s: float | None = None
    bf16_flop_per_s: float | None = None
    tensor_fp64_flop_per_s: float | None = None
    tensor_tf32_flop_per_s: float | None = None
    tensor_fp16_flop_per_s: float | None = None
    tensor_bf16_flop_per_s: float | None = None
    tensor_fp8_flop_per_s: float | None = None
    tensor_fp4_flop_per_s: float | None = None
    tensor_int8_op_per_s: float | None = None
    tensor_int4_op_per_s: float | None = None
    # [sparse]
    sparse_tensor_tf32_flop_per_s: float | None = None
    sparse_tensor_fp16_flop_per_s: float | None = None
    sparse_tensor_bf16_flop_per_s: float | None = None
    sparse_tensor_fp8_flop_per_s: float | None = None
    sparse_tensor_fp4_flop_per_s: float | None = None
    sparse_tensor_int8_op_per_s: float | None = None
    sparse_tensor_int4_op_per_s: float | None = None
    # [measured]
    dram_triad_bytes_per_s: float | None = None
    dram_copy_bytes_per_s: float | None = None
    dram_read_bytes_per_s: float | None = None
    dram_write_bytes_per_s: float | None = None
    dram_latency_s: float | None = None
    l2_latency_cycles: float | None = None
    l1_latency_cycles: float | None = None
    l2_far_latency_cycles: float | None = None
    l2_bytes_per_s: float | None = None
    l2_copy_bytes_per_s: float | None = None
    l1_bytes_per_cycle_per_sm: float | None = None
    blocks_per_s: float | None = None
    block_turnover_s: float | None = None
    small_kernel_s: float | None = None
    graph_kernel_s: float | None = None

    def __post_init__(self) -> None:
        written: object = self.compute_capability
        if isinstance(written, str):
            major, _, minor = written.partition(".")
            if not (major.isdigit() and minor.isdigit()):
                raise DataSheetError(f"{self.name}: expected a compute capability such as '8.0', got {written!r}.")
            object.__setattr__(self, "compute_capability", (int(major), int(minor)))

    @property
    def sm_arch(self) -> str:
        """Compiler target, for example ``"sm_80"``."""
        return f"sm_{self.compute_capability[0]}{self.compute_capability[1]}"

    @property
    def max_threads_per_sm(self) -> int:
        """Threads that one SM holds at most."""
        return 32 * self.max_warps_per_sm


@functools.cache
def _registry() -> Mapping[str, GpuSpec]:
    return shipped(GpuSpec, "gpus")


@functools.cache
def _aliases() -> Mapping[str, GpuSpec]:
    return by_alias(_registry().values())


def parse_spec(text: str, where: str) -> GpuSpec:
    """Read one GPU's data sheet from TOML text and check it; ``where`` names it in messages.

    Raises
    ------
    DataSheetError
        If it does not follow the schema.
    """
    return parse(GpuSpec, text, where)


def gpu_names() -> tuple[str, ...]:
    """Return the names of the GPUs that have a data sheet, in alphabetical order."""
    return tuple(_registry())


def default_gpu_name(architecture: int) -> str:
    """The GPU that is modelled for code of this compute capability (without the dot) where nobody names one.

    The default, which runs what was made for older GPUs too; else the nearest that is not newer than the code.

    Examples
    --------
    >>> [default_gpu_name(architecture) for architecture in (75, 80, 90, 103)]
    ['A100-SXM4-40GB', 'A100-SXM4-40GB', 'H100-SXM5-80GB', 'B200-SXM6-180GB']
    """
    least = next(number for number, name in GPU_OF_ARCHITECTURE.items() if name == DEFAULT_GPU_NAME)
    wanted = max(architecture, least)
    return GPU_OF_ARCHITECTURE[max(number for number in GPU_OF_ARCHITECTURE if number <= wanted)]


def gpu(name: str | Path | GpuSpec = DEFAULT_GPU_NAME) -> GpuSpec:
    """Return the data sheet of a GPU.

    Parameters
    ----------
    name
        A name of :func:`gpu_names`, an alias such as ``"A100"``, or the name that the driver reports; upper and lower
        case are the same. Or a file of your own, which ends in ``.toml``. A :class:`GpuSpec` is returned unchanged.

    Raises
    ------
    UnknownGpuError
        If there is no such data sheet; the message lists what exists.
    DataSheetError
        If the file is missing or does not follow the schema.

    Examples
    --------
    >>> gpu("A100").n_sms
    108
    """
    if isinstance(name, GpuSpec):
        return name
    if str(name).endswith(".toml"):
        try:
            return parse_spec(Path(name).read_text(encoding="utf-8"), Path(name).name)
        except OSError as error:
            raise DataSheetError(f"Expected a data sheet at {name}, got {error.strerror}.") from None
    name = str(name)
    found = _aliases().get(key(name))
    if found is None:
        near = difflib.get_close_matches(key(name), list(_aliases()), n=1, cutoff=0.4)
        raise UnknownGpuError(name, gpu_names(), _aliases()[near[0]].name if near else None)
    return found
