"""Where an address is: its allocation, and the number of its piece in the tables of what was done last."""

from __future__ import annotations

from typing import Any

from teachkit.emulator.checks.layout import Area, Table
from teachkit.emulator.checks.memory import compiled, words


@compiled
def interval_of(table: Any, address: Any, hint: Any) -> Any:
    """Row of the allocation that holds an address, -1 for none."""
    rows = words(table[Table.INTERVALS_AT])
    if hint >= 0 and rows[4 * hint] <= address < rows[4 * hint + 1]:
        return hint
    for i in range(table[Table.N_INTERVALS]):
        if rows[4 * i] <= address < rows[4 * i + 1]:
            return i
    return -1


@compiled
def place_of(table: Any, area: Any, is_shared: Any, address: Any, hint: Any) -> Any:
    """Number of the first piece of an access (-1: none), and the allocation it is in."""
    if is_shared:
        return (address - area[Area.SHARED_AT]) >> table[Table.SHARED_SHIFT], hint
    hint = interval_of(table, address, hint)
    if hint < 0:
        return -1, hint
    row, shift = words(table[Table.INTERVALS_AT]), table[Table.GLOBAL_SHIFT]
    return row[4 * hint + 2] + (address >> shift) - (row[4 * hint] >> shift), hint


@compiled
def shadow_of(table: Any, area: Any, is_shared: Any) -> Any:
    """Writes, reads, their number, and the first epoch that counts."""
    if is_shared:
        return words(area[Area.WRITES_AT]), words(area[Area.READS_AT]), area[Area.N_ENTRIES], area[Area.FIRST_EPOCH]
    return words(table[Table.WRITES_AT]), words(table[Table.READS_AT]), table[Table.N_ENTRIES], 1
