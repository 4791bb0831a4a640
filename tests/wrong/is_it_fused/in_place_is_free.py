"""Believes that an operator in place does not read or does not write."""

ITEM = "traffic"
REASON = "torch_in_place: 9 is not what was counted"


def is_it_fused():
    return {
        "numpy_one_liner": 18,
        "numpy_chunks": 2,
        "torch_in_place": 9,
        "torch_library": 2,
        "triton_kernel": 2,
        "triton_one_launch": 3,
    }
