"""The scripts that start engines: where they are, and how to run one."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
STATE = Path(os.environ.get("GHOST_ENGINES_STATE", "/tmp/ghost-engines"))  # noqa: S108 - a socket's path must be short
"""Where engines that the tests start themselves keep their state, between test runs too: images, mostly."""


def folder() -> Path:
    """The folder of the scripts: $GHOST_ENGINES, by default `shared/engines` beside the checkout."""
    return Path(os.environ.get("GHOST_ENGINES", ROOT.parent / "shared" / "engines"))


def open_folder(path: Path) -> Path:
    """Makes a folder in which every user may write: containers and jobs run as another one."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o1777)  # with the sticky bit: daemons refuse to keep their sockets below what anybody may empty
    return path


def run_script(name: str, *arguments: object, timeout: float = 300) -> dict[str, str]:
    """Runs a script and returns the settings that it prints: `export NAME=value …`.

    Raises:
        RuntimeError: it failed; the message is the end of what it said.
    """
    command = [str(folder() / name), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    if done.returncode:
        raise RuntimeError(f"{name} failed: {done.stderr.strip()[-400:] or done.stdout.strip()[-400:]}")
    words = [word for line in done.stdout.splitlines() if line.startswith("export ") for word in shlex.split(line)[1:]]
    return dict(word.split("=", 1) for word in words)
