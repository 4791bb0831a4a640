"""The room where every exercise has one file."""
