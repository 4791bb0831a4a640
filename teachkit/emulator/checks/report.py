"""What the checks of a block of launches found."""

from __future__ import annotations

import dataclasses
import html
from collections import Counter

from teachkit.emulator.checks.findings import KINDS, Finding
from teachkit.errors import KernelCheckError

_SHOWN = 5


@dataclasses.dataclass
class CheckReport:
    """Findings of every launch inside ``with check() as report``.

    Attributes
    ----------
    checks : tuple of str
        The checks that were on.
    findings : list of Finding
        In the order of launches; one for each kind and place, with how often it occurred.
    n_launches : int
        Launches that were checked.
    n_occurrences : int
        Findings with all their repetitions.
    notes : list of str
        What could not be checked, if anything.
    """

    checks: tuple[str, ...]
    findings: list[Finding] = dataclasses.field(default_factory=list)
    n_launches: int = 0
    n_occurrences: int = 0
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def is_clean(self) -> bool:
        """Whether nothing was found."""
        return not self.findings

    def of_kind(self, kind: str) -> list[Finding]:
        """The findings of one check: "memory", "race", "init" or "sync"."""
        return [finding for finding in self.findings if finding.kind == kind]

    def __str__(self) -> str:
        return "\n".join([self._summary(), *map(str, self.findings), *(f"Note: {note}" for note in self.notes)])

    __repr__ = __str__

    def _summary(self) -> str:
        launches = f"{self.n_launches} launch{'' if self.n_launches == 1 else 'es'}"
        if not self.findings:
            return f"{launches} checked for {', '.join(self.checks)}: nothing found"
        counts = Counter(finding.kind for finding in self.findings)
        parts = ", ".join(f"{counts[kind]} {kind}" for kind in KINDS if counts[kind])
        n = len(self.findings)
        return f"{launches} checked: {n} finding{'' if n == 1 else 's'} ({parts}), {self.n_occurrences} occurrences"

    def _repr_html_(self) -> str:
        rows = "".join(_row(finding) for finding in self.findings)
        head = "".join(
            f'<th style="text-align:left">{title}</th>'
            for title in ("check", "what", "kernel and line", "block", "thread", "other side", "times")
        )
        notes = "".join(f"<p>{html.escape(note)}</p>" for note in self.notes)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>" if rows else ""
        return f"<div><p>{html.escape(self._summary())}</p>{table}{notes}</div>"


def _row(finding: Finding) -> str:
    party, other = finding.thread, finding.other
    line = f"{party.source}" if party.source is not None else f"PTX line {party.ptx_line}"
    code = f"<br><code>{html.escape(party.source_text)}</code>" if party.source_text else ""
    theirs = html.escape(str(other)) if other is not None else ""
    if other is not None and other.source_text:
        theirs += f"<br><code>{html.escape(other.source_text)}</code>"
    cells = (
        html.escape(finding.kind),
        f"{html.escape(finding.message)}<br><i>{html.escape(finding.hint)}</i>",
        f"{html.escape(finding.kernel)}<br>{html.escape(line)}{code}",
        html.escape(str(party.block)),
        html.escape(str(party.thread)),
        theirs,
        str(finding.count),
    )
    return "<tr>" + "".join(f'<td style="text-align:left;vertical-align:top">{cell}</td>' for cell in cells) + "</tr>"


def error_of(kernel: str, findings: list[Finding], n_occurrences: int) -> KernelCheckError:
    """The error for the findings of one launch."""
    shown = "\n".join(str(finding) for finding in findings[:_SHOWN])
    if len(findings) > _SHOWN:
        shown += f"\n... and {len(findings) - _SHOWN} more"
    return KernelCheckError(kernel, shown, findings=tuple(findings), n_occurrences=n_occurrences)
