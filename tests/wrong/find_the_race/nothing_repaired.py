"""Finds it and changes nothing."""

from teachkit.kernels.race_suspects import SUSPECTS

ITEM = "repaired"
REASON = "data race"


def find_the_race():
    return {"racy": "block_sum", "repaired": SUSPECTS["block_sum"]}
