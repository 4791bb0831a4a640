"""Child process: runs tests of one suite and writes a line of JSON about each to a pipe.

``python -m benchmarks.coverage.child SUITE FD`` reads the names from standard input, one a line; with ``--names`` in
place of the names it writes the list of all names. Lines: ``["start", name]``, ``["done", name, outcome, cause]``,
``["names", [...]]``, ``["broken", cause]`` where the suite itself fails.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
import warnings
from typing import Any

from benchmarks.coverage import frame


def main(suite: str, descriptor: int) -> None:
    pipe = os.fdopen(descriptor, "w")

    def tell(*message: Any) -> None:
        pipe.write(json.dumps(message) + "\n")
        pipe.flush()

    wanted = sys.stdin.read().splitlines()
    warnings.simplefilter("ignore")  # other people's; what counts is the result
    try:
        module = frame.module(suite)
        if wanted == ["--names"]:
            tell("names", module.names())
            return
        getattr(module, "setup", lambda: None)()
    except Exception as error:
        traceback.print_exc()
        tell("broken", frame.first_line(error))
        return
    for name in wanted:
        tell("start", name)
        outcome, cause = "passed", ""
        try:
            cause = module.run(name) or ""
        except frame.Skip as reason:
            outcome, cause = "skipped", str(reason)
        except Exception as error:
            traceback.print_exc()
            outcome, cause = "failed", frame.first_line(error)
        tell("done", name, outcome, cause)
    pipe.close()
    # Whatever the tests left behind (threads, worker processes, broken destructors) must not hold up the end.
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
