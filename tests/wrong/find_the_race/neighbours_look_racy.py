"""Takes reading a neighbour for a race."""

from teachkit.kernels.race_suspects import SUSPECTS

ITEM = "correct"
REASON = "the check finds no race in smooth"


def find_the_race():
    return {"racy": "smooth", "repaired": SUSPECTS["smooth"]}
