"""Does not argue: runs every claim and counts, as the last hint says."""

import numpy as np
import torch

from teachkit.kernels import gelu_claims
from teachkit.measure import profile
from teachkit.measure.numpy_traffic import count_numpy

N = 1 << 20


def is_it_fused():
    moved = {}
    for claim in gelu_claims.NUMPY_CLAIMS:
        traffic = count_numpy(claim, np.linspace(-4, 4, N, dtype=np.float32))
        moved[claim.__name__] = round(traffic.dram_bytes / (4 * N))
    for claim in gelu_claims.TORCH_CLAIMS:
        x = torch.linspace(-4, 4, N)
        with profile() as prof:
            claim(x)
        moved[claim.__name__] = round(prof.dram_bytes / (4 * N))
    return moved
