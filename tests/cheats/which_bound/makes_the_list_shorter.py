"""Takes operators out of the list that it is given."""

ITEM = "correct"
REASON = "the call changed its input"


def which_bound(operators, gpu):
    del operators[1:]
    return ["bandwidth"]
