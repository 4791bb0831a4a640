"""Every instruction row on the LLVM engine; the NumPy oracle runs the same rows next door."""

from teachkit.emulator import load_ptx


def execute(text, n_threads, arrays):
    load_ptx(text)["row"][1, n_threads](*arrays)


def test_row(row, rows):
    rows.check(row, execute)
