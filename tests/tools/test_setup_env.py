"""What the set-up says when something is missing: one sentence that ends with what to do."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "tools" / "setup_env.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("setup_env", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


setup_env = load()


def run_script(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **env},
    )


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 12, 7), (3, 13, 1)])
def test_supported_pythons_are_let_through(version: tuple[int, ...]) -> None:
    setup_env.check_python(version)


@pytest.mark.parametrize("version", [(3, 6), (3, 10, 14), (3, 14, 0)])
def test_an_unsupported_python_says_which_to_use(version: tuple[int, ...]) -> None:
    with pytest.raises(setup_env.SetupProblem, match=r"3\.11 to 3\.13 .* run `make setup PYTHON=python3\.13`\.$"):
        setup_env.check_python(version, found="python3.13")
    with pytest.raises(setup_env.SetupProblem, match=r"install one of them"):
        setup_env.check_python(version)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_platforms_with_triton_wheels_are_let_through(machine: str) -> None:
    setup_env.check_platform("Linux", machine, "glibc")


@pytest.mark.parametrize(
    ("platform", "do"),
    [
        (("Windows", "AMD64", ""), "WSL 2"),
        (("Darwin", "arm64", ""), "Linux container"),
        (("Linux", "riscv64", "glibc"), "x86-64 or aarch64"),
        (("Linux", "x86_64", ""), "Debian, Ubuntu or Fedora"),
    ],
)
def test_a_platform_without_triton_wheels_says_where_to_go(platform: tuple[str, str, str], do: str) -> None:
    with pytest.raises(setup_env.SetupProblem, match=f"no triton wheels .*{do}"):
        setup_env.check_platform(*platform)


def test_a_full_disk_is_seen_before_anything_is_written() -> None:
    setup_env.check_disk(50e9, "/home")
    with pytest.raises(setup_env.SetupProblem, match=r"Only 1\.5 GB are free at /home .* free some space"):
        setup_env.check_disk(1.5e9, "/home")


# What pip 23 and 25 really print in each case, shortened.
PIP_SAID = {
    "disk": "Installing collected packages: torch\nERROR: Could not install packages due to an OSError: "
    "[Errno 28] No space left on device",
    "offline": "WARNING: Retrying (Retry(total=1, connect=None)) after connection broken by 'NewConnectionError("
    "'<pip._vendor.urllib3.connection.HTTPSConnection object>: Failed to establish a new connection: [Errno -3] "
    "Temporary failure in name resolution')': /simple/triton/\nERROR: Could not find a version that satisfies the "
    "requirement triton (from versions: none)\nERROR: No matching distribution found for triton",
    "wheel": "ERROR: Could not find a version that satisfies the requirement triton<3.9,>=3.7 (from versions: none)\n"
    "ERROR: No matching distribution found for triton<3.9,>=3.7",
    "certificate": "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed",
    "other": "ERROR: ResolutionImpossible: for help visit",
}


@pytest.mark.parametrize(
    ("what", "sentence"),
    [
        ("disk", "The disk is full: free some space"),
        ("offline", "pip cannot reach a package index: connect this machine"),
        ("wheel", "The package index has no triton wheel for this machine"),
        ("certificate", "set PIP_CERT"),
        ("other", "read its last lines above"),
    ],
)
def test_a_failed_pip_is_explained_in_one_sentence(what: str, sentence: str) -> None:
    said = setup_env.explain(PIP_SAID[what])
    assert sentence in said
    assert said.count("\n") == 0


def test_an_offline_machine_gets_one_sentence(tmp_path: Path) -> None:
    # Nothing listens on the loopback's port 9, so pip fails to connect just as it does without a network.
    done = run_script(
        "--venv",
        str(tmp_path / "venv"),
        PIP_CONFIG_FILE=os.devnull,
        PIP_INDEX_URL="http://127.0.0.1:9/simple",
        PIP_EXTRA_INDEX_URL="",
        PIP_FIND_LINKS="",
        PIP_NO_CACHE_DIR="1",
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Set-up stopped. pip cannot reach a package index: connect this machine to the network, or set PIP_INDEX_URL "
        "to a mirror that it can reach, and run `make setup` again."
    ]
    assert not (tmp_path / "venv" / "teachkit-setup.json").exists()


def test_a_python_without_venv_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "ensurepip.py").write_text("raise ImportError('cut out by the distribution')")
    done = run_script("--venv", str(tmp_path / "venv"), PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "install its venv package" in done.stderr
    assert not (tmp_path / "venv").exists()


def test_a_folder_that_cannot_be_written_gets_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = run_script("--venv", str(tmp_path / "file" / "venv"))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "Set VENV to a folder" in done.stderr


def test_a_missing_compiler_is_a_note_and_no_failure(capsys: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.setattr(setup_env.shutil, "which", lambda name: None)
    setup_env.note_compiler()
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 1
    assert "everything else will" in out


def test_the_fingerprint_changes_with_the_pins_and_not_with_the_linters(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "tools").mkdir()
    for name in ("constraints.txt", "pyproject.toml", "tools/setup_env.py"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    monkeypatch.setattr(setup_env, "ROOT", str(tmp_path))
    first = setup_env.fingerprint(".venv")
    project = tmp_path / "pyproject.toml"
    project.write_text(project.read_text().replace("line-length = 120", "line-length = 100"))
    assert setup_env.fingerprint(".venv") == first
    assert setup_env.fingerprint("elsewhere") != first
    pins = tmp_path / "constraints.txt"
    pins.write_text(pins.read_text().replace("torch==2.13.0", "torch==2.12.0"))
    assert setup_env.fingerprint(".venv") != first


def test_an_up_to_date_environment_is_left_alone(tmp_path: Path, monkeypatch) -> None:
    venv = tmp_path / "venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin" / "python").write_text("")
    stamp = {"fingerprint": setup_env.fingerprint(str(venv)), "path": str(venv)}
    (venv / "teachkit-setup.json").write_text(setup_env.json.dumps(stamp))

    def never(*_: object) -> None:
        raise AssertionError("the set-up ran although nothing changed")

    monkeypatch.setattr(setup_env, "run_pip", never)
    monkeypatch.setattr(setup_env, "make_venv", never)
    setup_env.set_up(str(venv))


@pytest.mark.parametrize(
    ("missing", "distro", "command"),
    [
        (
            ["chromium", "bubblewrap"],
            "debian",
            "apt-get update -q && apt-get install -q -y --no-install-recommends chromium bubblewrap fonts-dejavu-core",
        ),
        (["bubblewrap"], "debian", "apt-get update -q && apt-get install -q -y --no-install-recommends bubblewrap"),
        (["chromium"], "ubuntu", ".venv/bin/playwright install --with-deps chromium"),
    ],
)
def test_one_command_gets_the_system_packages(missing: list[str], distro: str, command: str) -> None:
    assert setup_env.system_command(missing, distro, ".venv") == command
