"""Where a kernel counts: each place in it owns a few counters, and every report is a sum over places.

A *site* is a basic block, a memory access, a guarded instruction or a branch. Compiled code only increments;
what an instruction is worth (FLOPs, bytes, an integer operation) is known beforehand and multiplied here. So a
count per kernel and a count per source line come from the same array.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from teachkit.emulator.counters import Counters
from teachkit.emulator.engine.context import CONFLICT_SLOT, LANES, RUN_SLOT, SLOTS_PER_ACCESS
from teachkit.emulator.isa.counting import worth
from teachkit.emulator.ptx.model import Address, Instruction, Register, SourceLine, Symbol

BULK = ("cp.async.bulk", "cp.reduce.async.bulk", "tensormap")
"""Instructions that pass by the load and store unit: their sites count lanes, and serve faults and checks."""


@dataclasses.dataclass(frozen=True, slots=True)
class Site:
    """One place. ``slot`` is its first counter.

    ==========  ====================================================
    kind        counters from ``slot``
    ==========  ====================================================
    ``block``   times a warp ran it; unless all lanes always do, lanes that ran it
    ``access``  requests; lanes; sectors or wavefronts; excess wavefronts, a global load's wavefronts,
                or an atomic's largest conflict; of further requests, in which all lanes touched one run of memory,
                their number, and their sectors beyond one each
    ``guard``   lanes on which a guarded instruction took effect
    ``branch``  times lanes disagreed
    ``tensor``  operations of tensor cores, where the opcode does not say how many
    ==========  ====================================================
    """

    kind: str
    slot: int
    opcode: str = ""
    source: SourceLine | None = None
    ptx_line: int = 0
    space: str = ""
    is_store: bool = False
    is_atomic: bool = False
    lane_bytes: int = 0
    block_slot: int = 0
    is_part: bool = False  # lanes of an instruction whose other lanes, in another space, have a site before
    is_again: bool = False  # one more access of an instruction whose lanes another site counts
    run_passes: int = 0  # wavefronts of a request in which all lanes touch one run of memory
    is_whole: bool = False  # a block that all lanes of a warp run
    root: str = ""  # the parameter or variable that the address is computed from, where it is surely one

    @property
    def max_slot(self) -> int | None:
        """The counter that workers do not add up: the greatest of theirs is the launch's."""
        return self.slot + CONFLICT_SLOT if self.is_atomic else None


@dataclasses.dataclass
class SiteBuilder:
    """Hands out sites while a kernel is translated."""

    counting: bool
    sites: list[Site] = dataclasses.field(default_factory=list)
    n_slots: int = 0
    block_slot: int = 0
    provenance: Mapping[str, str | None] = dataclasses.field(default_factory=dict)
    is_again: bool = False  # what comes now is no first access of its instruction

    def _new(self, kind: str, n_slots: int, instruction: Instruction | None = None, **fields: Any) -> int:
        slot = self.n_slots
        self.n_slots += n_slots
        if instruction is not None:
            fields |= {"opcode": instruction.opcode, "source": instruction.source, "ptx_line": instruction.ptx_line}
        self.sites.append(Site(kind, slot, block_slot=self.block_slot, **fields))
        return slot

    def block(self, is_whole: bool) -> int:
        """A basic block begins; ``is_whole`` where all lanes run it."""
        self.block_slot = self.n_slots
        return self._new("block", 1 if is_whole else 2, is_whole=is_whole)

    def access(
        self,
        instruction: Instruction | None,
        space: str,
        is_store: bool,
        lane_bytes: int,
        is_atomic: bool = False,
        is_part: bool = False,
        run_passes: int = 0,
    ) -> int:
        """A memory access."""
        return self._new(
            "access",
            SLOTS_PER_ACCESS,
            instruction,
            space=space,
            is_store=is_store,
            lane_bytes=lane_bytes,
            is_atomic=is_atomic,
            is_part=is_part,
            run_passes=run_passes,
            is_again=self.is_again,
            root=self._root(instruction) if space in ("global", "const") else "",
        )

    def _root(self, instruction: Instruction | None) -> str:
        if instruction is None:
            return ""
        operands = instruction.operands
        if instruction.opcode.startswith(BULK):  # of a tensor, the map knows
            operands = operands[:1] if ".global.shared::cta" in instruction.opcode else operands[1:2]
        elif instruction.opcode.startswith("cp."):
            operands = operands[1:]  # the first address is in shared memory
        for operand in operands:
            if isinstance(operand, Address):
                place = operand.base
                found = self.provenance.get(place.name) if isinstance(place, Register) else None
                found = place.name if isinstance(place, Symbol) else found
                if found:
                    return found
        return ""

    def guard(self, instruction: Instruction, is_part: bool = False) -> int:
        """An instruction, or a part of one, that only some lanes carry out."""
        return self._new("guard", 1, instruction, is_part=is_part)

    def branch(self, instruction: Instruction) -> int:
        """A conditional branch."""
        return self._new("branch", 1, instruction)

    def tensor(self, instruction: Instruction) -> int:
        """Operations of tensor cores whose number is known when they are made."""
        return self._new("tensor", 1, instruction)

    def plain(self, instruction: Instruction) -> None:
        """An instruction that runs on every lane of its block: worth a multiple of the block's counters."""
        self._new("plain", 0, instruction)


