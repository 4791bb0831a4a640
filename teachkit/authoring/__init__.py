"""The room where one lesson source becomes a notebook, and where a committed notebook is compared with its source."""

from teachkit.authoring.pipeline import build

__all__ = ["build"]
