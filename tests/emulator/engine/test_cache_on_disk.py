"""Compiled objects on disk: used again by the next process, and never trusted."""

import os
import pathlib
import stat
import subprocess
import sys

import pytest

from teachkit.emulator.engine import jit

# Adds 3 to 64 numbers, twice, and says which kernels it had to compile.
PROGRAM = """
import sys
import numpy as np
from teachkit.emulator import load_ptx, observe
from teachkit.emulator.engine import jit, program

compiled = []
compile_object = jit.compile_object

def spy(text, **how):
    compiled.append("warp" if "define i32 @\\"warp\\"" in text else "runtime")
    return compile_object(text, **how)

jit.compile_object = spy
text = sys.stdin.read()
for _ in range(2):
    x = np.arange(64, dtype=np.uint32)
    load_ptx(text)["k"][2, 32](x)
    assert (x == np.arange(64) + 3).all()
launches = []
with observe(launches.append):
    load_ptx(text)["k"][2, 32](x)
assert (x == np.arange(64) + 6).all()
assert launches[0].counters.global_store_bytes == 256
assert len(launches[0].by_line) == 1
print(*sorted(compiled))
"""
FIRST_TIME = "runtime warp warp"  # the kernel with counters and without
AGAIN = ""
EACH_TIME = "runtime warp warp warp"  # without a cache, for every load_ptx


@pytest.fixture
def text(both):
    return both.kernel("ld.global.u32 %r4, [%rd1]; add.u32 %r4, %r4, 3; st.global.u32 [%rd1], %r4;")


def start(text, folder, prelude=""):
    process = subprocess.Popen(
        [sys.executable, "-c", prelude + PROGRAM],
        env=os.environ | {"TEACHKIT_CACHE_DIR": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    process.stdin.write(text)
    process.stdin.close()
    return process


def compiled(process):
    """What the process compiled; it must have come to its end."""
    output = process.stdout.read().strip()
    process.stdout.close()
    assert process.wait() == 0
    return output


def run(text, folder, prelude=""):
    return compiled(start(text, folder, prelude))


def objects(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_second_process_compiles_nothing(text, tmp_path):
    assert run(text, tmp_path) == FIRST_TIME
    files = objects(tmp_path)
    times = [file.stat().st_mtime_ns for file in files]
    assert len(files) == 4  # three objects, and the signatures of the text
    assert run(text, tmp_path) == AGAIN
    assert objects(tmp_path) == files
    assert [file.stat().st_mtime_ns for file in files] == times


def test_another_kernel_or_processor_is_another_object(text, tmp_path, monkeypatch):
    run(text, tmp_path)
    assert run(text + "// another text\n", tmp_path) == "warp warp"
    monkeypatch.setenv("TEACHKIT_CPU", "generic")
    assert run(text, tmp_path) == FIRST_TIME


@pytest.mark.parametrize(
    "damage",
    [
        lambda octets: b"",
        lambda octets: octets[:20],
        lambda octets: octets[: len(octets) // 2],
        lambda octets: octets[:-1],
        lambda octets: octets + b"x",
        lambda octets: octets[:-100] + bytes([octets[-100] ^ 1]) + octets[-99:],
        lambda octets: b"not an object at all\n" * 50,
    ],
    ids=["empty", "head only", "half", "one byte short", "one byte more", "one bit", "foreign"],
)
def test_a_damaged_file_is_built_anew(tmp_path, monkeypatch, damage):
    monkeypatch.setenv("TEACHKIT_CACHE_DIR", str(tmp_path))
    built = []

    def build():
        built.append(1)
        return b"machine code" * 100, {"n_slots": 7}

    first = jit.cached("kernel", "text", build)
    (file,) = objects(tmp_path)
    good = file.read_bytes()
    file.write_bytes(damage(good))
    for _ in range(2):
        assert jit.cached("kernel", "text", build) == first
    assert len(built) == 2
    assert file.read_bytes() == good


def test_a_process_that_finds_damaged_files_works(text, tmp_path):
    run(text, tmp_path)
    for file in objects(tmp_path):
        file.write_bytes(file.read_bytes()[:1000])
    assert run(text, tmp_path) == FIRST_TIME


@pytest.mark.parametrize("place", ["a file", "/proc", "a folder without write permission"])
def test_a_place_that_cannot_be_written(text, tmp_path, place):
    folder = tmp_path / "cache"
    if place == "a file":
        folder.write_text("a file where the folder should be")
    elif place == "/proc":  # where not even root can make a folder
        folder = pathlib.Path("/proc/teachkit")
    else:
        folder.mkdir()
        folder.chmod(stat.S_IRUSR | stat.S_IXUSR)
    is_stopped = place != "a folder without write permission" or os.geteuid() != 0
    assert run(text, folder) == (EACH_TIME if is_stopped else FIRST_TIME)


def test_a_full_disk(text, tmp_path):
    # A limit on the size of files fails as a full disk does, in the middle of writing.
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    assert run(text, tmp_path, limit) == EACH_TIME
    assert objects(tmp_path / "objects") == []  # a signature is small enough to be whole
    assert run(text, tmp_path) == FIRST_TIME
    assert run(text, tmp_path, limit) == AGAIN


def test_processes_that_race(text, tmp_path):
    processes = [start(text, tmp_path) for _ in range(4)]
    for process in processes:
        assert compiled(process) in (FIRST_TIME, AGAIN, "warp warp", "warp", "runtime warp", "runtime")
    assert len(objects(tmp_path)) == 4
    assert run(text, tmp_path) == AGAIN


def test_no_home_folder_at_all(text, tmp_path, monkeypatch):
    for name in ("TEACHKIT_CACHE_DIR", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    process = subprocess.run([sys.executable, "-c", PROGRAM], input=text, stdout=subprocess.PIPE, text=True, check=True)
    assert process.stdout.strip() == FIRST_TIME
    assert objects(pathlib.Path(tmp_path) / ".cache" / "teachkit")
