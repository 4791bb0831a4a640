"""One module per suite; ``benchmarks/coverage/__init__.py`` says what it defines."""
