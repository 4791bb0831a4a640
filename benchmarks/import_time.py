"""Time of `import teachkit` and of `teachkit --help`, each in fresh processes, beside an empty Python.

Measured on this machine; the least of several runs, since other work can only make a run longer.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

PROGRAMS = {
    "empty": ["-c", "pass"],
    "import teachkit": ["-c", "import teachkit"],
    "teachkit --help": ["-m", "teachkit.cli", "--help"],
}
BAR_S = 0.15


def least_seconds(arguments: list[str], n_runs: int) -> float:
    """Return the least wall time of ``n_runs`` fresh processes, in seconds."""
    times = []
    for _ in range(n_runs):
        started = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return min(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10, help="processes for each row")
    parser.add_argument("--json", action="store_true", help="print one JSON object as the last line")
    options = parser.parse_args()
    rows = [{"program": name, "seconds": least_seconds(args, options.runs)} for name, args in PROGRAMS.items()]
    empty = rows[0]["seconds"]
    print(f"{'program':<16} {'seconds':>8} {'over empty':>11}")
    for row in rows:
        row["over_empty_s"] = row["seconds"] - empty
        print(f"{row['program']:<16} {row['seconds']:>8.3f} {row['over_empty_s']:>11.3f}")
    import_s = rows[1]["over_empty_s"]
    print(f"import teachkit costs {import_s:.3f} s; the bar is {BAR_S} s.")
    if options.json:
        print(json.dumps({"rows": rows, "summary": {"import_s": import_s, "bar_s": BAR_S}}))


if __name__ == "__main__":
    main()
