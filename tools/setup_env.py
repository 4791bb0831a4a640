"""Build the virtual environment that every `make` target runs in; standard library only.

A second run that finds nothing changed ends at once. Whatever stops it is said in one sentence that ends with what
to do. This file must be readable by an old Python, which has to get as far as the sentence that refuses it.
"""

import argparse
import collections
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OLDEST, NEWEST = (3, 11), (3, 13)
EXTRAS = "dev"
# A fresh environment takes 3.1 GB with a CPU build of torch and 5.9 GB with its CUDA build.
LEAST_FREE_BYTES = 4 * 10**9
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


class SetupProblem(Exception):
    """Something that stops the set-up; its text is one sentence that says what to do."""


def check_python(version, found=None):
    """Refuse a Python that the pinned packages have no wheels for; ``found`` is a supported one on this machine."""
    if OLDEST <= tuple(version[:2]) <= NEWEST:
        return
    has = "Python {}.{}".format(*version[:2])
    supported = "{}.{} to {}.{}".format(*OLDEST, *NEWEST)
    do = "run `make setup PYTHON={}`" if found else "install one of them and run `make setup PYTHON=python3.12`"
    raise SetupProblem(f"teachkit needs Python {supported} and this is {has}: {do.format(found)}.")


def find_python():
    """Return the name of a supported Python on the PATH, or None."""
    for minor in range(NEWEST[1], OLDEST[1] - 1, -1):
        name = f"python3.{minor}"
        if shutil.which(name) and not subprocess.call([name, "-c", ""], stderr=subprocess.DEVNULL):
            return name
    return None


def check_platform(system, machine, libc):
    """Refuse a platform that has no triton wheels: they exist for Linux with glibc on x86-64 and aarch64."""
    if system != "Linux":
        way = "WSL 2" if system == "Windows" else "a Linux container or virtual machine"
        raise SetupProblem(
            f"There are no triton wheels for {system or 'this system'}: use Linux, for example in {way}."
        )
    if machine not in ("x86_64", "aarch64"):
        raise SetupProblem(f"There are no triton wheels for {machine} processors: use Linux on x86-64 or aarch64.")
    if libc != "glibc":
        raise SetupProblem(
            "There are no triton wheels for a Linux without glibc (Alpine, for one): use Debian, Ubuntu or Fedora."
        )


def check_venv_module():
    """Refuse a Python whose distribution has cut ``venv`` or ``ensurepip`` out."""
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        package = f"python3.{sys.version_info[1]}-venv"
        raise SetupProblem(
            "This Python cannot make virtual environments: install its venv package "
            f"(on Debian and Ubuntu `apt-get install {package}`) and run `make setup` again."
        ) from None


def check_disk(free_bytes, where):
    """Refuse a disk that a fresh environment cannot fit on."""
    if free_bytes < LEAST_FREE_BYTES:
        raise SetupProblem(
            f"Only {free_bytes / 1e9:.1f} GB are free at {where} and the packages need {LEAST_FREE_BYTES / 1e9:.0f} GB "
            "(6 GB where torch comes with CUDA): free some space, or set VENV to a folder on another disk."
        )


def explain(log):
    """Return the one sentence for a failed pip, from what it printed."""
    if "No space left on device" in log or "Errno 28" in log:
        return (
            "The disk is full: free some space where the environment and the temporary folder are "
            "(TMPDIR chooses the latter) and run `make setup` again."
        )
    if "CERTIFICATE_VERIFY_FAILED" in log:
        return (
            "pip does not trust the package index's certificate: set PIP_CERT to your network's certificate file "
            "and run `make setup` again."
        )
    unreachable = (
        "NewConnectionError",
        "Failed to establish a new connection",
        "Failed to resolve",
        "Temporary failure in name resolution",
        "Name or service not known",
        "Network is unreachable",
        "Connection refused",
        "ConnectTimeout",
        "Read timed out",
        "ReadTimeoutError",
        "ProxyError",
        "Cannot connect to proxy",
    )
    if any(sign in log for sign in unreachable):
        return (
            "pip cannot reach a package index: connect this machine to the network, or set PIP_INDEX_URL to a mirror "
            "that it can reach, and run `make setup` again."
        )
    for name in ("triton", "torch", "llvmlite", "numba"):
        if f"No matching distribution found for {name}" in log:
            return (
                f"The package index has no {name} wheel for this machine ({platform.machine()}, Python "
                f"{platform.python_version()}): use Linux on x86-64 with Python 3.11 to 3.13, or another index."
            )
    return "pip could not install the pinned packages: read its last lines above, then run `make setup` again."


