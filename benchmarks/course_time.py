"""Time of every lecture, run from top to bottom on two cores.

    python benchmarks/course_time.py [--only 40_fusion_by_hand] [--warm] [--json]

Measured on this machine, each lecture in a fresh kernel and, unless ``--warm``, with empty compiler caches, as a
learner meets it the first time. Wall seconds grow with whatever else the machine does; processor seconds, which the
table has as well, hardly do.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path[0] = str(Path(__file__).resolve().parent.parent)

from rich.console import Console

from teachkit.authoring.convert import read_source
from teachkit.authoring.project import find_project
from teachkit.errors import NotebookSourceError

BAR_S = 60.0
N_CORES = 2
CACHES = ("TRITON_CACHE_DIR", "TEACHKIT_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "NUMBA_CACHE_DIR")
LAST_CELL = "import os as _os; print(sum(_os.times()[:4]))"


def run(slug: str, source: Path, folder: Path, warm: bool) -> dict[str, Any]:
    """Wall and processor seconds of one lecture."""
    import nbformat
    from nbclient import NotebookClient

    notebook = read_source(source)
    notebook.cells.append(nbformat.v4.new_code_cell(LAST_CELL))
    with tempfile.TemporaryDirectory() as cache:
        environment = dict(os.environ)
        if not warm:
            environment |= {name: str(Path(cache) / name.lower()) for name in CACHES}
        client = NotebookClient(
            notebook, timeout=600, kernel_name="python3", resources={"metadata": {"path": str(folder)}}
        )
        started_s = time.monotonic()
        client.execute(env=environment)
        wall_s = time.monotonic() - started_s
    return {"lecture": slug, "wall_s": wall_s, "processor_s": float(notebook.cells[-1].outputs[0].text)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="lectures, separated by commas")
    parser.add_argument("--warm", action="store_true", help="with the compiler caches that there are")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    project, console = find_project(Path(sys.path[0])), Console(stderr=True)
    try:
        chosen = project.select(options.only.split(",") if options.only else project.lectures())
    except NotebookSourceError as error:
        print(error, file=sys.stderr)
        return 2
    if len(os.sched_getaffinity(0)) > N_CORES:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:N_CORES])
    rows = []
    for slug in chosen:
        console.print(f"running {slug}", highlight=False)
        rows.append(run(slug, project.source_folder / f"{slug}.py", project.source_folder.parent, options.warm))
    n_cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    print(f"{'lecture':24} {'wall, s':>8} {'processor, s':>13}")
    for row in rows:
        print(f"{row['lecture']:24} {row['wall_s']:8.1f} {row['processor_s']:13.1f}")
    worst_s, total_s = max(row["wall_s"] for row in rows), sum(row["wall_s"] for row in rows)
    print(f"worst {worst_s:.1f} s (bar: {BAR_S:.0f} s), all {total_s:.1f} s")
    print(f"Measured on {n_cores} cores; the machine's load at the end was {load:.1f}.")
    if options.json:
        print(json.dumps({"rows": rows, "summary": {"worst_s": worst_s, "total_s": total_s}}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
