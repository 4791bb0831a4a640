"""Takes many additions to one place for a race, atomic as they are."""

from teachkit.kernels.race_suspects import SUSPECTS

ITEM = "correct"
REASON = "the check finds no race in count_signs"


def find_the_race():
    return {"racy": "count_signs", "repaired": SUSPECTS["count_signs"]}
