"""Every error a user can meet: its class and its wording, in one file.

A message says what was expected, what was found and where, then "Hint:" and what to do.
"""

from __future__ import annotations


class TeachkitError(Exception):
    """Base of every error that teachkit raises on purpose."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        self.message = message
        self.hint = hint
        super().__init__(f"{message}\nHint: {hint}" if hint else message)


class FusionGraphError(TeachkitError):
    """A graph of operators, or a partition of it, that makes no sense."""


class PtxSyntaxError(TeachkitError):
    """PTX text that does not follow the grammar: the line (from 1), its text, and what should have stood there."""

    def __init__(self, *, line: int, text: str, expected: str) -> None:
        self.line = line
        self.text = text
        self.expected = expected
        super().__init__(
            f"PTX line {line}: expected {expected}, got {text!r}",
            hint="if a compiler wrote this text, it uses syntax that the parser lacks; otherwise correct that line",
        )


class NotebookSourceError(TeachkitError):
    """A lesson source that is missing or cannot be understood."""


class NotebookFailedError(TeachkitError):
    """A cell of a lecture raised while its notebook was built."""

    def __init__(self, name: str, cell_index: int, what: str, traceback: str = "") -> None:
        self.name, self.cell_index = name, cell_index
        super().__init__(
            f"expected {name} to run from top to bottom; cell {cell_index} stopped it: {what}\n{traceback}".rstrip(),
            hint="edit the source under notebooks/src; a cell that is meant to raise carries the tag raises-exception.",
        )


class NotebookDriftError(TeachkitError):
    """Notebooks that differ from their sources, or sources that break the house rules."""

    def __init__(self, problems: list[str]) -> None:
        self.problems = tuple(problems)
        listed = "\n".join(f"- {problem}" for problem in problems)
        super().__init__(
            f"expected notebooks that follow their sources and the rules for cells, found:\n{listed}",
            hint="edit notebooks/src, never an .ipynb, then run `make notebooks` and commit what it wrote.",
        )


class DataSheetError(TeachkitError):
    """A GPU's data sheet, or a change to one, does not follow the schema."""


class UnknownGpuError(TeachkitError):
    """No data sheet has the name."""

    def __init__(self, name: str, known: tuple[str, ...], nearest: str | None) -> None:
        super().__init__(
            f"Expected the name of a GPU with a data sheet, got {name!r}; there are {', '.join(known)}.",
            hint=f"did you mean {nearest!r}?" if nearest else "a GPU is added by one file in teachkit/hardware/gpus.",
        )


class OccupancyError(TeachkitError):
    """A block that no SM of the GPU can run."""


class ProfileError(TeachkitError):
    """A profile used in a way that cannot give a meaningful number."""


class PredictionError(TeachkitError):
    """Something that has no counters to predict a time from."""
