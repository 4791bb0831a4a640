"""The command line: quick help, one clear message for a foreseen error, exit statuses that scripts can use."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from teachkit import cli, doctor
from teachkit.errors import SubmissionFileError
from teachkit.hardware.describe import BackEnd

COMMANDS = ("doctor", "probe", "tour", "check", "check-kernels", "notebooks")


def teachkit(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "teachkit.cli", *arguments], capture_output=True, text=True, check=False
    )


def test_help_lists_every_command() -> None:
    done = teachkit("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert command in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    done = teachkit(command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 3


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv = ['teachkit', '--help']\n"
        "from teachkit.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print('heavy:', [m for m in ('torch', 'numpy', 'triton', 'numba', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("heavy: []")


def test_an_unknown_command_fails() -> None:
    assert teachkit("frobnicate").returncode != 0


def test_a_foreseen_error_is_a_message_and_no_traceback(tmp_path: Path) -> None:
    done = teachkit("check", "fused_gelu", str(tmp_path / "none.py"))
    assert done.returncode == 1
    assert "there is no such Python file\nHint: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x = 1", "does not define answer"),
        ("raise ValueError('not yet')", "ValueError: not yet"),
        ("def answer(:", "SyntaxError"),
    ],
)
def test_a_file_without_an_answer_says_why(text: str, reason: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(SubmissionFileError, match=reason):
        cli.load_function(file, "answer")


def test_an_answer_is_found_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("def answer():\n    return 42\n")
    function = cli.load_function(file, "answer")
    assert callable(function)
    assert function() == 42


def test_the_doctor_passes_on_why_a_back_end_is_not_live() -> None:
    back_end = BackEnd("Triton", False, "triton is not installed", "Run `make setup`.")
    (trial,) = doctor.try_back_ends((back_end,))
    assert not trial.works
    assert (trial.detail, trial.hint) == ("triton is not installed", "Run `make setup`.")


def test_the_doctor_reports_what_a_broken_back_end_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise OSError("libnvvm.so is damaged\nsecond line")

    monkeypatch.setattr(doctor, "_compile_numba", broken)
    (trial,) = doctor.try_back_ends((BackEnd("Numba-CUDA", True, ""),))
    assert not trial.works
    assert trial.detail == "OSError: libnvvm.so is damaged"
    assert trial.hint is not None


@pytest.mark.parametrize("name", ["Numba-CUDA", "CUDA C++", "torch.compile to C++"])
def test_the_doctor_uses_each_compiler(name: str) -> None:
    (trial,) = doctor.try_back_ends((BackEnd(name, True, ""),))
    assert trial.works, trial.detail


def test_the_doctor_says_what_to_do_and_fails_without_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise ArithmeticError("wrong")

    monkeypatch.setattr(doctor, "_run_triton", broken)
    console = Console(width=200, file=io.StringIO(), record=True)
    assert doctor.main(console) == 1
    text = console.export_text()
    assert "Triton: ArithmeticError: wrong. Delete .venv and run `make setup`" in text
    assert "Memory" in text


RACY = """
import sys
import torch
import triton
import triton.language as tl

@triton.jit
def number(out_ptr):
    tl.store(out_ptr, tl.program_id(0))

out = torch.empty(1, dtype=torch.int32)
number[int(sys.argv[1]),](out)
sys.exit(3)
"""


def test_check_kernels_runs_a_program_and_says_what_it_found(tmp_path: Path) -> None:
    program = tmp_path / "racy.py"
    program.write_text(RACY)
    done = teachkit("check-kernels", str(program), "2")
    assert done.returncode == 1
    assert "1 launch checked: 1 finding (1 race), 1 occurrences" in done.stdout
    assert "tl.store(out_ptr, tl.program_id(0))" in done.stdout
    done = teachkit("check-kernels", str(program), "1")
    assert (done.returncode, done.stdout.strip()) == (0, "1 launch checked for memory, race, init, sync: nothing found")
    assert teachkit("check-kernels", str(tmp_path / "none.py")).returncode == 2
