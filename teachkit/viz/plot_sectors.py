"""Which 32-byte sectors a strided read touches, and how much of each it uses.

Modelled: the sectors of one row of float32 elements that starts on a sector's border.
Not modelled: caches, which may keep a sector until its other elements are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence

from teachkit.viz.style import PALETTE, CourseFigure, styled_figure

SECTOR_BYTES = 32
ELEMENT_BYTES = 4
_PER_SECTOR = SECTOR_BYTES // ELEMENT_BYTES
_USED = {"color": PALETTE["blue"], "label": "asked for"}
_WASTED = {"facecolor": "#f6e3c0", "edgecolor": PALETTE["orange"], "hatch": "////", "linewidth": 0}
_BORDER = {"color": "#333333", "linewidth": 0.8}


def sectors_touched(stride: int, n_elements: int) -> int:
    """Distinct sectors that hold elements ``0, stride, 2 * stride, ...`` of a row.

    Examples
    --------
    >>> [sectors_touched(stride, 16) for stride in (1, 2, 8, 32)]
    [2, 4, 16, 16]
    """
    return len({index * stride // _PER_SECTOR for index in range(n_elements)})


def plot_sectors(strides: Sequence[int], *, n_elements: int = 16) -> CourseFigure:
    """Draw the memory that a read of every `stride`-th float32 element brings in.

    Parameters
    ----------
    strides : distances between the elements, in elements; one strip each.
    n_elements : elements that are asked for.

    Returns
    -------
    CourseFigure
        Closed. Horizontal axis: position in memory, bytes; vertical lines are the borders of sectors.
    """
    counts = {stride: sectors_touched(stride, n_elements) for stride in strides}
    named = "; ".join(f"stride {stride}: {n_sectors} sectors" for stride, n_sectors in counts.items())
    alt_text = f"Sectors of {SECTOR_BYTES} bytes that {n_elements} float32 elements touch. {named}."
    end_bytes = -(-(max(strides) * (n_elements - 1) + 1) // _PER_SECTOR) * SECTOR_BYTES
    with styled_figure(8.0, 0.66 * len(strides) + 1.3, alt_text=alt_text) as (figure, axes):
        for y, stride in enumerate(strides):
            used = [index * stride for index in range(n_elements)]
            sectors = sorted({index // _PER_SECTOR for index in used})
            starts = [sector * SECTOR_BYTES for sector in sectors]
            axes.barh([y] * len(starts), SECTOR_BYTES, left=starts, height=0.62, **_WASTED)
            axes.barh([y] * n_elements, ELEMENT_BYTES, left=[ELEMENT_BYTES * i for i in used], height=0.62, **_USED)
            for border in range(0, end_bytes + 1, SECTOR_BYTES):
                axes.plot([border, border], [y - 0.31, y + 0.31], **_BORDER)
        axes.set_yticks(range(len(strides)), [f"stride {s}: {n} sectors" for s, n in counts.items()])
        axes.set_ylim(len(strides) - 0.5, -0.5)
        axes.set_xlim(-2, end_bytes + 2)
        axes.set_xticks(range(0, end_bytes + 1, 4 * SECTOR_BYTES))
        axes.grid(visible=False)
        axes.set_xlabel("position in memory, bytes (a box is a sector of 32 bytes)")
        handles = [axes.barh(0, 0, **_USED), axes.barh(0, 0, **_WASTED)]
        figure.legend(handles, ["asked for", "brought in, not used"], loc="outside upper center", ncols=2)
    return figure
