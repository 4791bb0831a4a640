"""The room for figures: `plot_*` returns a matplotlib Figure, `explore_*` shows a widget."""
