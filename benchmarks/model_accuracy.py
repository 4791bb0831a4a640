"""The time model against measurements on hardware: streams at every occupancy, small kernels, caches, a chase.

Nothing is timed here: the kernels are compiled, run and counted on the emulator, the model turns counts into seconds on
the data sheet of the GPU that was measured, and the error is the model's over the measurement, less one. Writes the
tables to benchmarks/model_accuracy.md as well; a table is as exact on a slow machine as on a fast one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[0] = str(ROOT)  # the measurements lie beside the tests, and no neighbour here may pose as a package

PAGE = Path(__file__).with_suffix(".md")
FULL_BAR, MEAN_BAR = 15.0, 20.0

INTRODUCTION = """# How far the time model is from hardware

Made by `python benchmarks/model_accuracy.py`; do not edit. Every number under "error" compares a **modelled** value
with one **recorded** on hardware by the RRZE gpu-benches project (github.com/te42kyfo/gpu-benches, commit 1c36d509;
the files are named in `tests/data`). No time is measured here. Error is modelled over measured, less one.

## What is taken from measurements, and what is fitted

- From the data sheet of each GPU: clocks, number of SMs, sizes. From measurements on each GPU, in the same sheet with
  their source: the bandwidth of a triad and of reads and writes alone at full occupancy, the latency of DRAM, L2 and
  L1, and the time from one block of a store-only kernel to the next. **So at full occupancy the triad and the larger of
  `init` and `read`, and `init` at 6 % occupancy, are inputs rather than predictions**; the other kernels and every
  other occupancy are predictions. The third table shows the model without any measured bandwidth.
- For caches and small kernels, likewise: the bandwidth of L2 for reads and for a copy (from two sizes of one series of
  256 threads a block), that of L1, the time of the smallest kernel, and how many blocks a second the GPU starts (from
  large kernels of tiny blocks). **So the small kernels of 4,096 elements, two of the sizes within L2, the plateau of
  blocks of 32 threads, and one point on the plateau of each cache are inputs**; every other size and block is a
  prediction.
- Fitted: one number, the same for every GPU and kernel. Where blocks wait for reads, the time of DRAM traffic and the
  latency are added as the legs of a right triangle, that is with the exponent 2. It was chosen among 1.5, 2, 2.5 and 3
  by the mean error over V100, both A100, H100 PCIe and H200; the best for each alone lies between 1.5 and 2.5. With
  perfect overlap (no such number) the mean over V100 and A100 40 GB was 10 % and the worst single point 55 %. A40 and
  L40 came later and changed nothing of it.
- Chosen, the same for every GPU: that L2 holds 16 lines a set, found by a hash, and drops the least recently used.
  With random replacement instead the error between 0.6 and 1.5 times L2 was one and a half times to twice as large on
  A100, H200, A40 and L40. That the last block has to run after it was started, which took the error of graphs from 14
  to 6 % on A100, follows from what a launch is.
- Nothing is fitted for loads in L1: banks are counted, and a line's tag costs a quarter of a cycle.
- The streams run on the emulator with arrays of 512 KiB; their counts are scaled to the 2 GiB that were measured. Small
  kernels and caches are counted by closed forms.
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the tables, write the page, and with ``--json`` end with one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    parser.add_argument("--no-page", action="store_true", help="leave benchmarks/model_accuracy.md as it is")
    options = parser.parse_args(arguments)
    try:
        sections, rows, summary = _evaluate()
    except KeyboardInterrupt:
        raise SystemExit("interrupted: nothing was written") from None
    print("\n\n".join(sections))
    if not options.no_page:
        PAGE.write_text("\n\n".join([INTRODUCTION.rstrip(), *sections]) + "\n", encoding="utf-8")
        print(f"\nwritten to {PAGE.relative_to(ROOT)}")
    if options.json:
        print(json.dumps({"rows": rows, "summary": summary}))


