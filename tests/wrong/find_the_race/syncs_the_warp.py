"""Orders the lanes of each warp, and not the warps."""

from teachkit.kernels.race_suspects import SUSPECTS

ITEM = "repaired"
REASON = "data race"


def find_the_race():
    old = "        if (threadIdx.x < half)"
    return {"racy": "block_sum", "repaired": SUSPECTS["block_sum"].replace(old, "        __syncwarp();\n" + old)}
