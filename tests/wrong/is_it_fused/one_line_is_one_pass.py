"""Believes that one expression is one loop."""

ITEM = "correct"
REASON = "numpy_one_liner: expected not fused, got 2"


def is_it_fused():
    return {
        "numpy_one_liner": 2,
        "numpy_chunks": 2,
        "torch_in_place": 18,
        "torch_library": 2,
        "triton_kernel": 2,
        "triton_one_launch": 3,
    }
