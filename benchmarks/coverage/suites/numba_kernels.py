"""Kernels for Numba-CUDA of packages that want CUDA tensors, CuPy arrays or much else for the rest of their program.

They are called through the packages' own functions where those take what is here, with CPU tensors and NumPy arrays.
Packages whose ``__init__`` imports what is not needed for that (PyTorch Lightning, MMCV) are imported without it.
"""

from __future__ import annotations

import itertools
import math
import types
from typing import Any

from benchmarks.coverage.arrays import Pairs, Programs, numbers, without_init

TITLE = "Numba-CUDA kernels: speech, diffraction, boxes, alignment, radio astronomy, against PyTorch and NumPy"
PACKAGES = (
    *("nemo-toolkit", "pyxem", "mmdet3d", "pysdtw", "your", "locate-pixelcolor-numbacuda", "numba-cuda", "numba"),
    "torch",
)
CHUNK = 10
LIMIT_S = 200
ENVIRONMENT = {"TEACHKIT_NUMBA": "1"}

programs = Programs()
names, run = programs.names, programs.run

# float32 on one side at least.
_SINGLE = 2e-5


def setup() -> None:
    """NeMo asks ``torch.cuda`` for its stream."""
    from benchmarks.coverage.device_queries import answer_for_modelled_gpu

    answer_for_modelled_gpu()
    speech = ("nemo", "nemo.collections", "nemo.collections.asr", "nemo.collections.asr.parts")
    without_init("nemo-toolkit", *speech, "nemo.collections.asr.parts.numba", RNNT)
    boxes = ("mmdet3d", "mmdet3d.evaluation", "mmdet3d.evaluation.functional")
    without_init("mmdet3d", *boxes, "mmdet3d.evaluation.functional.kitti_utils")
    without_init("pyxem", "pyxem", "pyxem.utils")
    without_init("pysdtw", "pysdtw")
    without_init("your", "your", "your.utils")


RNNT = "nemo.collections.asr.parts.numba.rnnt_loss"


def transducer(name: str, **options: Any) -> None:
    @programs.add(f"nemo-toolkit transducer loss{name}", 1e-4)
    def loss() -> Pairs:
        """Costs and gradients against automatic differentiation of the lattice's sum, in float64."""
        import torch
        from nemo.collections.asr.parts.numba.rnnt_loss import rnnt

        n_times, n_symbols = [7, 5], [3, 2]
        scores = torch.from_numpy(numbers().normal(size=(2, 7, 4, 6)))
        labels = torch.from_numpy(numbers().integers(1, 6, (2, 3)))
        own = scores.float()
        costs, gradients = torch.zeros(2), torch.zeros_like(own)
        lengths = (torch.tensor(each) for each in (n_times, n_symbols))
        rnnt.rnnt_loss_gpu(
            own, labels, *lengths, costs, gradients,
            blank_label=0, fastemit_lambda=0.0, num_threads=1, clamp=options.get("clamp", 0.0),
        )  # fmt: skip
        scores.requires_grad_()
        expected = [_lattice(scores[i].log_softmax(-1), labels[i].tolist(), n_times[i], n_symbols[i]) for i in range(2)]
        torch.stack(expected).sum().backward()
        wanted = scores.grad
        if "clamp" in options:
            wanted = wanted.clamp(-options["clamp"], options["clamp"])
        return [(costs, torch.stack(expected).detach()), (gradients, wanted)]


def _lattice(log_p: Any, labels: list[int], n_times: int, n_symbols: int) -> Any:
    """Minus the logarithm of what all paths have together, ``log_p [time, symbols, vocabulary]`` with blank 0."""
    import torch

    reached: dict[tuple[int, int], Any] = {(0, 0): log_p.new_zeros(())}
    for t, u in itertools.product(range(n_times), range(n_symbols + 1)):
        ways = [reached[t - 1, u] + log_p[t - 1, u, 0]] if t else []
        ways += [reached[t, u - 1] + log_p[t, u - 1, labels[u - 1]]] if u else []
        if ways:
            reached[t, u] = torch.logsumexp(torch.stack(ways), 0)
    return -(reached[n_times - 1, n_symbols] + log_p[n_times - 1, n_symbols, 0])


