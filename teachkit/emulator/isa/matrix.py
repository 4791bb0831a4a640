"""Tensor-core instructions. Source: PTX ISA, "Warp Level Matrix Instructions"."""
