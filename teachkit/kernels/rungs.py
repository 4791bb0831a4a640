"""What a ladder is: the same work done by several kernels, naive to best, each step proved by counters.

Not modelled: anything. Time is the business of ``teachkit.model``.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Mapping
from importlib import resources
from typing import Any, Literal

import torch

from teachkit.errors import KernelInputError, UnknownRungError
from teachkit.frontends.cuda_c import compile_cuda_c
from teachkit.frontends.target import architecture
from teachkit.frontends.two_devices import KernelModule, TwoDeviceKernel

Language = Literal["CUDA C++", "Triton", "Numba-CUDA", "PyTorch"]


@dataclasses.dataclass(frozen=True)
class Rung:
    """One way to do the work.

    Attributes
    ----------
    name
        Short name, unique in its ladder.
    sentence
        What it changed against the rung before it, in one sentence.
    language
        What its kernel is written in.
    run
        Takes the ladder's inputs, returns its result.
    proof
        Counters that fall against the rung before: fields of ``Counters``, or of the launch's resources.
    kernel
        The kernel's name in ``cu/<ladder>.cu``, or the Python function that holds it.
    """

    name: str
    sentence: str
    language: Language
    run: Callable[..., torch.Tensor] = dataclasses.field(repr=False)
    proof: tuple[str, ...] = ()
    kernel: str | Callable[..., Any] = dataclasses.field(default="", repr=False)
    file_name: str = dataclasses.field(default="", repr=False)

    @property
    def source(self) -> str:
        """The kernel as it is written; for CUDA C++ the whole file, which is short."""
        if self.file_name:
            return read_cuda_source(self.file_name)
        function = getattr(self.kernel, "fn", self.kernel)
        return inspect.getsource(function if callable(function) else self.run)


@dataclasses.dataclass(frozen=True)
class Published:
    """Figures that somebody measured for such a ladder and printed.

    Attributes
    ----------
    source
        Author, title, place.
    device
        The GPU of the publication.
    gpu
        Name of its data sheet, or of the nearest one where there is none.
    size
        Arguments of the ladder's ``inputs`` that give the published problem.
    unit
        What the figures are.
    figures
        Figure by name of the rung; only rungs that the publication has.
    larger_is_faster
        Whether the figures are rates (true) or times.
    figure_of
        ``figure_of(seconds, *size)``: a time in the published unit.
    """

    source: str
    device: str
    gpu: str
    size: tuple[int, ...]
    unit: str
    figures: Mapping[str, float]
    larger_is_faster: bool
    figure_of: Callable[..., float] = dataclasses.field(repr=False)

    @property
    def order(self) -> tuple[str, ...]:
        """Names of the rungs, slowest first, as published."""
        return tuple(sorted(self.figures, key=lambda name: self.figures[name], reverse=not self.larger_is_faster))


@dataclasses.dataclass(frozen=True)
class Ladder:
    """The rungs, what they compute, and inputs to try them on.

    Attributes
    ----------
    name
        As in :func:`teachkit.kernels.ladder`.
    sentence
        What the work is.
    rungs
        From the naive one to the best.
    reference
        The same function by PyTorch.
    inputs
        ``inputs(*size, seed=0, device="cpu")`` returns a tuple of tensors for every ``run``.
    sizes
        Sizes that every rung must get right, odd ones included.
    rtol, atol
        How far a result may be from the reference.
    reason
        Why the tolerance is what it is.
    published
        Figures of others; ``None`` where none are cited.
    """

    name: str
    sentence: str
    rungs: tuple[Rung, ...]
    reference: Callable[..., torch.Tensor] = dataclasses.field(repr=False)
    inputs: Callable[..., tuple[torch.Tensor, ...]] = dataclasses.field(repr=False)
    sizes: tuple[tuple[int, ...], ...]
    rtol: float = 0.0
    atol: float = 0.0
    reason: str = "the same bits"
    published: Published | None = None

    def __iter__(self) -> Iterator[Rung]:
        return iter(self.rungs)

    def __len__(self) -> int:
        return len(self.rungs)

    def __getitem__(self, name: str) -> Rung:
        """Return a rung by its name.

        Raises
        ------
        UnknownRungError
            If the ladder has none of that name; the message lists what it has.
        """
        for rung in self.rungs:
            if rung.name == name:
                return rung
        raise UnknownRungError(self.name, name, tuple(rung.name for rung in self.rungs))

    def steps(self) -> Iterator[tuple[Rung, Rung]]:
        """Pairs of a rung and the next one up."""
        return itertools.pairwise(self.rungs)

    def table(self) -> str:
        """Return the rungs as text: name, language, what each changed and the counters that prove it."""
        lines = [f"{self.name}: {self.sentence}"]
        for number, rung in enumerate(self.rungs, start=1):
            proof = f" Falls: {', '.join(rung.proof)}." if rung.proof else ""
            lines.append(f"{number}. {rung.name} ({rung.language}). {rung.sentence}{proof}")
        return "\n".join(lines)


def read_cuda_source(file_name: str) -> str:
    """Return the text of a file in ``teachkit/kernels/cu``."""
    return (resources.files("teachkit.kernels") / "cu" / file_name).read_text(encoding="utf-8")


def cuda_kernel(file_name: str, name: str) -> TwoDeviceKernel:
    """Return a kernel of ``teachkit/kernels/cu``, compiled once for each architecture.

    Parameters
    ----------
    file_name
        For example ``"copy.cu"``.
    name
        The kernel's name, for a template with its arguments: ``"transpose_tiled<33>"``.
    """
    return _module(file_name, architecture(), (name,) if "<" in name else ())[name]


@functools.cache
def _module(file_name: str, arch: int, instantiate: tuple[str, ...]) -> KernelModule:
    return compile_cuda_c(read_cuda_source(file_name), instantiate=instantiate, file_name=file_name)


def require(condition: bool, expected: str, got: object, where: str, hint: str) -> None:
    """Raise :class:`KernelInputError` with a full message unless ``condition`` holds."""
    if not condition:
        raise KernelInputError(expected, got, where, hint)


def require_vector(x: torch.Tensor, where: str, dtype: torch.dtype = torch.float32, n_dims: int | None = None) -> None:
    """Check dtype, layout and size of a kernel's input.

    Raises
    ------
    KernelInputError
        If it is not a contiguous tensor of ``dtype`` with fewer than 2^31 elements and the right number of dimensions.
    """
    require(isinstance(x, torch.Tensor), "a tensor", type(x).__name__, where, "torch.as_tensor(values) makes one.")
    require(x.dtype == dtype, f"{dtype}", x.dtype, where, f"convert it with .to({dtype}).")
    require(x.is_contiguous(), "contiguous memory", f"strides {x.stride()}", where, "call .contiguous() first.")
    require(x.numel() < 2**31, "fewer than 2^31 elements", x.numel(), where, "the kernels index with 32-bit integers.")
    if n_dims is not None:
        got = f"shape {tuple(x.shape)}"
        require(x.dim() == n_dims, f"{n_dims} dimension{'s'[: n_dims > 1]}", got, where, "reshape it.")


def require_aligned(x: torch.Tensor, where: str, n_bytes: int = 16) -> None:
    """Check that the first element lies where a vector of ``n_bytes`` may be loaded.

    Raises
    ------
    KernelInputError
        If it does not, as in ``x[1:]``.
    """
    offset = x.data_ptr() % n_bytes
    require(offset == 0, f"an address that {n_bytes} divides", f"{offset} bytes more", where, "call .clone() first.")


def seeded(seed: int, device: str | torch.device) -> torch.Generator:
    """Return a generator of random numbers on a device."""
    return torch.Generator(device).manual_seed(seed)