def _evaluate() -> tuple[list[str], list[dict[str, Any]], dict[str, float]]:
    from rich.console import Console
    from rich.progress import Progress

    from tests.model import measured, measured_caches

    with Progress(console=Console(stderr=True)) as progress:

        def bar(title: str, total: int | None = None) -> Any:
            task = progress.add_task(title, total=total)
            return lambda done, n: progress.update(task, completed=done + 1, total=n)

        streams = list(measured.streams(report=bar("streams, V100 and A100 40 GB")))
        others = list(measured.streams("hw_stream_bandwidth_other_gpus.csv", report=bar("streams, other GPUs")))
        blind = list(measured.streams(report=bar("streams, bandwidth assumed"), knows_bandwidth=False))
        strides = list(measured.strides()) + list(measured.strides("hw_l1_strides_other_gpus.csv"))
        chases = list(measured.latencies(report=bar("pointer chase")))
        chases += measured.latencies("hw_latency_other_gpus.csv", report=bar("pointer chase, other GPUs"))
        small = list(measured_caches.small_kernels())
        l2, caches = list(measured_caches.l2_bandwidth()), list(measured_caches.cache_bandwidth())

    full, full_others = (_at_full_occupancy(pairs) for pairs in (streams, others))
    summary = {
        "full_occupancy_worst_pct": round(max(_percents(full)), 1),
        "all_occupancies_mean_pct": round(statistics.mean(_percents(streams)), 1),
        "other_gpus_full_occupancy_worst_pct": round(max(_percents(full_others)), 1),
        "other_gpus_all_occupancies_mean_pct": round(statistics.mean(_percents(others)), 1),
        "l1_wavefronts_equal": sum(s.counted_wavefronts == s.measured_wavefronts for s in strides),
        "l1_wavefronts_rows": len(strides),
        "l1_cycles_mean_pct": round(statistics.mean(_percents(s.cycles for s in strides)), 1),
        "small_kernels_mean_pct": round(statistics.mean(_percents(small)), 1),
        "l2_bandwidth_mean_pct": round(statistics.mean(_percents(l2)), 1),
        "cache_bandwidth_l1_mean_pct": round(statistics.mean(_percents(p for p in caches if p.what == "L1")), 1),
        "cache_bandwidth_l2_mean_pct": round(statistics.mean(_percents(p for p in caches if p.what == "L2")), 1),
        "latency_mean_pct": round(statistics.mean(_percents(chases)), 1),
    }
    sections = [
        _bars(summary),
        "## Streams on V100 and A100 40 GB, 32 block sizes each\n\n" + _stream_table(streams),
        "## The same on five more GPUs\n\n" + _stream_table(others),
        "## The same with no bandwidth measured: 0.86 of the data sheet\n\n"
        "What the model says of a GPU on which nobody measured a stream.\n\n" + _stream_table(blind),
        _small_section(small),
        _cache_section(l2, caches),
        _stride_section(strides, summary),
        _chase_section(chases),
    ]
    kinds = {"streams": [*streams, *others], "small kernels": small, "L2": l2, "caches": caches}
    return sections, [_row(kind, pair) for kind, pairs in kinds.items() for pair in pairs], summary


def _bars(summary: dict[str, float]) -> str:
    full, mean = summary["full_occupancy_worst_pct"], summary["all_occupancies_mean_pct"]
    return (
        "## In short\n\n"
        + _table(
            ["what", "error, %", "bar, %"],
            [
                ["streams at full occupancy, worst of 12", f"{full:.1f}", f"{FULL_BAR:.0f}"],
                ["streams at all occupancies, mean of 384", f"{mean:.1f}", f"{MEAN_BAR:.0f}"],
                [
                    "other GPUs, full occupancy, worst of 30",
                    f"{summary['other_gpus_full_occupancy_worst_pct']:.1f}",
                    "",
                ],
                [
                    "other GPUs, all occupancies, mean of 864",
                    f"{summary['other_gpus_all_occupancies_mean_pct']:.1f}",
                    "",
                ],
                ["small kernels in a row or a graph, mean of 1914", f"{summary['small_kernels_mean_pct']:.1f}", ""],
                ["bandwidth of L2 by data set, mean", f"{summary['l2_bandwidth_mean_pct']:.1f}", ""],
                ["bandwidth of buffers in L1, mean", f"{summary['cache_bandwidth_l1_mean_pct']:.1f}", ""],
                ["buffers that all SMs read from L2, mean", f"{summary['cache_bandwidth_l2_mean_pct']:.1f}", ""],
                ["cycles of loads that hit in L1, mean", f"{summary['l1_cycles_mean_pct']:.1f}", ""],
                ["latency of a pointer chase, mean", f"{summary['latency_mean_pct']:.1f}", ""],
            ],
        )
        + f"\n\nPasses of loads through the banks of L1: {summary['l1_wavefronts_equal']} of "
        f"{summary['l1_wavefronts_rows']} equal to the hardware's counter."
    )


