"""What all data sheets share: numbers with unit and source, one TOML file a device, and what-if copies.

Modelled: nothing; a data sheet holds facts. A number without a source is left out and reads as ``None``.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import re
import tomllib
from collections.abc import Collection, Iterable, Mapping
from importlib import resources
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Self, TypeVar

from teachkit.errors import DataSheetError

YOUR_NUMBER = "your number"

# Ending of a field's name -> unit, and the range in which a right number lies: a wrong power of ten falls outside.
_UNITS: tuple[tuple[str, str, float, float], ...] = (
    ("_bytes_per_cycle_per_sm", "bytes a cycle and SM", 1, 1024),
    ("_bytes_per_s", "bytes a second", 1e9, 1e15),
    ("_flop_per_s", "FLOP a second", 1e9, 1e18),
    ("blocks_per_s", "blocks a second", 1e6, 1e12),
    ("_op_per_s", "operations a second", 1e9, 1e18),
    ("_cycles", "cycles", 1, 1e4),
    ("_hz", "Hz", 1e8, 1e10),
    ("_bits", "bits", 64, 4096),
    ("_s", "seconds", 1e-10, 1e-2),
)
_WHOLE = re.compile(
    r"^n_|^max_\w+_per_sm$|^registers_per_sm$|_bytes(_per_(sm|core|block_max|block)|_reserved_per_block)?$"
)


_MAY_BE_ZERO = ("shared_bytes_reserved_per_block",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sheet:
    """A device's numbers in SI units; :attr:`sources` says where each is from."""

    SECTIONS: ClassVar[tuple[str, ...]] = ()
    TEXT_KEYS: ClassVar[tuple[str, ...]] = ("name", "product", "aliases", "architecture")
    SCALES: ClassVar[Mapping[str, tuple[str, ...]]] = {}

    name: str
    product: str
    aliases: tuple[str, ...]
    architecture: str
    sources: Mapping[str, str] = dataclasses.field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def numbers(cls) -> dict[str, dataclasses.Field[Any]]:
        """Fields that hold a number, by name."""
        other = {*cls.TEXT_KEYS, "sources"}
        return {field.name: field for field in dataclasses.fields(cls) if field.name not in other}

    @property
    def changed(self) -> tuple[str, ...]:
        """Names of the numbers that :meth:`replace` was given."""
        return tuple(name for name, source in self.sources.items() if source.startswith(YOUR_NUMBER))

    def source(self, name: str) -> str:
        """Where a number is from; what is missing says so."""
        if getattr(self, name) is None:
            return f"{self.name} has no {name}: no source was found"
        return self.sources.get(name, "given")

    def replace(self, **changes: Any) -> Self:
        """Return a what-if device.

        Parameters
        ----------
        **changes
            Numbers and their new values; ``None`` takes one away. What was measured or derived from a number moves
            with it in the same ratio unless it is given too: measured DRAM bandwidths with ``dram_bytes_per_s``,
            arithmetic rates with the clock and with the number of SMs or cores.

        Raises
        ------
        DataSheetError
            If a name is not one of the device's numbers, or a value is not a number that it can have.
        """
        known = self.numbers()
        for name, value in changes.items():
            if name not in known:
                raise DataSheetError(
                    f"Expected a number of {type(self).__name__}, got {name!r}.", hint=nearest(name, known)
                )
            if value is None and known[name].default is not dataclasses.MISSING:
                continue
            changes[name] = _checked(f"replace({name}={value!r})", name, value, in_range=False)
        sources = dict(self.sources)
        scaled: dict[str, Any] = {}
        for base, followers in self.SCALES.items():
            if not changes.get(base):
                continue
            for name in followers:
                old = scaled.get(name, getattr(self, name))
                if name not in changes and old is not None:
                    scaled[name] = old * (changes[base] / getattr(self, base))
                    sources[name] = f"scaled with {base}, which is changed; before: {self.sources.get(name, 'given')}"
        for name in changes:
            sources[name] = f"{YOUR_NUMBER}, in place of {getattr(self, name)!r} ({self.sources.get(name, 'given')})"
        return dataclasses.replace(self, **{"sources": MappingProxyType(sources), **scaled, **changes})


S = TypeVar("S", bound=Sheet)


def nearest(name: str, known: Collection[str]) -> str:
    """A hint for a name that is not among the ``known``."""
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.4)
    return f"did you mean {near[0]!r}?" if near else f"the names are {', '.join(sorted(known))}."


