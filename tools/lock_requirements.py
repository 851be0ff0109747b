"""Writes requirements/*.txt from pyproject.toml: for every platform and Python that it allows, with hashes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

LOCKS = {"run": (), "dev": ("--extra", "dev")}


def main() -> None:
    """Runs uv once per lock. No index is named in the result: whoever installs chooses theirs."""
    root = Path(__file__).resolve().parent.parent
    for name, extra in LOCKS.items():
        command = [
            str(Path(sys.executable).parent / "uv"),
            "pip",
            "compile",
            "--universal",
            "--generate-hashes",
            "--no-annotate",
            "--no-header",
        ]
        command += ["--no-emit-index-url", "--no-emit-find-links", "--python-version", "3.11", *extra]
        command += ["pyproject.toml", "--quiet", "-o", f"requirements/{name}.txt"]
        subprocess.run(command, check=True, cwd=root)  # noqa: S603 - an argument list of our own


if __name__ == "__main__":
    main()
