"""Draws docs/first_screen.png, the picture in the README, from counts made when it runs.

Left: bytes that tanh-GELU moves, operator by operator and as one kernel (counted). Right: what that means in time on
three GPUs (modelled). The description is stored in the file; a test compares it with fresh counts.

    .venv/bin/python docs/make_first_screen.py
"""

from __future__ import annotations

from pathlib import Path

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

import teachkit as tk
from teachkit.kernels.tanh_gelu import eager_gelu, fused_gelu
from teachkit.measure import Profile
from teachkit.viz.fusion_report import bytes_text, launches_text, seconds_text
from teachkit.viz.plot_fusion import draw_waterfall
from teachkit.viz.style import PALETTE, apply_style

PATH = Path(__file__).with_name("first_screen.png")
N = 2**24
GPUS = ("V100-SXM2-16GB", "A100-SXM4-40GB", "H100-SXM5-80GB")
OPERATORS = ["0.5 * x", "x ** 3", "0.044715 * …", "x + …", "0.798 * …", "tanh(…)", "1 + …", "… * …"]
STYLES = {"eager": {"color": PALETTE["vermilion"]}, "fused": {"color": PALETTE["green"], "hatch": "..."}}


def count() -> dict[str, Profile]:
    """Run both versions and count what they do."""
    x = torch.randn(N, generator=torch.Generator().manual_seed(0)).to(tk.device())
    profiles = {}
    for title, function in (("eager", eager_gelu), ("fused", fused_gelu)):
        with tk.profile() as profiles[title]:
            function(x)
    return profiles


def describe(profiles: dict[str, Profile]) -> str:
    """The picture in words, with every number that it shows."""
    parts = [f"tanh-GELU of {N:,} float32 elements."]
    for title, prof in profiles.items():
        times = ", ".join(f"{gpu} {seconds_text(tk.predict(prof, gpu=gpu).seconds)}" for gpu in GPUS)
        traffic = bytes_text(prof.dram_bytes, prof.dram_bytes / (4 * N))
        parts.append(f"{title}: {launches_text(prof.n_launches)}, {traffic} (counted); {times} (modelled).")
    return " ".join(parts)


def draw(profiles: dict[str, Profile]) -> Figure:
    """The two panels side by side."""
    with apply_style():
        figure = Figure(figsize=(11.5, 4.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.75, 1))
        labels = {"eager": OPERATORS, "fused": ["one Triton kernel"]}
        draw_waterfall(left, profiles, labels=labels, element_bytes=4 * N)
        left.set_title("tanh-GELU, operator by operator and fused: bytes, counted", loc="left")
        _draw_times(right, profiles)
    return figure


def _draw_times(axes: Axes, profiles: dict[str, Profile]) -> None:
    for shift, (title, prof) in zip((-0.2, 0.2), profiles.items(), strict=True):
        for y, gpu in enumerate(GPUS):
            estimate = tk.predict(prof, gpu=gpu)
            label = title if y == 0 else None
            axes.barh(y + shift, estimate.seconds * 1e6, height=0.36, label=label, edgecolor="white", **STYLES[title])
            axes.text(estimate.seconds * 1e6, y + shift, " " + seconds_text(estimate.seconds), va="center")
    axes.set_yticks(range(len(GPUS)), [gpu.split("-")[0] for gpu in GPUS], weight="bold")
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, 1.3 * max(bar.get_width() for bar in axes.patches))
    axes.set_xlabel("time, µs")
    axes.set_title("time on three GPUs, modelled", loc="left")
    axes.legend(loc="lower right")


def main() -> None:
    """Count, draw and store."""
    profiles = count()
    with apply_style():
        draw(profiles).savefig(PATH, dpi=160, metadata={"Software": None, "Description": describe(profiles)})
    print(f"{PATH.name}: {describe(profiles)}")


if __name__ == "__main__":
    main()