def parse(kind: type[S], text: str, where: str) -> S:
    """Read one data sheet and check it against the schema.

    Parameters
    ----------
    kind
        Class of the device.
    text
        TOML: the text keys, a ``[sources]`` table of citations, and sections of ``key = {value, source}``.
    where
        File name, for messages.

    Raises
    ------
    DataSheetError
        If the text is no TOML, a key is unknown or missing, or a number lacks a unit in its name, a value that makes
        sense in this unit, or a listed source.
    """
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DataSheetError(f"{where}: expected TOML, got {error}.") from None
    citations = data.pop("sources", {})
    values: dict[str, Any] = {}
    for key in kind.TEXT_KEYS:
        if key not in data:
            raise DataSheetError(f"{where}: expected the key {key!r}, found none.")
        values[key] = data.pop(key)
    values["aliases"] = tuple(values["aliases"])
    sources: dict[str, str] = {}
    for section, entries in data.items():
        if section not in kind.SECTIONS:
            found = f"[{section}]" if isinstance(entries, dict) else repr(section)
            raise DataSheetError(f"{where}: expected one of the sections {', '.join(kind.SECTIONS)}, got {found}.")
        for key, entry in entries.items():
            name = f"sparse_{key}" if section == "sparse" else key
            place = f"{where}: [{section}] {key}"
            values[name] = _number(kind, place, name, entry)
            if entry["source"] not in citations:
                raise DataSheetError(f"{place}: expected a source that [sources] lists, got {entry['source']!r}.")
            sources[name] = citations[entry["source"]]
    required = {name for name, field in kind.numbers().items() if field.default is dataclasses.MISSING}
    if missing := sorted(required - values.keys()):
        raise DataSheetError(f"{where}: expected {', '.join(missing)}, found none.")
    return kind(**values, sources=MappingProxyType(sources))


def _number(kind: type[Sheet], where: str, name: str, entry: Any) -> int | float | bool:
    if name not in kind.numbers():
        raise DataSheetError(f"{where} is not a number of {kind.__name__}.", hint=nearest(name, kind.numbers()))
    if isinstance(entry, dict) and "source" not in entry:
        raise DataSheetError(
            f"{where}: expected a source beside the value, found none.", hint="leave out what has none."
        )
    if not isinstance(entry, dict) or not {"value", "source"} <= set(entry) <= {"value", "source", "unit"}:
        raise DataSheetError(f"{where}: expected {{ value = ..., source = ... }}, got {entry!r}.")
    if "unit" in entry and entry["unit"] != unit(name):
        raise DataSheetError(f"{where}: expected the unit {unit(name)}, got {entry['unit']!r}.", hint="convert to SI.")
    return _checked(where, name, entry["value"])


def unit(name: str) -> str:
    """The unit that a number's name carries; empty for a count."""
    if _WHOLE.search(name):
        return "bytes" if "_bytes" in name else ""
    return next((unit for ending, unit, _, _ in _UNITS if name.endswith(ending)), "")


def _checked(where: str, name: str, value: Any, *, in_range: bool = True) -> int | float | bool:
    if name == "l1_includes_shared":
        if not isinstance(value, bool):
            raise DataSheetError(f"{where}: expected true or false, got {value!r}.")
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise DataSheetError(f"{where}: expected a number, got {value!r}.")
    if _WHOLE.search(name):
        if value != int(value) or value < 0:
            raise DataSheetError(f"{where}: expected a whole number, got {value!r}.")
        if value == 0 and name not in _MAY_BE_ZERO:
            raise DataSheetError(f"{where}: expected 1 or more, got 0.")
        return int(value)
    if not 0 < value < float("inf"):
        raise DataSheetError(f"{where}: expected a positive number, got {value!r}.")
    for ending, its_unit, low, high in _UNITS:
        if name.endswith(ending):
            if in_range and not low <= value <= high:
                raise DataSheetError(
                    f"{where}: expected {low:g} to {high:g} {its_unit}, got {value:g}.", hint="is the unit right?"
                )
            return float(value)
    raise DataSheetError(f"{where}: expected a name that ends in its unit.")


def read_folder(kind: type[S], folder: Path) -> Mapping[str, S]:
    """Read every ``*.toml`` of a folder, by name. A device is added by one file.

    Raises
    ------
    DataSheetError
        If a sheet is broken, or its file is not called after its device.
    """
    sheets: dict[str, S] = {}
    for file in sorted(folder.glob("*.toml"), key=lambda file: file.name):
        sheet = parse(kind, file.read_text(encoding="utf-8"), file.name)
        if file.stem != sheet.name:
            raise DataSheetError(f"{file.name}: expected the file to be called {sheet.name}.toml.")
        sheets[sheet.name] = sheet
    return MappingProxyType(sheets)


@functools.cache
def shipped(kind: type[S], folder: str) -> Mapping[str, S]:
    """The data sheets that come with teachkit."""
    return read_folder(kind, Path(str(resources.files("teachkit.hardware") / folder)))


def by_alias(sheets: Iterable[S]) -> dict[str, S]:
    """Every name that finds a sheet: its own, its aliases and what the driver reports.

    Raises
    ------
    DataSheetError
        If two devices share an alias.
    """
    table: dict[str, S] = {}
    for sheet in sheets:
        for alias in (sheet.name, *sheet.aliases):
            if (other := table.setdefault(key(alias), sheet)) is not sheet:
                raise DataSheetError(f"{sheet.name}.toml: the alias {alias!r} is also one of {other.name}.")
    return table


def key(name: str) -> str:
    """A name as it is looked up: upper and lower case, spaces and hyphens are the same."""
    return re.sub(r"[\s_-]+", "-", name.strip().lower()).removeprefix("nvidia-")
