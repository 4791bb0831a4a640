"""Rows of the monitor's table as :class:`Finding`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from teachkit.emulator.arguments import Arguments, Bound, with_article
from teachkit.emulator.checks.findings import ADVICE, Dims, Finding, Party, kind_of, text_of, verb_of
from teachkit.emulator.checks.layout import Field, Found
from teachkit.emulator.engine.faults import NULL_BYTES, target_of, what_may_be_missing
from teachkit.emulator.ptx.model import Function
from teachkit.emulator.sites import Site

_RACE = {
    Found.READ_AFTER_WRITE: ("read after write", "reads what another thread writes, in no order"),
    Found.WRITE_AFTER_WRITE: ("write after write", "writes another value where another thread writes, in no order"),
    Found.WRITE_AFTER_READ: ("write after read", "writes what another thread reads, in no order"),
    Found.SAME_INSTRUCTION: ("one instruction", "writes another value where another lane of the same store writes"),
}
_SYNC = {
    Found.DIVERGENT_BARRIER: ("divergent barrier", "{who} of this warp {are} in another branch when it waits here"),
    Found.BARRIER_AFTER_EXIT: ("barrier after exit", "{who} ended without reaching this barrier"),
    Found.ABSENT_LANE: ("absent lane", "the mask names {who}, which {are} in another branch"),
    Found.UNNAMED_LANE: ("unnamed lane", "{who} {run} this and {are} not in the mask"),
    Found.READS_ABSENT_LANE: ("absent lane", "{who} {read} the register of a lane that is named and no longer there"),
    Found.LANES_OFF: ("lanes off", "{who} {do} not take part in an instruction for the whole warp"),
    Found.DEADLOCK: ("deadlock", "this warp waits at a barrier that other warps of the block never reach"),
}
_VERBS = (
    {"are": "is", "run": "runs", "read": "reads", "do": "does"},  # of one lane
    {"are": "are", "run": "run", "read": "read", "do": "do"},
)


class Writer:
    """Knows the launch that the rows are about."""

    def __init__(
        self, program: Any, name: str, grid: Dims, block: Dims, arguments: Arguments, sources: Mapping[str, str]
    ) -> None:
        self.program, self.name, self.grid, self.block = program, name, grid, block
        self.arguments, self.sources = arguments, sources
        self.sites: dict[int, Site] = {s.slot: s for s in (*program.sites, *program.places) if s.kind != "plain"}
        self.function: Function = program.kernel.function

    def finding(self, row: Any) -> Finding:
        """One row."""
        found = Found(int(row[Field.KIND]))
        site = self.sites.get(int(row[Field.SITE]), Site("place", -1, opcode="?"))
        thread = self._party(site, int(row[Field.BLOCK]), int(row[Field.THREAD]))
        other = None
        if row[Field.OTHER_BLOCK] >= 0:
            place = self.sites.get(int(row[Field.OTHER_SITE]), Site("place", -1, opcode="?"))
            other = self._party(place, int(row[Field.OTHER_BLOCK]), int(row[Field.OTHER_THREAD]))
        n_bytes, count = int(row[Field.N_BYTES]), int(row[Field.COUNT])
        fields: dict[str, Any] = {"thread": thread, "other": other, "count": count, "hint": ADVICE[found]}
        if found in _SYNC:
            what, sentence = _SYNC[found]
            lanes = int(row[Field.LANES])
            verbs = _VERBS[lanes.bit_count() != 1]
            message = f"{site.opcode}: {sentence.format(who=_lanes(lanes), **verbs)}"
            return Finding("sync", what, self.name, message, **fields)
        where, place_fields, beyond = self._where(site, int(row[Field.ADDRESS]), n_bytes)
        fields |= place_fields | {"n_bytes": n_bytes}
        access = f"{thread.action} of {n_bytes} bytes {where}"
        if found == Found.OUT_OF_BOUNDS and beyond:
            found = Found.OUTSIDE_VIEW
            fields["hint"] = ADVICE[found]
        elif found == Found.OUT_OF_BOUNDS:
            fields["hint"] += what_may_be_missing(self.program, self.arguments, site)
        what, message = self._words(found, access, other)
        return Finding(kind_of(found), what, self.name, message, **fields)

    def _words(self, found: Found, access: str, other: Party | None) -> tuple[str, str]:
        if found in _RACE:
            what, sentence = _RACE[found]
            return what, f"data race: {access} {sentence}"
        if found == Found.OUT_OF_BOUNDS:
            return "out of bounds", f"out-of-bounds {access}"
        if found == Found.OUTSIDE_VIEW:
            return "outside the view", f"{access}: outside the tensor that was passed, inside its storage"
        if found == Found.MISALIGNED:
            return "misaligned", f"misaligned {access}"
        if found == Found.UNINITIALISED:
            return "uninitialised read", f"{access} that nobody has written"
        if found == Found.COPY_NOT_COMMITTED:
            return "missing commit", f"{access} that an asynchronous copy fills which was never committed to a group"
        return "missing wait", f"{access} that an asynchronous copy fills which nobody has waited for"

    def _party(self, site: Site, block: int, thread: int) -> Party:
        text = text_of(site.source, self.sources)
        who = _place(block, self.grid), _place(thread, self.block)
        return Party(*who, verb_of(site), site.source, text, site.ptx_line)

    def _where(self, site: Site, address: int, n_bytes: int) -> tuple[str, dict[str, Any], bool]:
        """A place in words, the finding's fields for it, and whether it is in the argument's storage after all."""
        if site.space in ("shared", "local"):
            return f"at byte {address} of {site.space} memory", {"offset": address}, False
        bound = self._bound(site.root, address, n_bytes)
        if bound is None or not bound.is_memory:
            place, argument = target_of(self.function, self.arguments, site.root, address, n_bytes)
            return place, {"argument": argument}, False
        offset = address - bound.data
        element = offset // bound.element_bytes
        size = with_article(bound.shown)
        if bound.high == bound.low:
            size += " without memory (freed, or empty)"
        fields = {"argument": bound.name, "element": element, "offset": offset}
        is_inside = bound.low <= address and address + n_bytes <= bound.high
        return f"at element {element} (byte {offset}) of argument {bound.name!r}, {size}", fields, is_inside

    def _bound(self, root: str, address: int, n_bytes: int) -> Bound | None:
        names = [parameter.name for parameter in self.function.params]
        bound = self.arguments.bounds[names.index(root)] if root in names else None
        if bound is not None and bound.is_memory:
            return bound
        pointers = [bound for bound in self.arguments.bounds + self.arguments.others if bound.high > bound.low]
        if bound is not None:  # a structure with an address in it, say
            return next((b for b in pointers if b.low <= address and address + n_bytes <= b.high), bound)
        if root or not pointers or address < NULL_BYTES:
            return None
        return min(pointers, key=lambda bound: max(bound.low - address, address + n_bytes - bound.high, 0))


def _lanes(lanes: int) -> str:
    n = lanes.bit_count()
    first = (lanes & -lanes).bit_length() - 1
    return f"lane {first}" if n == 1 else f"{n} lanes (the first is lane {first})"


def _place(number: int, dims: Dims) -> Dims:
    return number % dims[0], number // dims[0] % dims[1], number // (dims[0] * dims[1])
