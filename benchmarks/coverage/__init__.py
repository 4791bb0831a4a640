"""Other people's programs on the emulator: one suite per package, its results, and the page made of them.

``benchmarks/coverage.py`` is the command. **A suite is one module** in ``benchmarks/coverage/suites/``; its file name
is the suite's name, and nothing else has to be touched to add one. It defines::

    TITLE = "liger-kernel: operators, forward and backward"   # heading in coverage.md
    PACKAGES = ("liger-kernel", "torch", "triton")            # distributions; versions are recorded. One that is not
                                                              # installed skips the suite with that reason.
    CHUNK = 10          # optional: tests for each child process (default 10)
    LIMIT_S = 120       # optional: wall-clock limit of one test, with its share of start-up (default 120)
    ENVIRONMENT = {}    # optional: environment variables of the child processes

    def names() -> list[str]:
        "Names of all tests, in a fixed order. Called in a child process, so it may import what it likes."

    def run(name: str) -> str | None:
        "Run one test: return when it passed (perhaps a short note), else raise Skip(reason) or any exception."

    def setup() -> None:      # optional: called once in every child process before the first test

    def absent() -> str:                # optional: why the suite cannot run here although its packages are installed
    def versions() -> dict[str, str]:   # optional: versions of what is no package

Importing the module must be cheap and must not need the package: import it inside the functions. A test compares
with an independent result (eager PyTorch on the CPU, NumPy), with a tolerance that has a reason. ``run`` decides what
counts: ``Skip`` (from ``benchmarks.coverage.frame``) is for tests that could not pass anywhere here, with a reason
that can be checked; everything else that is not a pass is a failure. A cause is the first line of the exception; raise
``Failure("short cause")`` where that says more.

Each chunk runs in a process of its own. A test that crashes or hangs costs its own row: the process is ended, and a
new one goes on with the next test. Rows are stored in ``benchmarks/coverage/results/SUITE.json`` after each chunk
together with the versions, and ``benchmarks/coverage.md`` is made of all stored results, so suites can be run one by
one. The packages and their pins are in ``benchmarks/coverage/requirements.txt``.
"""
