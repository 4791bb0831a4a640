"""Counts two elements for every pass, also for those that read two arrays."""

ITEM = "traffic"
REASON = "numpy_one_liner: 16 is not what was counted"


def is_it_fused():
    return {
        "numpy_one_liner": 16,
        "numpy_chunks": 2,
        "torch_in_place": 16,
        "torch_library": 2,
        "triton_kernel": 2,
        "triton_one_launch": 3,
    }
