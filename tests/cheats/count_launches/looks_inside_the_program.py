"""Reads the answer off the object it is given and runs nothing."""

ITEM = "correct"
REASON = "the program was never run"


def count_launches(program):
    return program.n_launches
