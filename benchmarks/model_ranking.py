"""Does the time model put kernels in the order in which others measured them? Ladders, Kendall's tau, and why.

Every rung is run on the emulator and counted; its time on the publication's GPU, or the nearest one with a data sheet,
is modelled. The published figures are cited. Nothing is fitted to them.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

sys.path[0] = str(Path(__file__).resolve().parent.parent)  # beside this script, coverage.py would hide a package

LADDERS = ("matmul", "reduction", "transpose")
BAR = 0.8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ladders", nargs="*", default=LADDERS, help=f"default {', '.join(LADDERS)}")
    parser.add_argument("--size", type=int, nargs="+", help="another size than the published one, for one ladder")
    parser.add_argument("--gpu", help="another GPU than the publication's")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()

    from teachkit.errors import TeachkitError
    from teachkit.kernels import ladder
    from teachkit.model.ranking import rank

    rankings = []
    with Progress(console=Console(stderr=True), transient=True) as progress:
        try:
            found = [ladder(name) for name in options.ladders]
            task = progress.add_task("ladders", total=sum(len(each) for each in found))
            for each in found:

                def step(rung, each=each):
                    progress.update(task, description=f"{each.name}: {rung.name}", advance=1)

                rankings.append(rank(each, tuple(options.size) if options.size else None, options.gpu, step))
        except TeachkitError as error:
            parser.error(str(error))
    rows = [row for ranking in rankings for row in report(ranking)]
    summary = {ranking.ladder.name: ranking.tau for ranking in rankings if ranking.ladder.published}
    unexplained = [step.sentence for ranking in rankings for step in ranking.steps if not step.is_explained]
    for name, tau in summary.items():
        print(f"{name}: Kendall's tau {tau:.3f} (bar: {BAR})")
    print(f"steps whose gain comes from another term than the rung's counters feed: {len(unexplained)}")
    if options.json:
        print(json.dumps({"rows": rows, "summary": {"tau": summary, "unexplained": unexplained}}))


def report(ranking) -> list[dict[str, object]]:
    """Print one ladder and return its rows."""
    from teachkit.model.estimate import time_text

    published = ranking.ladder.published
    where = f"on {ranking.gpu.name}, size {' x '.join(map(str, ranking.size))}"
    figures = f"; published: {published.device}, {published.source}" if published else ""
    table = Table(title=f"{ranking.ladder.name}, modelled {where}{figures}", title_justify="left")
    unit = published.unit if published else ""
    for column in ("rung", "modelled", f"modelled, {unit}", f"published, {unit}", "bound by", "step"):
        table.add_column(column, justify="right" if column.startswith(("modelled", "published")) else "left")
    sentences = {step.upper.rung.name: step for step in ranking.steps}
    rows: list[dict[str, object]] = []
    for ranked in ranking.rungs:
        step = sentences.get(ranked.rung.name)
        ours, theirs = (number(figure) for figure in (ranked.figure, ranked.published))
        words = step.sentence.split(": ", 1)[1] if step else ""
        mark = "" if step is None or step.is_explained else " (not by its counters)"
        table.add_row(ranked.rung.name, time_text(ranked.seconds), ours, theirs, ranked.estimate.binding, words + mark)
        rows.append(
            {
                "ladder": ranking.ladder.name,
                "rung": ranked.rung.name,
                "gpu": ranking.gpu.name,
                "size": list(ranking.size),
                "modelled_s": ranked.seconds,
                "low_s": ranked.estimate.low_s,
                "high_s": ranked.estimate.high_s,
                "terms": ranked.estimate.terms,
                "binding": ranked.estimate.binding,
                "modelled_figure": ranked.figure,
                "published": ranked.published,
                "unit": unit,
                "gain": step.gain if step else None,
                "moved": step.term if step else None,
            }
        )
    Console(width=180).print(table)
    return rows


def number(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if figure >= 1000 else f"{figure:.3g}"


if __name__ == "__main__":
    main()
