"""Truth values, which Python takes for 1 and 0."""

ITEM = "correct"
REASON = "expected whole numbers, got True for numpy_one_liner"


def is_it_fused():
    return {
        "numpy_one_liner": True,
        "numpy_chunks": 2,
        "torch_in_place": 18,
        "torch_library": 2,
        "triton_kernel": 2,
        "triton_one_launch": 3,
    }
