"""Every rung of every ladder computes what PyTorch computes, on odd sizes too, or says why it does not take one."""

from __future__ import annotations

import pytest
import torch

from teachkit.errors import KernelInputError, UnknownLadderError, UnknownRungError
from teachkit.kernels import LADDERS, ladder
from teachkit.kernels.rgb_to_yuv import reference as yuv_reference
from teachkit.kernels.rungs import Ladder, Rung

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
RUNGS = [pytest.param(ladder(name), rung, id=f"{name}: {rung.name}") for name in LADDERS for rung in ladder(name)]
# Rungs that work on whole vectors or tiles, and how many of the ladder's sizes they refuse. The others take all.
REFUSED = {
    ("transpose", "vectorised"): 4,
    ("rgb_to_yuv", "vectorised"): 3,
    ("matmul", "column of 8 a thread"): 3,
    ("matmul", "8 by 8 a thread"): 4,
    ("matmul", "vectorised"): 4,
    ("matmul", "warp tile"): 4,
}


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize(("steps", "rung"), RUNGS)
def test_a_rung_agrees_with_pytorch(steps: Ladder, rung: Rung, device: str) -> None:
    n_refused = 0
    for number, size in enumerate(steps.sizes):
        args = steps.inputs(*size, seed=number, device=device)
        before = [arg.clone() for arg in args]
        try:
            result = rung.run(*args)
        except KernelInputError:
            n_refused += 1
            continue
        expected = steps.reference(*args)
        assert result.device.type == device
        torch.testing.assert_close(result, expected, rtol=steps.rtol, atol=steps.atol, check_stride=False)
        assert all(torch.equal(arg, old) for arg, old in zip(args, before, strict=True))
    assert n_refused == REFUSED.get((steps.name, rung.name), 0)


@pytest.mark.parametrize("name", LADDERS)
def test_a_ladder_is_complete(name: str) -> None:
    steps = ladder(name)
    assert steps.name == name
    assert len(steps) >= {"reduction": 7, "matmul": 6}.get(name, 4)
    assert len({rung.name for rung in steps}) == len(steps)
    assert all(rung.sentence.endswith(".") and len(rung.sentence) > 30 for rung in steps)
    assert all(rung.proof for rung in steps.rungs[1:])
    assert any(size[0] % 2 for size in steps.sizes)
    assert [upper for _, upper in steps.steps()] == list(steps.rungs[1:])
    lines = steps.table().splitlines()
    assert len(lines) == 1 + len(steps)
    assert all(rung.sentence in line and rung.name in line for rung, line in zip(steps, lines[1:], strict=True))
    if steps.published is not None:
        assert set(steps.published.figures) <= {rung.name for rung in steps}
        # The ladder goes up in the order that was published.
        names = [rung.name for rung in steps if rung.name in steps.published.figures]
        assert list(steps.published.order) == names
        slow, fast = (steps.published.figure_of(seconds, *steps.published.size) for seconds in (2.0, 1.0))
        assert slow == pytest.approx(fast / 2 if steps.published.larger_is_faster else 2 * fast)


@pytest.mark.parametrize(("steps", "rung"), RUNGS)
def test_the_source_shows_the_kernel(steps: Ladder, rung: Rung) -> None:
    name = rung.kernel if isinstance(rung.kernel, str) else getattr(rung.kernel, "__name__", "")
    assert name.split("<")[0] in rung.source


def test_an_unknown_ladder_or_rung_lists_what_exists() -> None:
    with pytest.raises(UnknownLadderError, match=r"(?s)'matmull'.*copy, transpose, rgb_to_yuv, reduction, matmul"):
        ladder("matmull")
    with pytest.raises(UnknownRungError, match=r"(?s)'fast'.*naive, tiled, padded"):
        ladder("transpose")["fast"]
    assert ladder("transpose")["padded"].language == "CUDA C++"


X = torch.zeros(64, 64)


@pytest.mark.parametrize(
    ("name", "rung", "args", "words"),
    [
        ("copy", "coalesced", (torch.zeros(4, dtype=torch.float64),), r"(?s)float32.*float64.*Hint: convert"),
        ("copy", "coalesced", (torch.zeros(8)[::2],), r"contiguous memory, got strides"),
        ("copy", "coalesced", ([1.0],), r"a tensor, got list"),
        ("copy", "coalesced", (X,), r"1 dimension, got shape \(64, 64\)"),
        ("copy", "vectorised", (torch.zeros(9)[1:],), r"(?s)16 divides, got 4 bytes more.*clone"),
        ("copy", "in flight", (torch.zeros(9)[1:],), r"16 divides"),
        ("gelu", "vectorised", (torch.zeros(9)[1:],), r"16 divides"),
        ("transpose", "naive", (torch.zeros(4),), r"2 dimensions"),
        ("transpose", "vectorised", (torch.zeros(4, 6),), r"multiples of 4, got \(4, 6\)"),
        ("rgb_to_yuv", "planar", (torch.zeros(2, 2, 4, dtype=torch.uint8),), r"3 channels"),
        ("rgb_to_yuv", "planar", (torch.zeros(2, 2, 3),), r"torch.uint8, got torch.float32"),
        ("rgb_to_yuv", "vectorised", (torch.zeros(1, 3, 3, dtype=torch.uint8),), r"a multiple of 4 pixels, got 1 x 3"),
        ("reduction", "sequential", (torch.zeros(0, dtype=torch.int32),), r"at least one element"),
        ("reduction", "sequential", (torch.zeros(4),), r"torch.int32"),
        ("matmul", "naive", (X, torch.zeros(63, 64)), r"b of 64 rows, as a has columns, got 63"),
        ("matmul", "warp tile", (X, X), r"(?s)128, 128 and 16 divide, got \(64, 64, 64\).*Hint: pad"),
    ],
)
def test_a_wrong_input_is_refused_in_words(name: str, rung: str, args: tuple[object, ...], words: str) -> None:
    with pytest.raises(KernelInputError, match=words):
        ladder(name)[rung].run(*args)


def test_yuv_follows_bt601() -> None:
    """The integer definition against the real one, and colours that can be worked out by hand."""
    rgb = torch.randint(0, 256, (64, 64, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    red, green, blue = rgb.double().permute(2, 0, 1)
    y = 0.299 * red + 0.587 * green + 0.114 * blue
    exact = torch.stack((y, 0.492 * (blue - y) + 128, 0.877 * (red - y) + 128)).clamp(0, 255)
    # Rounding Y to a whole number moves chroma by up to half of its factor, and chroma is rounded too.
    assert (yuv_reference(rgb).double() - exact).abs().max() <= 1.0
    colours = {(255, 255, 255): (255, 128, 128), (77, 77, 77): (77, 128, 128), (255, 0, 0): (76, 91, 255)}
    for colour, expected in colours.items():
        assert yuv_reference(torch.tensor([[colour]], dtype=torch.uint8)).flatten().tolist() == list(expected)


def test_the_sum_wraps_around_as_pytorch_does() -> None:
    x = torch.full((1000,), 2**30, dtype=torch.int32)
    for rung in ladder("reduction"):
        assert rung.run(x).item() == x.sum(dtype=torch.int32).item()
