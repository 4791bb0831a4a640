"""Every instruction row on the oracle."""

import pytest

from teachkit.emulator.oracle import run
from teachkit.emulator.ptx import parse


def execute(text, n_threads, arrays):
    result = run(parse(text), "row", 1, n_threads, arrays)
    assert not result.faults
    return result


def test_row(row, rows):
    rows.check(row, execute)


def test_a_row_that_should_fail_fails(rows):
    row = rows.Row("add.s32", "s32", ("s32", "s32"), ((1, 2, 4),))
    with pytest.raises(AssertionError, match="expected 4, got 3"):
        rows.check(row, execute)
