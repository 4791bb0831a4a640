"""One number of a claim beside what was found, and how it was found.

Not modelled: anything; this is the shape of a row.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Literal

Provenance = Literal["counted", "modelled", "cited", "data sheet"]


@dataclasses.dataclass(frozen=True)
class Finding:
    """One number of a claim beside what was found.

    Attributes
    ----------
    claim
        Id of the claim.
    quantity
        What the number is, with its unit.
    low, high
        The claim as a range: what the article's wording lets through.
    found
        What the model finds.
    provenance
        How: counted, modelled, cited, or from data sheets.
    note
        Assumptions, and where the number comes from.
    says
        The claim in the article's words, where they are no range.
    """

    claim: str
    quantity: str
    low: float
    high: float
    found: float
    provenance: Provenance
    note: str
    says: str = ""

    @property
    def holds(self) -> bool:
        """Whether what was found lies in the range of the claim."""
        return self.low <= self.found <= self.high

    @property
    def claimed(self) -> str:
        """The article's words, or the range as text, for example ``"1.6 to 1.7"`` or ``"above 6"``."""
        if self.says:
            return self.says
        if self.high == float("inf"):
            return f"above {self.low:g}"
        if self.low == float("-inf"):
            return f"below {self.high:g}"
        return f"{self.low:g}" if self.low == self.high else f"{self.low:g} to {self.high:g}"

    def to_dict(self) -> dict[str, Any]:
        """Return the finding as plain values that JSON can hold; an open end of the range is ``None``."""
        low, high = (end if abs(end) != float("inf") else None for end in (self.low, self.high))
        return dataclasses.asdict(self) | {"low": low, "high": high, "holds": self.holds}


INF = float("inf")


def about(value: float, percent: float) -> tuple[float, float]:
    """Return the range of "about ``value``"."""
    return value * (1 - percent / 100), value * (1 + percent / 100)
