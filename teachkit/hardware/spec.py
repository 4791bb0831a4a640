"""Data sheets of GPUs: one TOML file a device, every number with its unit and its source.

Modelled: nothing; these are facts. Data-sheet values and values measured on hardware are different fields, and so are
dense and sparse (2:4) tensor rates. A number without a source is left out and reads as ``None``.
Not modelled: clocks that change under load, power limits, multi-instance GPU.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import tomllib
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Any

from teachkit.errors import DataSheetError, UnknownGpuError

DEFAULT_GPU_NAME = "A100-SXM4-40GB"
"""The GPU that is modelled where nobody names one; the compilers' default target, sm_80, is its architecture."""

_TEXT_KEYS = ("name", "product", "aliases", "architecture", "compute_capability")


@dataclasses.dataclass(frozen=True, kw_only=True)
class GpuSpec:
    """Facts about one GPU in SI units, as its vendor states them and as others measured them.

    Rates are per device and dense unless the name starts with ``sparse_``; tensor rates accumulate in float32 (integers
    in int32). ``None`` means that no source was found. Fields that end in ``_bytes_per_s`` under "measured" are what
    kernels reach, ``dram_bytes_per_s`` is what the data sheet promises.
    """

    name: str
    product: str
    aliases: tuple[str, ...]
    architecture: str
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
    l2_bytes_per_s: float | None = None
    l1_bytes_per_cycle_per_sm: float | None = None
    block_turnover_s: float | None = None
    small_kernel_s: float | None = None

    sources: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @property
    def sm_arch(self) -> str:
        """Compiler target, for example ``"sm_80"``."""
        return f"sm_{self.compute_capability[0]}{self.compute_capability[1]}"

    @property
    def max_threads_per_sm(self) -> int:
        """Threads that one SM holds at most."""
        return 32 * self.max_warps_per_sm

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the fields that :meth:`replace` changed."""
        return tuple(name for name, source in self.sources.items() if source.startswith(_CHANGED))

    def replace(self, **changes: Any) -> GpuSpec:
        """Return a what-if device.

        Parameters
        ----------
        **changes
            Fields and their new values. A new ``dram_bytes_per_s`` scales the measured DRAM bandwidths in the same
            ratio, unless they are given too: a device keeps the fraction of its data sheet that it reaches.

        Raises
        ------
        DataSheetError
            If a name is not a field.
        """
        fields = {field.name for field in dataclasses.fields(self)}
        for name in changes:
            if name not in fields:
                raise DataSheetError(f"Expected a field of GpuSpec, got {name!r}.", hint=_nearest(name, fields))
        if "dram_bytes_per_s" in changes:
            ratio = changes["dram_bytes_per_s"] / self.dram_bytes_per_s
            for name in _MEASURED_DRAM_RATES:
                if (measured := getattr(self, name)) is not None:
                    changes.setdefault(name, measured * ratio)
        sources = dict(self.sources) | {name: f"{_CHANGED} from {getattr(self, name)!r}" for name in changes}
        return dataclasses.replace(self, **{"sources": MappingProxyType(sources), **changes})


_CHANGED = "changed by replace()"
_MEASURED_DRAM_RATES = (
    "dram_triad_bytes_per_s",
    "dram_copy_bytes_per_s",
    "dram_read_bytes_per_s",
    "dram_write_bytes_per_s",
)
_INT_SECTIONS = ("sm", "memory")
_SECTIONS = ("sm", "memory", "clock", "dense", "sparse", "measured")
_NUMBERS = {field.name: field for field in dataclasses.fields(GpuSpec) if field.name not in (*_TEXT_KEYS, "sources")}
_UNIT = re.compile(r"(^n_|^max_\w+_per_sm$|^registers_per_sm$|_bytes|_hz$|_per_s$|_s$|_cycles$|^l1_includes_shared$)")


def _nearest(name: str, known: set[str] | list[str]) -> str:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"the names are {', '.join(sorted(known))}."


def parse_spec(text: str, where: str) -> GpuSpec:
    """Read one data sheet and check it against the schema.

    Parameters
    ----------
    text
        TOML: the text keys, a ``[sources]`` table of citations, and sections of ``key = {value, source}``.
    where
        File name, for messages.

    Raises
    ------
    DataSheetError
        If a key is unknown or missing, or a number lacks a unit in its name, a positive value or a listed source.
    """
    data = tomllib.loads(text)
    citations = data.pop("sources", {})
    values: dict[str, Any] = {}
    for key in _TEXT_KEYS:
        if key not in data:
            raise DataSheetError(f"{where}: expected the key {key!r}, found none.")
        values[key] = data.pop(key)
    major, minor = values["compute_capability"].split(".")
    values["compute_capability"] = (int(major), int(minor))
    values["aliases"] = tuple(values["aliases"])
    sources: dict[str, str] = {}
    for section, entries in data.items():
        if section not in _SECTIONS:
            raise DataSheetError(f"{where}: expected one of the sections {', '.join(_SECTIONS)}, got [{section}].")
        for key, entry in entries.items():
            name = f"sparse_{key}" if section == "sparse" else key
            values[name] = _checked(f"{where}: [{section}] {key}", section, name, entry)
            if entry["source"] not in citations:
                raise DataSheetError(f"{where}: [{section}] {key}: {entry['source']!r} is not listed in [sources].")
            sources[name] = citations[entry["source"]]
    required = {name for name, field in _NUMBERS.items() if field.default is dataclasses.MISSING}
    if missing := sorted(required - values.keys()):
        raise DataSheetError(f"{where}: expected {', '.join(missing)}, found none.")
    return GpuSpec(**values, sources=MappingProxyType(sources))


def _checked(where: str, section: str, name: str, entry: Any) -> int | float | bool:
    if name not in _NUMBERS:
        raise DataSheetError(f"{where} is not a field of GpuSpec.", hint=_nearest(name, set(_NUMBERS)))
    if not _UNIT.search(name):
        raise DataSheetError(f"{where}: expected a name that ends in its unit.")
    if not isinstance(entry, dict) or set(entry) != {"value", "source"}:
        raise DataSheetError(f"{where}: expected {{ value = ..., source = ... }}, got {entry!r}.")
    value = entry["value"]
    if isinstance(value, bool):
        return value
    if section in _INT_SECTIONS and name != "dram_bytes_per_s":
        if not isinstance(value, int) or value < 0:
            raise DataSheetError(f"{where}: expected a whole number, got {value!r}.")
        return value
    if not isinstance(value, (int, float)) or value <= 0:
        raise DataSheetError(f"{where}: expected a positive number, got {value!r}.")
    return float(value)


@functools.cache
def _registry() -> Mapping[str, GpuSpec]:
    folder = resources.files("teachkit.hardware") / "gpus"
    sheets = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".toml")), key=lambda entry: entry.name)
    specs: dict[str, GpuSpec] = {}
    for sheet in sheets:
        spec = parse_spec(sheet.read_text(encoding="utf-8"), sheet.name)
        if sheet.name != f"{spec.name}.toml":
            raise DataSheetError(f"{sheet.name}: expected the file to be called {spec.name}.toml.")
        specs[spec.name] = spec
    return MappingProxyType(specs)


@functools.cache
def _aliases() -> Mapping[str, str]:
    table: dict[str, str] = {}
    for spec in _registry().values():
        for alias in (spec.name, *spec.aliases):
            if table.setdefault(_key(alias), spec.name) != spec.name:
                raise DataSheetError(f"{spec.name}.toml: the alias {alias!r} is also one of {table[_key(alias)]}.")
    return MappingProxyType(table)


def _key(name: str) -> str:
    return re.sub(r"[\s_-]+", "-", name.strip().lower()).removeprefix("nvidia-")


def gpu_names() -> tuple[str, ...]:
    """Return the names of the GPUs that have a data sheet, in alphabetical order."""
    return tuple(_registry())


def gpu(name: str | GpuSpec = DEFAULT_GPU_NAME) -> GpuSpec:
    """Return the data sheet of a GPU.

    Parameters
    ----------
    name
        A name of :func:`gpu_names`, an alias such as ``"A100"``, or the name that the driver reports; upper and lower
        case are the same. A :class:`GpuSpec` is returned unchanged.

    Raises
    ------
    UnknownGpuError
        If there is no such data sheet; the message lists what exists.

    Examples
    --------
    >>> gpu("A100").n_sms
    108
    """
    if isinstance(name, GpuSpec):
        return name
    found = _aliases().get(_key(name))
    if found is None:
        near = difflib.get_close_matches(_key(name), list(_aliases()), n=1, cutoff=0.4)
        raise UnknownGpuError(name, gpu_names(), _aliases()[near[0]] if near else None)
    return _registry()[found]
