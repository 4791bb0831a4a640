"""Check or renew constraints.txt: one set of exact versions for every machine.

``check`` asks pip to resolve the whole project against the pins for every supported Python and fails when pip
cannot, or when it would install anything that is not pinned. Nothing large is downloaded: pip reads metadata only.
``update`` resolves again from the versions in ``TESTED`` and rewrites the file.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CONSTRAINTS = ROOT / "constraints.txt"
PYTHONS = ("3.11", "3.12", "3.13")

# What decides the rest. torch's CUDA build pins this toolkit, and the compilers without a GPU must be the same one.
TESTED = (
    "torch==2.13.0",
    "triton==3.7.1",
    "numba-cuda==0.30.4",
    "cuda-toolkit==13.0.3",
    "nvidia-nvjitlink==13.0.88",
    "nvidia-cuda-crt==13.0.88",
)

HEADER = """\
# Exact versions of everything `make setup` installs, written by `make pins` from a real pip resolution.
# `make check-pins` proves that they still resolve for Python {pythons}.
# torch's CUDA build needs toolkit 13.0.3, so Numba-CUDA and NVRTC use the same one. A CPU build of torch needs none
# of the libraries that come only with the CUDA build; a constraint that nothing asks for installs nothing.
"""


def normal(name: str) -> str:
    """Return a package name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def requirements(pyproject: Path) -> list[str]:
    """Return every requirement of the project, build tools and extras included, without its own name."""
    data = tomllib.loads(pyproject.read_text())
    project = data["project"]
    found = [*data["build-system"]["requires"], *project["dependencies"]]
    for extra in project["optional-dependencies"].values():
        found += [line for line in extra if not line.startswith(project["name"])]
    return list(dict.fromkeys(found))


def read_pins(text: str) -> dict[str, str]:
    """Return ``{name: version}`` of a constraints file; raise ValueError for a line that is not an exact pin."""
    pins: dict[str, str] = {}
    for raw in text.splitlines():
        line = raw.split("#")[0].strip()
        if not line:
            continue
        match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.+!]+)", line)
        if match is None:
            raise ValueError(f"not an exact pin: {line!r}")
        name = normal(match[1])
        if name in pins:
            raise ValueError(f"pinned twice: {name}")
        pins[name] = match[2]
    return pins


def resolve(python: str, constraints: Path, wanted: list[str]) -> dict[str, str]:
    """Return ``{name: version}`` that pip would install for ``python``, from metadata alone."""
    with tempfile.TemporaryDirectory() as scratch:
        report = Path(scratch) / "report.json"
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--ignore-installed"]
        command += ["--only-binary=:all:", "--python-version", python, "--target", str(Path(scratch) / "target")]
        command += ["--report", str(report), "-c", str(constraints), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            tail = "\n".join(done.stderr.strip().splitlines()[-12:])
            raise SystemExit(f"Python {python}: pip cannot resolve the pins.\n{tail}")
        items = json.loads(report.read_text())["install"]
    # "+cpu" says where a build came from, not which release it is.
    return {normal(i["metadata"]["name"]): i["metadata"]["version"].split("+")[0] for i in items}


def same_release(pin: str, version: str) -> bool:
    """Say whether two version strings name one release (``13.0.3`` and ``13.0.3.0`` do)."""
    return re.sub(r"(\.0)+$", "", pin) == re.sub(r"(\.0)+$", "", version)


def problems(pins: dict[str, str], resolved: dict[str, str]) -> list[str]:
    """Return one line for each package that is not pinned or is resolved to another version than its pin."""
    lines = [f"{name}=={version} is not pinned" for name, version in resolved.items() if name not in pins]
    lines += [
        f"{name} is pinned to {pins[name]} but pip takes {version}"
        for name, version in resolved.items()
        if name in pins and not same_release(pins[name], version)
    ]
    return sorted(lines)


def check() -> int:
    """Resolve the pins for every supported Python; return the exit status."""
    pins = read_pins(CONSTRAINTS.read_text())
    wanted = requirements(ROOT / "pyproject.toml")
    status = 0
    for python in PYTHONS:
        resolved = resolve(python, CONSTRAINTS, wanted)
        found = problems(pins, resolved)
        status |= bool(found)
        print(f"Python {python}: {len(resolved)} packages resolve" + (", but:" if found else ", every one pinned."))
        for line in found:
            print(f"  {line}. Hint: run `make pins` and look at the difference.")
    return status


def update() -> int:
    """Write constraints.txt anew from the tested versions; return the exit status."""
    wanted = requirements(ROOT / "pyproject.toml")
    merged: dict[str, str] = {normal(line.split("==")[0]): line.split("==")[1] for line in TESTED}
    for python in PYTHONS:  # the oldest Python first: what it can install, the newer ones can too
        with tempfile.TemporaryDirectory() as scratch:
            known = Path(scratch) / "known.txt"
            known.write_text("".join(f"{name}=={version}\n" for name, version in merged.items()))
            for name, version in resolve(python, known, wanted).items():
                merged.setdefault(name, version)
        print(f"Python {python}: {len(merged)} packages so far.", flush=True)
    pins = "".join(f"{name}=={version}\n" for name, version in sorted(merged.items()))
    CONSTRAINTS.write_text(HEADER.format(pythons=f"{PYTHONS[0]} to {PYTHONS[-1]}") + pins)
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["check", "update"])
    sys.exit(check() if parser.parse_args().action == "check" else update())
