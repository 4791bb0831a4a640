"""What was made of the mutants that the checks let pass: why each is harmless, or what was strengthened."""

from __future__ import annotations

JUDGED: dict[tuple[str, str], str] = {}
"""(exercise, change as the script prints it) -> a sentence."""
