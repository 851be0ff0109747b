"""Apptainer for the tests: installed beside the machine's own C library, run as an ordinary user, images kept."""

from __future__ import annotations

import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.engines.scripts import ROOT, STATE, open_folder, run_script
from tools.build_images import CONTENT, label
from tools.build_sif import DEFINITION, build_command, save, sif_name

USER = "ghost"
"""Whom jobs and containers run as: root without all capabilities cannot start Apptainer's."""

SIFS = STATE / "sif"
DRIVER = ROOT / "apptainer" / "ghost.sbatch"
_AT_ONCE = 2  # docker saves one image while another is built


def ensure_apptainer() -> None:
    """Installs it if it is missing. Skips the test if that fails."""
    try:
        run_script("install_apptainer.sh", open_folder(STATE) / "apptainer")
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"apptainer: {error}. Set GHOST_ENGINES to the folder of the start scripts")


def as_user(environment: Mapping[str, str] | None = None) -> list[str]:
    """What to put before a command that the ordinary user shall run, with these variables besides the usual ones.

    Not runuser: it stays between us and the command, and kills it when it is itself asked to stop.
    """
    home = pwd.getpwnam(USER).pw_dir
    variables = {"HOME": home, "USER": USER, **(environment or {})}
    become = ["setpriv", "--reuid", USER, "--regid", USER, "--init-groups"]
    return [*become, "env", *(f"{name}={value}" for name, value in variables.items())]


def ensure_sifs(images: Mapping[str, str]) -> Path:
    """The folder of all images as ghost-*.sif, with the driver beside them; builds those whose content has changed.

    Args:
        images: name of the stage, or `cli` -> name of the OCI image.
    """
    ensure_apptainer()
    open_folder(SIFS)
    wanted = {
        name: f"{label(image, CONTENT)}\n{DEFINITION.read_text(encoding='utf-8')}" for name, image in images.items()
    }
    missing = [name for name in images if not _is_made_of(name, wanted[name])]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for name, _ in zip(missing, pool.map(lambda name: _build(name, images[name]), missing), strict=True):
            _note(name).write_text(wanted[name], encoding="utf-8")
    shutil.copy(DRIVER, SIFS)
    return SIFS


def _note(name: str) -> Path:
    return SIFS / f"{sif_name(name)}.content"


def _is_made_of(name: str, content: str) -> bool:
    return (SIFS / sif_name(name)).is_file() and _note(name).is_file() and _note(name).read_text("utf-8") == content


def _build(name: str, image: str) -> None:
    """As the ordinary user, who can read neither the checkout nor a temporary folder of the caller's."""
    with tempfile.TemporaryDirectory(dir=SIFS) as folder:
        scratch = open_folder(Path(folder))
        save(image, scratch / "layout")
        subprocess.run(["chmod", "-R", "a+rX", str(scratch)], check=True)
        definition = Path(shutil.copy(DEFINITION, scratch))
        command = build_command(scratch / "layout", SIFS / sif_name(name), compression="lz4", definition=definition)
        done = subprocess.run([*as_user({"TMPDIR": folder}), *command], capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
