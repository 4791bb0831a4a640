"""Believes that one launch is enough."""

ITEM = "correct"
REASON = "triton_one_launch: expected not fused, got 2"


def is_it_fused():
    return {
        "numpy_one_liner": 18,
        "numpy_chunks": 2,
        "torch_in_place": 18,
        "torch_library": 2,
        "triton_kernel": 2,
        "triton_one_launch": 2,
    }
