"""Every error a user can meet: its class and its wording, in one file.

A message says what was expected, what was found and where, then "Hint:" and what to do.
"""

from __future__ import annotations


class TeachkitError(Exception):
    """Base of every error that teachkit raises on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\nHint: {hint}" if hint else message)


class FusionGraphError(TeachkitError):
    """A graph of operators, or a partition of it, that makes no sense."""
