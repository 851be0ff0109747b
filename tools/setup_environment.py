"""Makes the virtual environment that everything else runs in.

    python3 tools/setup_environment.py .venv run    what `ghost` needs on CPUs
    python3 tools/setup_environment.py .venv gpu    the same, torch for CUDA and what else the GPU backends need
    python3 tools/setup_environment.py .venv dev    for tests, checks and benchmarks: torch in either build

Runs on the system's Python, so it uses the standard library alone. Packages come from locks with hashes.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST = (3, 11)
KINDS = ("run", "gpu", "dev")
TORCH_FOR_CPUS = "torch-cpu"
_ELSEWHERE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX")  # a user's settings that make pip install past the environment


def main(folder: str, kind: str) -> None:
    """Creates the environment if need be, installs its packages, puts `ghost` and the checkout on its path."""
    if kind not in KINDS:
        sys.exit(f"{kind}: expected one of {', '.join(KINDS)}")
    if sys.version_info < OLDEST:
        needed, this = ".".join(map(str, OLDEST)), sys.version.split()[0]
        sys.exit(f"ghost needs Python {needed} or later; this is {this}. Name another: make PYTHON=python3.12 …")
    environment = Path(folder)
    make_environment(environment)
    if kind == "gpu":
        remove_torch_for_cpus(environment)
    install(environment, kind)
    if kind == "dev":
        add_torch(environment)
    # The checkout itself is not built: one line in a .pth file puts it on the path, one script starts it.
    (_packages(environment) / "ghost.pth").write_text(f"{ROOT}\n", encoding="utf-8")
    write_command(environment / "bin" / "ghost", python=_python(environment).absolute(), root=ROOT)


def install(environment: Path, lock: str) -> None:
    """Installs what a lock names and nothing else: it is complete."""
    if _pip(environment, *_from(lock)):
        sys.exit("The packages could not be installed; see above. If the network failed, run the same command again.")


def add_torch(environment: Path) -> None:
    """Adds torch for the tests, where there is none that works: that for CPUs if pip knows of it, else that for CUDA.

    They are two steps because pip puts a wheel that lies in a folder behind one of an index, although its version is
    higher: hashes are asked for, and only links of an index name theirs.
    """
    if why_torch_fails(environment) is None and _is_locked(torch_version(environment)):
        return
    _say("Installing torch, for the tests of the GPU backends …")
    _pip(environment, *_from(TORCH_FOR_CPUS), quiet=True)
    if why_torch_fails(environment) is None and _is_locked(torch_version(environment)):
        return
    _say(
        "pip knows of no torch for CPUs that fits: fetching that of PyPI, on Linux with CUDA's libraries, about 3 GB. "
        "To have that for CPUs, 0.2 GB (Linux x86-64, Python 3.11), tell pip of PyTorch's index of CPU wheels "
        "(pip config set global.extra-index-url …), then run `make clean` and this again."
    )
    install(environment, "gpu")  # the rest of it is there, in the same versions
    reason = why_torch_fails(environment)
    if reason is not None:
        sys.exit(f"torch {torch_version(environment)} is installed and cannot be imported: {reason}")


def remove_torch_for_cpus(environment: Path) -> None:
    """Removes torch if it is the build for CPUs: to pip it would be the version that the GPU's lock names."""
    if "+cpu" in (torch_version(environment) or ""):
        _say("Replacing the torch for CPUs by that for CUDA: about 3 GB …")
        _pip(environment, "uninstall", "--quiet", "--yes", "torch")


def torch_version(environment: Path) -> str | None:
    """Version of the torch that is installed, such as 2.13.0+cpu; None if there is none."""
    found = [re.fullmatch(r"torch-(.+)\.dist-info", path.name) for path in _packages(environment).glob("torch-*")]
    return next((match[1] for match in found if match), None)


def why_torch_fails(environment: Path) -> str | None:
    """The last line of what importing torch says, or None if it can be imported: without a GPU, too."""
    command = [str(_python(environment)), "-I", "-c", "import torch"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - an argument list
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]


def _is_locked(version: str | None) -> bool:
    """Whether a version, its build set aside, is that of the lock."""
    text = (ROOT / "requirements" / f"{TORCH_FOR_CPUS}.txt").read_text(encoding="utf-8")
    return version is not None and text.startswith(f"torch=={version.partition('+')[0]}+")


def _from(lock: str) -> tuple[str, ...]:
    path = ROOT / "requirements" / f"{lock}.txt"
    return ("install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes", "-r", str(path))


def _pip(environment: Path, *arguments: str, quiet: bool = False) -> int:
    command, settings = [str(_python(environment)), "-m", "pip", *arguments], pip_settings(os.environ)
    return subprocess.run(command, env=settings, capture_output=quiet, check=False).returncode  # noqa: S603 - our Python


def _python(environment: Path) -> Path:
    return environment / "bin" / "python"


def _packages(environment: Path) -> Path:
    return next((environment / "lib").glob("python3.*")) / "site-packages"


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def write_command(script: Path, *, python: Path, root: Path) -> None:
    """Writes the `ghost` command: the checkout comes first on its path, whatever else is installed.

    The first line of a script cannot name a Python whose path has a space or is long. So a shell reads the file and
    starts Python on it, and what is a command to the shell is a text to Python; scripts that pip installs do the same.
    """
    lines = (
        "#!/bin/sh",
        f"'''exec' {shlex.quote(str(python))} \"$0\" \"$@\"",
        "' '''",
        "import sys",
        f"sys.path.insert(0, {str(root)!r})",
        "from workflows.cli import main",
        "if __name__ == '__main__':",  # the processes of units load this file again, under another name
        "    main()",
    )
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    script.chmod(0o755)


def make_environment(environment: Path) -> None:
    """Creates the environment, anew if it has no working pip: so is one that was interrupted or lost its Python."""
    if has_pip(environment):
        return
    is_ours = (environment / "pyvenv.cfg").exists()  # nothing else is ever deleted
    try:
        venv.create(environment, clear=is_ours, with_pip=True, symlinks=True)
    except (OSError, subprocess.CalledProcessError) as error:
        reason = error.strerror or "" if isinstance(error, OSError) else "it has no working ensurepip"
        sys.exit(
            f"{sys.executable} could not make the environment {environment}: {reason}. Install python3-venv "
            "(Debian: apt install python3-venv), or name another Python: make PYTHON=python3.12 …"
        )


def has_pip(environment: Path) -> bool:
    """Whether the environment's own Python starts and has a pip."""
    command = [str(_python(environment)), "-I", "-m", "pip", "--version"]
    try:
        done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603 - an argument list
    except OSError:  # not there, or a link to a Python that is gone
        return False
    return done.returncode == 0


def pip_settings(variables: Mapping[str, str]) -> dict[str, str]:
    """The environment variables for pip: the user's (index, proxy, cache), without those that say where to install."""
    return {name: value for name, value in variables.items() if name not in _ELSEWHERE}


if __name__ == "__main__":
    main(*sys.argv[1:])
