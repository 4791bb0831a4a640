"""Atomic read-modify-write. Source: PTX ISA, "atom", "red"."""
