"""Makes the virtual environment that everything else runs in.

    python3 tools/setup_environment.py .venv requirements/run.txt

Runs on the system's Python, so it uses the standard library alone. Packages come from a lock with hashes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from pathlib import Path

OLDEST = (3, 11)
_ELSEWHERE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX")  # a user's settings that make pip install past the environment


def main(folder: str, requirements: str) -> None:
    """Creates the environment if need be, installs the lock, puts `ghost` and the checkout on its path."""
    if sys.version_info < OLDEST:
        needed, this = ".".join(map(str, OLDEST)), sys.version.split()[0]
        sys.exit(f"ghost needs Python {needed} or later; this is {this}. Name another: make PYTHON=python3.12 …")
    environment, root = Path(folder), Path(__file__).resolve().parent.parent
    python = environment / "bin" / "python"
    make_environment(environment)
    options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "-r", requirements)
    pip = [str(python), "-m", "pip", "install", *options]
    done = subprocess.run(pip, env=pip_settings(os.environ), check=False)  # noqa: S603 - our own interpreter
    if done.returncode:
        sys.exit("The packages could not be installed; see above. If the network failed, run the same command again.")
    # The checkout itself is not built: one line in a .pth file puts it on the path, one script starts it.
    purelib = next((environment / "lib").glob("python3.*")) / "site-packages"
    (purelib / "ghost.pth").write_text(f"{root}\n", encoding="utf-8")
    write_command(environment / "bin" / "ghost", python=python.absolute(), root=root)


def write_command(script: Path, *, python: Path, root: Path) -> None:
    """Writes the `ghost` command: the checkout comes first on its path, whatever else is installed."""
    lines = (
        f"#!{python}",
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
    command = [str(environment / "bin" / "python"), "-I", "-m", "pip", "--version"]
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