def _stream_table(pairs: Sequence[Any]) -> str:
    header = ["GPU", "kernel", "full occupancy, %", "mean, %", "worst, %", "worst at block of"]
    rows = []
    for gpu in dict.fromkeys(pair.gpu for pair in pairs):
        of_gpu = [pair for pair in pairs if pair.gpu == gpu]
        for kernel in (*dict.fromkeys(pair.what for pair in of_gpu), "all"):
            chosen = [pair for pair in of_gpu if kernel in (pair.what, "all")]
            full = max(_at_full_occupancy(chosen), key=lambda pair: abs(pair.error))
            worst = max(chosen, key=lambda pair: abs(pair.error))
            mean = statistics.mean(_percents(chosen))
            cells = [f"{100 * full.error:+.1f}", f"{mean:.1f}", f"{100 * worst.error:+.1f}", worst.at]
            rows.append([gpu, kernel, *cells])
    return _table(header, rows)


def _at_full_occupancy(pairs: Sequence[Any]) -> list[Any]:
    """The streams of the largest block of each GPU: two of them fill an SM."""
    largest = {gpu: max(int(pair.at) for pair in pairs if pair.gpu == gpu) for gpu in {pair.gpu for pair in pairs}}
    return [pair for pair in pairs if int(pair.at) == largest[pair.gpu]]


_REGIONS = (("below 0.1 of L2", 0.1), ("0.1 to 0.6", 0.6), ("0.6 to 1.5", 1.5), ("above 1.5", float("inf")))


def _small_section(pairs: Sequence[Any]) -> str:
    from teachkit.hardware.spec import gpu

    def region(pair: Any) -> str:
        share = int(pair.at.split()[0]) / gpu(pair.gpu).l2_bytes
        return next(name for name, end in _REGIONS if share < end)

    return (
        "## Small kernels, one after the other, whose arrays stay in L2 or do not\n\nOne array of doubles is scaled "
        "into another and back; blocks of 32 to 1,024 threads; the model is asked with a warm L2. The size is that of "
        "both arrays.\n\n"
        + _grouped(pairs, "launched", "size", region)
        + "\n\nAround the size of L2 the model is at its worst: it knows neither the two halves of A100 and H200, "
        "which hold some lines twice, nor how sharp the end of L40's L2 is."
    )


def _cache_section(l2: Sequence[Any], caches: Sequence[Any]) -> str:
    return (
        "## Bandwidth of L2 by data set\n\nBlocks read parts of a data set in turn, far more than once each.\n\n"
        + _grouped(l2, "fits in")
        + "\n\n## Bandwidth of a buffer that every SM reads\n\n"
        + _grouped(caches, "fits in")
        + "\n\nA real L1 keeps a part of a buffer that is too large for it; the model's least recently used lines keep "
        "none. A buffer that all SMs of A100 or H100 read is held in both halves of L2; beyond half of its size it "
        "comes over the link between them at 0.4 to 0.6 of the speed. The model does not know that, and such sizes "
        "count as between."
    )


