"""Makes the virtual environment that everything else runs in.

    python3 tools/setup_environment.py .venv requirements/run.txt

Runs on the system's Python, so it uses the standard library alone. Packages come from a lock with hashes.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

OLDEST = (3, 11)


def main(folder: str, requirements: str) -> None:
    """Creates the environment if need be, installs the lock, puts `ghost` and the checkout on its path."""
    if sys.version_info < OLDEST:
        needed, this = ".".join(map(str, OLDEST)), sys.version.split()[0]
        sys.exit(f"ghost needs Python {needed} or later; this is {this}. Name another: make PYTHON=python3.12 …")
    environment, root = Path(folder), Path(__file__).resolve().parent.parent
    python = environment / "bin" / "python"
    if not python.exists():
        venv.create(environment, with_pip=True, symlinks=True)
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--require-hashes",
        "-r",
        requirements,
    ]
    if subprocess.run(pip, check=False).returncode:  # noqa: S603 - our own interpreter, an argument list
        sys.exit("The packages could not be installed; see above. If the network failed, run the same command again.")
    # The checkout itself is not built: one line in a .pth file puts it on the path, one script starts it.
    purelib = next((environment / "lib").glob("python3.*")) / "site-packages"
    (purelib / "ghost.pth").write_text(f"{root}\n", encoding="utf-8")
    script = environment / "bin" / "ghost"
    lines = (
        f"#!{python.absolute()}",
        "import sys",
        f"sys.path.insert(0, {str(root)!r})",
        "from workflows.cli import main",
        "main()",
    )
    script.write_text("\n".join(lines) + "\n", encoding="utf-8")
    script.chmod(0o755)


if __name__ == "__main__":
    main(*sys.argv[1:])
