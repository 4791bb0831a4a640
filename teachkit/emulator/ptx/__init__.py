"""PTX text to data and back."""

from __future__ import annotations

from teachkit.emulator.ptx.parse import parse
from teachkit.emulator.ptx.printer import print_module

__all__ = ["parse", "print_module"]
