"""A suite in which tests pass, fail, skip, hang and crash, to see what the coverage scripts make of them."""

import os
import time

from benchmarks.coverage.frame import Failure, Skip

TITLE = "planted"
PACKAGES = ("torch",)
STARTED: list[str] = []


def names():
    return ["passes", "raises", "says_why", "skips", "hangs", "dies", "exits", "passes_too"]


def setup():
    STARTED.append("setup")


def run(name):
    assert STARTED == ["setup"]
    if name == "raises":
        raise ValueError("first line\nsecond line")
    if name == "says_why":
        raise Failure("short cause")
    if name == "skips":
        raise Skip("needs what nobody has")
    if name == "hangs":
        time.sleep(600)
    if name == "dies":
        os.abort()
    if name == "exits":
        os._exit(3)