def fingerprint(venv):
    """Return a hash of everything that decides what the environment holds."""
    digest = hashlib.sha256(os.path.abspath(venv).encode())
    for name in ("constraints.txt", "pyproject.toml", os.path.join("tools", "setup_env.py")):
        with open(os.path.join(ROOT, name), encoding="utf-8") as file:
            text = file.read()
        # The [tool] tables steer linters and tests and install nothing.
        digest.update(text.split("\n[tool.")[0].encode() if name == "pyproject.toml" else text.encode())
    return digest.hexdigest()


def read_stamp(venv):
    """Return what the last complete run noted in the environment, or {}."""
    try:
        with open(os.path.join(venv, "teachkit-setup.json"), encoding="utf-8") as file:
            return json.load(file)
    except (OSError, ValueError):
        return {}


def say(text):
    """Print one line at once, whatever the output is."""
    print(text, flush=True)


def run_pip(venv, arguments):
    """Run pip in the environment: its whole output goes to a log, its present step to a terminal's last line."""
    command = [os.path.join(venv, "bin", "python"), "-m", "pip", "install", "--no-input", "--progress-bar", "off"]
    command += ["-c", os.path.join(ROOT, "constraints.txt"), *arguments]
    env = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONUNBUFFERED="1")
    env.setdefault("PIP_RETRIES", "2")
    tail = collections.deque(maxlen=400)
    live = sys.stdout.isatty()
    with open(os.path.join(venv, "setup.log"), "a", encoding="utf-8") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd=ROOT
        )
        try:
            for raw in process.stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                log.write(line + "\n")
                tail.append(line)
                if live and not line.startswith("WARNING"):
                    width = shutil.get_terminal_size().columns - 1
                    print("\r\033[K" + line.strip()[:width], end="", flush=True)
        finally:
            if live:
                print("\r\033[K", end="", flush=True)
            process.stdout.close()
            status = process.wait()
    if status:
        text = "\n".join(tail)
        sentence = explain(text)
        if "last lines above" in sentence:
            say("\n".join(list(tail)[-15:]))
        raise SetupProblem(sentence)


def make_venv(venv):
    """Create the environment, unless one made here is still usable."""
    python = os.path.join(venv, "bin", "python")
    made_at = read_stamp(venv).get("path", os.path.abspath(venv))
    usable = os.path.exists(python) and made_at == os.path.abspath(venv)
    if usable and not subprocess.call([python, "-c", "import pip"], stderr=subprocess.DEVNULL):
        return
    parent = os.path.dirname(os.path.abspath(venv))
    try:
        os.makedirs(parent, exist_ok=True)
        check_disk(shutil.disk_usage(parent).free, parent)
        done = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", venv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        raise SetupProblem(f"{error.strerror}: {error.filename}. Set VENV to a folder that you can write to.") from None
    if done.returncode:
        say(done.stdout.decode("utf-8", "replace").strip())
        raise SetupProblem("Python could not make the virtual environment (above): repair that Python or use another.")


def missing_system_packages():
    """Return the names of the system packages that are not here: the tests' browser and the grading sandbox."""
    cache = os.environ.get("PLAYWRIGHT_BROWSERS_PATH", os.path.expanduser("~/.cache/ms-playwright"))
    own = os.path.isdir(cache) and any(name.startswith("chromium") for name in os.listdir(cache))
    missing = [] if own or any(shutil.which(name) for name in BROWSERS) else ["chromium"]
    return missing if shutil.which("bwrap") else [*missing, "bubblewrap"]


