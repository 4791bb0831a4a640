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
        self.nearest = nearest
        super().__init__(
            f"Expected the name of a device with a data sheet, got {name!r}; there are {', '.join(known)}.",
            hint=f"did you mean {nearest!r}?" if nearest else "a device is added by one file in teachkit/hardware.",
        )


class ProbeError(TeachkitError):
    """A reading of this machine that was not taken."""


class OccupancyError(TeachkitError):
    """A block that no SM of the GPU can run."""


class ProfileError(TeachkitError):
    """A profile used in a way that cannot give a meaningful number."""


class PredictionError(TeachkitError):
    """Something that has no counters to predict a time from."""


class UnknownExerciseError(TeachkitError):
    """A check of an exercise that does not exist."""

    def __init__(self, slug: str, existing: tuple[str, ...]) -> None:
        super().__init__(f"expected the name of an exercise, got {slug!r}", hint=f"these exist: {', '.join(existing)}.")


class UnsupportedInstruction(TeachkitError):
    """PTX that is not on the emulator's whitelist. Nothing is ever approximated in its place."""

    def __init__(self, opcode: str, ptx_line: int, source: str = "", what: str = "") -> None:
        self.opcode, self.ptx_line, self.source = opcode, ptx_line, source
        place = f"PTX line {ptx_line}" + (f", kernel source {source}" if source else "")
        detail = f" ({what})" if what else ""
        hint = "an instruction is one function in teachkit/emulator/isa and one test row; CONTRIBUTING.md shows how."
        if opcode.startswith(("vote.", "shfl.")) and "sync" not in opcode.split("."):
            hint = "GPUs since sm_70 do not have it; name the lanes that take part, with __all_sync(mask, ...)."
        super().__init__(
            f"Expected an instruction that the emulator implements, got {opcode!r}{detail} at {place}.", hint=hint
        )


class KernelFault(TeachkitError, RuntimeError):
    """A kernel touched memory it may not touch, or could not finish. The process and all other data are unharmed.

    A ``RuntimeError`` too, which is what PyTorch and Triton raise for it on a GPU.
    """

    def __init__(
        self,
        message: str,
        *,
        hint: str,
        kernel: str,
        kind: str,
        block: tuple[int, int, int] | None = None,
        thread: tuple[int, int, int] | None = None,
        argument: str | None = None,
        source: str = "",
    ) -> None:
        self.kernel, self.kind, self.block, self.thread = kernel, kind, block, thread
        self.argument, self.source = argument, source
        super().__init__(message, hint=hint)


class TraceError(TeachkitError):
    """A launch too long to be recorded step by step."""


class KernelCheckError(TeachkitError):
    """What ``teachkit.emulator.check()`` found in a launch, which ran to its end; ``findings`` has everything."""

    def __init__(self, kernel: str, shown: str, *, findings: tuple[object, ...], n_occurrences: int) -> None:
        self.kernel, self.findings, self.n_occurrences = kernel, findings, n_occurrences
        n = len(findings)
        super().__init__(
            f"Expected nothing for the checks of kernel {kernel!r} to find, got {n} finding{'' if n == 1 else 's'} "
            f"({n_occurrences} occurrences):\n{shown}",
            hint="check(raises=False) collects the findings of all launches in its report instead.",
        )


class LaunchError(TeachkitError):
    """A launch that cannot start: wrong number or kind of arguments, grid or block out of range."""


class UnsupportedArchitecture(TeachkitError):
    """A compute capability for which no GPU is modelled."""

    def __init__(self, value: int | str, *, where: str, known: list[int]) -> None:
        names = ", ".join(str(arch) for arch in known)
        super().__init__(
            f"expected one of the architectures {names}, got {value!r} from {where}",
            hint="write it as 90 or sm_90; 80 is the default.",
        )


class AssemblerError(TeachkitError):
    """PTX that ptxas rejects, or no ptxas to assemble it."""


class NoLaunchError(TeachkitError):
    """A time that was asked for although nothing was launched whose time could be modelled."""


class ModelledTimeWarning(UserWarning):
    """Says, once, that times which a program reads are modelled, because there is no GPU to measure on."""


class NotPlainError(TeachkitError):
    """An answer that should be data and holds something else."""


class SubmissionFileError(TeachkitError):
    """A file that should hold the answer to an exercise and does not."""

    def __init__(self, file: object, what: str) -> None:
        super().__init__(
            f"expected a Python file with the answer, got {file}: {what}",
            hint="name the function like the exercise, for example `teachkit check fused_gelu my_answer.py`.",
        )


class PtxLinkError(TeachkitError):
    """PTX modules that do not fit together."""


class DriverError(TeachkitError):
    """An emulated CUDA driver that this process cannot take."""


class CompileError(TeachkitError):
    """Kernel source that its compiler refused; the compiler's own messages are shown."""

    def __init__(self, language: str, messages: str, hint: str = "") -> None:
        self.messages = messages
        super().__init__(
            f"Expected {language} that compiles, got these errors:\n{messages}",
            hint=hint or "the first error counts most; later ones often follow from it.",
        )


class CompileOptionError(TeachkitError):
    """An option of ``tk.compile`` that cannot be met."""


class MissingCompilerError(TeachkitError):
    """A kernel compiler that is not installed here."""

    def __init__(self, compiler: str, reason: str) -> None:
        super().__init__(
            f"Expected the {compiler} compiler, which is not installed here ({reason}).",
            hint="install it: `make setup`, or pip install 'teachkit[cuda]'.",
        )


class UnknownLadderError(TeachkitError):
    """A ladder of reference kernels that does not exist."""

    def __init__(self, name: str, existing: tuple[str, ...]) -> None:
        super().__init__(
            f"Expected the name of a ladder of kernels, got {name!r}.", hint=f"these exist: {', '.join(existing)}."
        )


class UnknownRungError(TeachkitError):
    """A rung that a ladder does not have."""

    def __init__(self, ladder: str, name: str, existing: tuple[str, ...]) -> None:
        super().__init__(
            f"Expected a rung of the ladder {ladder!r}, got {name!r}.", hint=f"it has {', '.join(existing)}."
        )


class KernelInputError(TeachkitError):
    """An input that a reference kernel does not take: wrong dtype, shape, layout or alignment."""

    def __init__(self, expected: str, got: object, where: str, hint: str) -> None:
        super().__init__(f"Expected {expected}, got {got}, in {where}.", hint=hint)


class ModelInputError(TeachkitError):
    """A quantity that a calculator cannot use."""
