"""Puts the barrier where only half of the threads come by."""

from teachkit.kernels.race_suspects import SUSPECTS

ITEM = "repaired"
REASON = "barrier"


def find_the_race():
    old = "tile[threadIdx.x] += tile[threadIdx.x + half];"
    new = "{ " + old + " __syncthreads(); }"
    return {"racy": "block_sum", "repaired": SUSPECTS["block_sum"].replace(old, new)}
