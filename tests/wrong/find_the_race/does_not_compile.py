"""A barrier that CUDA C++ does not have."""

from teachkit.kernels.race_suspects import SUSPECTS

ITEM = "repaired"
REASON = "CompileError"


def find_the_race():
    return {"racy": "block_sum", "repaired": SUSPECTS["block_sum"].replace("__syncthreads", "__barrier")}