transducer("")
transducer(", clamped", clamp=0.05)


@programs.add("mmdet3d rotate_iou", _SINGLE)
def rotated_boxes() -> Pairs:
    import numpy as np
    from mmdet3d.evaluation.functional.kitti_utils.rotate_iou import rotate_iou_gpu_eval

    random = numbers()

    def boxes(n: int) -> Any:
        places, sizes, angles = (random.uniform(*between, (n, k)) for *between, k in ((0, 6, 2), (1, 4, 2), (-3, 3, 1)))
        return np.concatenate([places, sizes, angles], 1).astype(np.float32)

    some, others = boxes(70), boxes(33)
    shared = np.array([[_shared_area(_corners(a), _corners(b)) for b in others] for a in some])
    areas = [each[:, 2] * each[:, 3] for each in (some.astype(float), others.astype(float))]
    both = areas[0][:, None] + areas[1] - shared
    return [
        (rotate_iou_gpu_eval(some, others), shared / both),
        (rotate_iou_gpu_eval(some, others, criterion=1), shared / areas[0][:, None]),
    ]


def _corners(box: Any) -> list[complex]:
    x, y, width, height, angle = map(float, box)
    turn = complex(math.cos(angle), -math.sin(angle))
    around = [complex(a * width, b * height) / 2 for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
    return [complex(x, y) + corner * turn for corner in around]


def _shared_area(polygon: list[complex], other: list[complex]) -> float:
    """Area of two convex polygons' common part: what is outside of each edge of the other is cut off."""
    for start, end in zip(other, [*other[1:], other[0]], strict=True):
        left = [((end - start).conjugate() * (corner - start)).imag for corner in polygon]
        kept: list[complex] = []
        for i, corner in enumerate(polygon):
            if left[i - 1] * left[i] < 0:
                kept.append(corner + (polygon[i - 1] - corner) * left[i] / (left[i] - left[i - 1]))
            if left[i] >= 0:
                kept.append(corner)
        polygon = kept
    return abs(sum((polygon[i - 1].conjugate() * polygon[i]).imag for i in range(len(polygon)))) / 2


@programs.add("pysdtw forward and backward", _SINGLE)
def soft_alignment() -> Pairs:
    import numpy as np
    import torch
    from pysdtw.sdtw_cuda import compute_softdtw_backward_cuda, compute_softdtw_cuda

    n, rows, columns, gamma = 2, 13, 9, 0.5
    lengths = np.array([[13, 9], [10, 7]])
    apart = numbers().random((n, rows, columns)).astype(np.float32)
    for i, (height, width) in enumerate(lengths):
        apart[i, height:], apart[i, :, width:] = 0, 0
    launch = n, max(rows, columns)
    sums = np.full((n, rows + 2, columns + 2), np.inf, np.float32)
    sums[:, 0, 0] = 0
    compute_softdtw_cuda[launch](apart, gamma, 0.0, lengths, 1, rows + columns - 1, sums)
    costs = torch.from_numpy(apart).double().requires_grad_()
    expected = torch.stack([_soft_cost(costs[i, :h, :w], gamma) for i, (h, w) in enumerate(lengths)])
    expected.sum().backward()
    got = [sums[i, h, w] for i, (h, w) in enumerate(lengths)]
    padded, gradient = np.zeros_like(sums), np.zeros_like(sums)
    padded[:, 1:-1, 1:-1] = apart
    for i, (h, w) in enumerate(lengths):
        sums[i, :, w + 1], sums[i, h + 1] = -np.inf, -np.inf
        sums[i, h + 1, w + 1], gradient[i, h + 1, w + 1] = sums[i, h, w], 1
    compute_softdtw_backward_cuda[launch](padded, sums, 1 / gamma, 0.0, lengths, 1, rows + columns - 1, gradient)
    pairs: Pairs = [(got, expected.detach())]
    return pairs + [(gradient[i, 1 : h + 1, 1 : w + 1], costs.grad[i, :h, :w]) for i, (h, w) in enumerate(lengths)]


def _soft_cost(costs: Any, gamma: float) -> Any:
    """The soft minimum over all alignments of the sum of their costs."""
    import torch

    sums = {(-1, -1): costs.new_zeros(())}
    for i, j in itertools.product(*map(range, costs.shape)):
        before = [sums[place] for place in ((i - 1, j - 1), (i - 1, j), (i, j - 1)) if place in sums]
        sums[i, j] = costs[i, j] - gamma * torch.logsumexp(-torch.stack(before) / gamma, 0)
    return sums[costs.shape[0] - 1, costs.shape[1] - 1]


@programs.add("pyxem polar templates", _SINGLE)
def templates() -> Pairs:
    import numpy as np
    from pyxem.utils.cuda_utils import TPB, _correlate_polar_image_to_library_gpu

    random, n, n_spots, shape = numbers(), 5, 300, (90, 40)
    image = random.random(shape).astype(np.float32)
    radius, angle = (random.integers(1, size, (n, n_spots)).astype(np.int32) for size in (shape[1], shape[0]))
    intensity = random.random((n, n_spots)).astype(np.float32)
    # The kernel's second turn goes through as many spots as the first one, and stops at a radius of zero.
    radius[:, 280:] = 0
    got = np.zeros((2, n, shape[0]), np.float32)
    _correlate_polar_image_to_library_gpu[(n, 1), (1, TPB)](image, radius, angle, intensity, got[0], got[1])
    seen = intensity.astype(float) * (radius > 0)
    expected = [
        [
            [(image[(sign * angle[t] + s) % shape[0], radius[t]] * seen[t]).sum() for s in range(shape[0])]
            for t in range(n)
        ]
        for sign in (1, -1)
    ]
    return [(got, np.array(expected))]


def candidate(your_gpu: Any) -> Any:
    """A stretch of noise, as the package's ``Candidate`` has it."""
    import numpy as np

    # Each function ends the device's context, which cuda.core, below Numba, can make once in a process only.
    your_gpu.cuda.close = lambda: None
    header = types.SimpleNamespace(tsamp=1e-3, dtype=np.float32)
    data = numbers().normal(size=(128, 64)).astype(np.float32)
    return types.SimpleNamespace(chan_freqs=np.linspace(1500, 1200, 64), data=data, dm=30.0, your_header=header)


def delays(frequencies: Any, dm: float) -> list[int]:
    """Samples by which each channel is late."""
    import numpy as np

    own = frequencies.astype(np.float32).astype(float)
    return [int(-4148808.0 * dm * (1 / own[0] ** 2 - 1 / f**2) / 1000 / 1e-3) for f in own]


@programs.add("your dedispersion", 0)
def dedispersion() -> Pairs:
    import numpy as np
    from your.utils import gpu

    noise = candidate(gpu)
    gpu.gpu_dedisperse(noise)
    late = delays(noise.chan_freqs, noise.dm)
    return [(noise.dedispersed, np.stack([np.roll(noise.data[:, i], -d) for i, d in enumerate(late)], 1))]


@programs.add("your dispersion measure against time", _SINGLE)
def bow_tie() -> Pairs:
    import numpy as np
    from your.utils import gpu

    noise = candidate(gpu)
    gpu.gpu_dmt(noise)
    # Delays near a whole number may be rounded to another one in float32; in these rows there are none.
    measures = list(range(0, 256, 16))
    expected = [
        sum(np.roll(noise.data[:, i], -d) for i, d in enumerate(delays(noise.chan_freqs, float(dm))))
        for dm in np.linspace(0, 2 * noise.dm, 256, dtype=np.float32)[measures]
    ]
    return [(noise.dmt[measures], np.stack(expected))]


@programs.add("locate-pixelcolor-numbacuda search_colors", 0)
def colours() -> Pairs:
    import numpy as np
    from locate_pixelcolor_numbacuda import search_colors

    picture = numbers().integers(0, 3, (40, 50, 3)).astype(np.uint8)
    wanted = np.array([[0, 1, 2], [1, 1, 1]], np.uint8)
    # Its blocks are three threads deep, for the three colours, and each of the three finds a pixel.
    found = sorted(map(tuple, search_colors(picture, wanted)[0]))[::3]
    return [(found, sorted(tuple(place) for one in wanted for place in np.argwhere((picture == one).all(-1))))]
