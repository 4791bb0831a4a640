"""Checks on request, like compute-sanitizer's four tools: memory, race, init and sync, for every launch in a block."""

from __future__ import annotations

from teachkit.emulator.checks.report import CheckReport
from teachkit.emulator.checks.session import check

__all__ = ["CheckReport", "check"]
