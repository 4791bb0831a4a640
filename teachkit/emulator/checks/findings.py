"""A finding in words: what is wrong, in which kernel, on which line, by which thread, and at which element."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from teachkit.emulator.checks.layout import Found
from teachkit.emulator.ptx.model import SourceLine
from teachkit.emulator.sites import Site

Dims = tuple[int, int, int]

KINDS = ("memory", "race", "init", "sync")
_KIND = {
    **dict.fromkeys((Found.OUT_OF_BOUNDS, Found.MISALIGNED, Found.OUTSIDE_VIEW), "memory"),
    **dict.fromkeys((Found.READ_AFTER_WRITE, Found.WRITE_AFTER_WRITE, Found.WRITE_AFTER_READ), "race"),
    Found.SAME_INSTRUCTION: "race",
    Found.UNINITIALISED: "init",
}

ADVICE = {
    Found.OUT_OF_BOUNDS: "mask the threads past the end, or check the strides and sizes that were passed.",
    Found.OUTSIDE_VIEW: "pass the whole tensor, or mask the threads past the end of the view.",
    Found.MISALIGNED: "a GPU stops the kernel here; use narrower accesses, or start at a multiple of the width.",
    Found.READ_AFTER_WRITE: "put a barrier between the write and the read, or use atomics.",
    Found.WRITE_AFTER_WRITE: "let one thread write, give each its own element, or use an atomic.",
    Found.WRITE_AFTER_READ: "put a barrier between the read and the next write, or use a second buffer.",
    Found.SAME_INSTRUCTION: "which value stays is not defined; give each thread its own element, or use an atomic.",
    Found.UNINITIALISED: "write it first, for all elements that are read later.",
    Found.COPY_NOT_WAITED: "wait with cp.async.wait_group, then let all threads meet at a barrier, then read.",
    Found.COPY_NOT_COMMITTED: "end the group with cp.async.commit_group before waiting for it.",
    Found.DIVERGENT_BARRIER: "move the barrier out of the branch, so that every thread of the block runs it.",
    Found.BARRIER_AFTER_EXIT: "let every thread stay to the last barrier; guard the work, not the thread.",
    Found.ABSENT_LANE: "let all lanes of the mask run the instruction, or name only those that do.",
    Found.UNNAMED_LANE: "a thread that runs the instruction has to be in its own mask.",
    Found.READS_ABSENT_LANE: "its register has no defined value; name and read only lanes that are still there.",
    Found.LANES_OFF: "all 32 threads of the warp have to run it together.",
    Found.DEADLOCK: "every thread of a block must reach the same barrier; look for one inside an if.",
}


@dataclasses.dataclass(frozen=True, slots=True)
class Party:
    """A thread at a place in the kernel. ``thread`` and ``block`` are x, y, z."""

    block: Dims
    thread: Dims
    action: str  # "store", "load", "atomic operation", or the opcode
    source: SourceLine | None
    source_text: str
    ptx_line: int

    def __str__(self) -> str:
        where = f"{self.source}" if self.source is not None else f"PTX line {self.ptx_line}"
        return f"block {self.block}, thread {self.thread}, {self.action} at {where}"


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong at one place of a kernel, at its first occurrence.

    Attributes
    ----------
    kind : str
        ``"memory"``, ``"race"``, ``"init"`` or ``"sync"``.
    what : str
        ``"out of bounds"``, ``"write after read"``, ``"divergent barrier"``...
    kernel : str
        Name of the kernel.
    message : str
        One sentence.
    thread : Party
        Who did it, and where: block, thread, source line and its text, PTX line.
    other : Party or None
        The other side of a race, or whose asynchronous copy is meant.
    argument : str or None
        The argument whose memory it is; None for shared and local memory.
    element, offset : int or None
        Element of the argument, and byte offset: in the argument, or in shared or local memory.
    n_bytes : int
        Bytes of the access, 0 where there is none.
    count : int
        How often this happened at this place in the launch.
    hint : str
        What to do.
    """

    kind: str
    what: str
    kernel: str
    message: str
    thread: Party
    other: Party | None = None
    argument: str | None = None
    element: int | None = None
    offset: int | None = None
    n_bytes: int = 0
    count: int = 1
    hint: str = ""

    @property
    def line(self) -> int | None:
        """Line of the kernel's source, None where the compiler noted none."""
        return None if self.thread.source is None else self.thread.source.line

    @property
    def block(self) -> Dims:
        """Block of the thread."""
        return self.thread.block

    def __str__(self) -> str:
        party = self.thread
        lines = [f"[{self.kind}] {self.message}", f"in kernel {self.kernel!r}, {party}"]
        if party.source_text:
            lines.append(f"    {party.source_text}")
        if self.other is not None:
            lines.append(f"other: {self.other}")
            if self.other.source_text:
                lines.append(f"    {self.other.source_text}")
        if self.count > 1:
            lines.append(f"{self.count} times at this place")
        lines.append(f"Hint: {self.hint}")
        return "\n  ".join(lines)


def kind_of(found: Found) -> str:
    """The check that a kind of finding belongs to."""
    return _KIND.get(found, "sync")


def verb_of(site: Site) -> str:
    """What an access does."""
    if site.kind == "place":
        return site.opcode
    if site.opcode.startswith(("cp.async", "cp.reduce.async")):
        return "asynchronous copy"
    return "atomic operation" if site.is_atomic else "store" if site.is_store else "load"


def text_of(source: SourceLine | None, sources: Mapping[str, str]) -> str:
    """The text of a source line: from ``sources`` (name of a file to its text), else from the file."""
    if source is None:
        return ""
    for name, text in sources.items():
        if source.file == name or source.file.endswith("/" + name):
            lines = text.splitlines()
            return lines[source.line - 1].strip() if 0 < source.line <= len(lines) else ""
    return source.text
