"""The barrier at the end of each round."""

from teachkit.kernels.race_suspects import SUSPECTS


def find_the_race():
    source = SUSPECTS["block_sum"]
    old = "            tile[threadIdx.x] += tile[threadIdx.x + half];\n"
    return {"racy": "block_sum", "repaired": source.replace(old, old + "        __syncthreads();\n")}