def _grouped(pairs: Sequence[Any], what: str, where: str = "", region: Any = lambda pair: "") -> str:
    """A row for each GPU, kind and region, with the mean and the worst error."""
    rows = []
    for key in dict.fromkeys((pair.gpu, pair.what, region(pair)) for pair in pairs):
        chosen = [pair for pair in pairs if (pair.gpu, pair.what, region(pair)) == key]
        worst = max(chosen, key=lambda pair: abs(pair.error))
        at = worst.at if "bytes" in worst.at else f"{worst.at} KiB"
        cells = [str(len(chosen)), f"{statistics.mean(_percents(chosen)):.1f}", f"{100 * worst.error:+.1f}", at]
        rows.append([*(key if where else key[:2]), *cells])
    return _table(["GPU", what, *([where] if where else []), "points", "mean, %", "worst, %", "worst at"], rows)


def _stride_section(strides: Sequence[Any], summary: dict[str, float]) -> str:
    rows = []
    for gpu, kind in dict.fromkeys((s.cycles.gpu, s.cycles.what) for s in strides):
        chosen = [s for s in strides if (s.cycles.gpu, s.cycles.what) == (gpu, kind)]
        worst = max(chosen, key=lambda s: abs(s.cycles.error))
        equal = sum(s.counted_wavefronts == s.measured_wavefronts for s in chosen)
        mean = statistics.mean(_percents(s.cycles for s in chosen))
        rows.append(
            [
                gpu,
                kind,
                f"{equal} of {len(chosen)}",
                f"{mean:.1f}",
                f"{100 * worst.cycles.error:+.1f}",
                str(worst.width),
            ]
        )
    return (
        "## Loads that hit in L1\n\nPasses through the banks are counted by the emulator and compared with the "
        "counter `l1tex__data_pipe_lsu_wavefronts`; cycles are the largest of these, of the tags' (n + 3) / 4 "
        "for n lines, and of the bytes over the measured width of L1 (64 a cycle on A40, 126 on A100 and H200).\n\n"
        + _table(["GPU", "loads", "passes equal", "cycles, mean %", "worst, %", "at stride or width"], rows)
        + "\n\nThe worst are strides whose 32 lines fall unevenly on the tag banks, by a hash that is not published."
    )


def _chase_section(chases: Sequence[Any]) -> str:
    rows = []
    for gpu in dict.fromkeys(pair.gpu for pair in chases):
        for where in ("L1", "L2", "DRAM"):
            if not (chosen := [pair for pair in chases if (pair.gpu, pair.what) == (gpu, where)]):
                continue
            worst = max(chosen, key=lambda pair: abs(pair.error))
            mean, n_near = statistics.mean(_percents(chosen)), sum(abs(pair.error) < 0.1 for pair in chosen)
            rows.append(
                [
                    gpu,
                    where,
                    f"{n_near} of {len(chosen)}",
                    f"{mean:.1f}",
                    f"{100 * worst.error:+.1f}",
                    f"{worst.at} KiB",
                ]
            )
    return (
        "## Latency of a pointer chase by the size of its buffer\n\nThe three latencies are the sheet's; where one "
        "ends and the next begins is the cache model's.\n\n"
        + _table(["GPU", "fits in", "within 10 %", "mean, %", "worst, %", "worst at"], rows)
        + "\n\nMisses begin below the size of L1 (at 160 of 192 KiB on A100, at 90 of 128 on L40): part of it is kept "
        "for shared memory, which the model does not know."
    )


def _percents(pairs: Iterable[Any]) -> list[float]:
    return [100 * abs(pair.error) for pair in pairs]


def _row(kind: str, pair: Any) -> dict[str, Any]:
    return {
        "kind": kind,
        "gpu": pair.gpu,
        "kernel": pair.what,
        "at": pair.at,
        "measured_gb_per_s": pair.measured,
        "modelled_gb_per_s": round(pair.modelled, 1),
    }


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    return "\n".join([line(header), "|" + "|".join("-" * (width + 2) for width in widths) + "|", *map(line, rows)])


if __name__ == "__main__":
    main()
