"""Lets the course's own profile count."""

import teachkit as tk

ITEM = "budget"
REASON = "tk.profile() counted"


def count_launches(program):
    with tk.profile() as prof:
        program()
    return prof.n_launches
