"""What was made of the mutants that the checks let pass: why each is harmless, or what was strengthened."""

from __future__ import annotations

JUDGED: dict[tuple[str, str], str] = {}
"""(exercise, change as the script prints it) -> a sentence."""

EARLIER = (
    "`fused_gelu`: a second store of the same values survived, since the cache hides it "
    "from DRAM. Stores are counted where the kernel asks for them since then.",
    "`count_launches`: a counter that takes `torch.empty` for a launch survived. The step `torch.empty_like(x)` "
    "ran `x.new_empty`; now it runs what it shows, and `new_empty` is a step of its own.",
)
"""Survivors of earlier runs that led to a stronger check."""