def distribution():
    """Return "debian", "ubuntu" or "" from /etc/os-release."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            lines = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    except OSError:
        return ""
    names = [lines.get("ID", "").strip('"'), *lines.get("ID_LIKE", "").strip('"').split()]
    return next((name for name in ("ubuntu", "debian") if name in names), "")


def system_command(missing, distro, venv):
    """Return the one shell command that gets what is missing."""
    packages = list(missing)
    extra = ""
    if "chromium" in packages and distro != "debian":
        # Ubuntu's chromium package is a shim for a snap, which needs a service that containers and servers lack.
        packages.remove("chromium")
        extra = f"{os.path.join(venv, 'bin', 'playwright')} install --with-deps chromium"
    elif "chromium" in packages:
        packages.append("fonts-dejavu-core")
    apt = f"apt-get update -q && apt-get install -q -y --no-install-recommends {' '.join(packages)}" if packages else ""
    return " && ".join(part for part in (apt, extra) if part)


def install_system_packages(venv):
    """Install what is missing where that is allowed; elsewhere say the command. Never stops the set-up."""
    missing = missing_system_packages()
    if not missing:
        return
    distro = distribution()
    command = system_command(missing, distro, venv)
    if distro and os.geteuid() == 0 and shutil.which("apt-get"):
        say("Installing {} (system packages for the browser tests and the sandbox).".format(" and ".join(missing)))
        with open(os.path.join(venv, "setup.log"), "ab") as log:
            env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
            subprocess.call(["sh", "-c", command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        missing = missing_system_packages()
    if missing:
        say("Not here: {}. Only their tests need them; as root: {}".format(" and ".join(missing), command))


def note_compiler():
    """Say what does not work without a C++ compiler; nothing else does depend on it."""
    if not any(shutil.which(name) for name in (os.environ.get("CXX") or "c++", "g++", "clang++")):
        say(
            "No C++ compiler here: torch.compile's C++ back end will not work and everything else will; "
            "to get one on Debian or Ubuntu, as root: apt-get install g++."
        )


def set_up(venv):
    """Bring the environment up to date."""
    started = time.time()
    stamp = {"fingerprint": fingerprint(venv), "path": os.path.abspath(venv)}
    if read_stamp(venv) == stamp and os.path.exists(os.path.join(venv, "bin", "python")):
        return
    check_python(sys.version_info, None if OLDEST <= sys.version_info[:2] <= NEWEST else find_python())
    check_platform(platform.system(), platform.machine(), platform.libc_ver()[0])
    check_venv_module()
    say(f"Setting up {venv} with Python {platform.python_version()} (log: {os.path.join(venv, 'setup.log')}).")
    make_venv(venv)
    say("Installing about 170 pinned packages, torch among them. The first time takes some minutes.")
    # The build tools first: they are small, so a machine that cannot reach an index learns it within seconds.
    run_pip(venv, ["hatchling", "editables"])
    run_pip(venv, ["--no-build-isolation", "-e", f"{ROOT}[{EXTRAS}]"])
    install_system_packages(venv)
    note_compiler()
    with open(os.path.join(venv, "teachkit-setup.json"), "w", encoding="utf-8") as file:
        json.dump(stamp, file)
    say(f"Ready after {time.time() - started:.0f} s.")


def main(arguments=None):
    """Run the set-up; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--venv", default=os.path.join(ROOT, ".venv"), help="folder of the environment")
    options = parser.parse_args(arguments)
    try:
        set_up(options.venv)
    except SetupProblem as problem:
        print(f"Set-up stopped. {problem}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"Set-up stopped. {explain(str(error)) if error.errno == 28 else error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped by you. `make setup` goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