def totals(sites: Iterable[Site], counts: npt.NDArray[np.int64]) -> dict[SourceLine | None, dict[str, int]]:
    """Counter values by kernel source line (None: instructions without one)."""
    lines: dict[SourceLine | None, dict[str, int]] = {}
    whole: dict[int, bool] = {}
    for site in sites:
        if site.kind == "block":
            whole[site.slot] = site.is_whole
            continue
        source = None if site.source is None else SourceLine(site.source.file, site.source.line)
        line = lines.setdefault(source, {})

        def add(name: str, amount: int, line: dict[str, int] = line) -> None:
            if amount:
                line[name] = _joined(name, line.get(name, 0), int(amount))

        warps = int(counts[site.block_slot])
        block_lanes = LANES * warps if whole[site.block_slot] else int(counts[site.block_slot + 1])
        if site.kind == "branch":
            add("branches", warps)
            add("divergent_branches", int(counts[site.slot]))
            continue
        if site.kind == "tensor":
            add("flop_tensor", int(counts[site.slot]))
            continue
        lanes = block_lanes
        if site.kind == "guard":
            lanes = int(counts[site.slot])
        elif site.kind == "access":
            lanes = int(counts[site.slot + 1] + LANES * counts[site.slot + RUN_SLOT])
            if site.opcode.startswith(("ldmatrix", "stmatrix")):  # all lanes run it, 8 a matrix give an address
                lanes = lanes * 4 // int(site.opcode.split(".x")[1][0])
            is_bulk = site.opcode.startswith(BULK)
            for name, amount in [] if is_bulk else _access(site, counts[site.slot : site.slot + SLOTS_PER_ACCESS]):
                add(name, amount)
            if not is_bulk and not site.is_store and site.opcode.startswith("cp.async"):
                continue  # the lanes that store are those that ran the instruction: some may have had nothing to read
            if site.is_again:
                continue
        if not site.is_part:
            add("warp_instructions", warps)
        add("thread_instructions", lanes)
        for name, amount in worth(site.opcode):
            n_warps = -(-lanes // LANES) if site.kind == "guard" else warps
            times = {"barriers": n_warps, "flop_tensor": lanes // LANES}.get(name, lanes)
            add(name, amount * times)
    return lines


def _access(site: Site, counts: npt.NDArray[np.int64]) -> list[tuple[str, int]]:
    requests, lanes, measure, excess, runs, more = (int(n) for n in counts)
    requests, lanes = requests + runs, lanes + LANES * runs
    if site.space == "shared":
        measure += runs * site.run_passes
    elif not site.is_atomic:
        measure, excess = measure + runs + more, excess + runs * site.run_passes
    direction = "store" if site.is_store else "load"
    if site.is_atomic:
        return [("atomic_requests", requests), ("atomic_max_conflict", excess)]
    if site.space == "shared":
        return [
            (f"shared_{direction}_wavefronts", measure),
            ("shared_excess_wavefronts", excess),
        ]
    if site.space == "local":
        return [("local_bytes", lanes * site.lane_bytes)]
    if site.space == "const":
        return []
    banks = [] if site.is_store else [("global_load_wavefronts", excess)]
    return [
        *banks,
        (f"global_{direction}_requests", requests),
        (f"global_{direction}_sectors", measure),
        (f"global_{direction}_bytes", lanes * site.lane_bytes),
    ]


def sum_lines(lines: dict[SourceLine | None, dict[str, int]]) -> Counters:
    """The kernel's totals from its lines."""
    total: dict[str, int] = {}
    for line in lines.values():
        for name, amount in line.items():
            total[name] = _joined(name, total.get(name, 0), amount)
    return Counters(**total)


def _joined(name: str, a: int, b: int) -> int:
    return max(a, b) if name == "atomic_max_conflict" else a + b
