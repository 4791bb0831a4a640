"""The room where an exercise's answer is checked by what it computes and by what it moves."""

from teachkit.grading.checker import check
from teachkit.grading.report import ItemResult, Report

__all__ = ["ItemResult", "Report", "check"]
