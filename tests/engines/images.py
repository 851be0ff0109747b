"""Container images for the tests: built when the code has changed since, else taken as they are."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable

import pytest

from tests.engines.scripts import STATE, folder, open_folder, run_script
from tools import build_images

LOCAL_BASE = "ghost-base:local"  # made of Debian packages where no registry can be reached


def docker_answers() -> bool:
    """Whether there is a client, and a daemon behind it."""
    return (
        shutil.which("docker") is not None and subprocess.run(["docker", "info"], capture_output=True).returncode == 0
    )


def start_docker() -> dict[str, str]:
    """Installs what is missing and starts a daemon: settings of its clients. Skips the test if that fails."""
    if not (folder() / "docker_start.sh").is_file():
        pytest.skip(
            f"docker: no daemon answers, and {folder()} has no docker_start.sh. Start one, or set GHOST_ENGINES"
        )
    try:
        run_script("install_docker.sh")
        return run_script("docker_start.sh", open_folder(STATE) / "docker")
    except (RuntimeError, OSError, subprocess.TimeoutExpired) as error:
        pytest.skip(f"docker: {error}")


def base_image() -> str:
    """What images start from: $GHOST_BASE_IMAGE, else one made here, else the one that the Dockerfile names."""
    chosen = os.environ.get("GHOST_BASE_IMAGE")
    if chosen:
        return chosen
    if build_images.size(LOCAL_BASE) is None and (folder() / "base_image.sh").is_file():
        run_script("base_image.sh", open_folder(STATE) / "base")
    return LOCAL_BASE if build_images.size(LOCAL_BASE) is not None else build_images.default_base()


def ensure(names: Iterable[str]) -> dict[str, str]:
    """Builds the images that are missing or were made of other files; returns their full names."""
    tag, base = build_images.default_tag(), base_image()
    found = {}
    for name in names:
        found[name] = build_images.image_name(name, tag=tag)
        content = build_images.content_of(name, flavour="cpu", base=base)
        if build_images.label(found[name], build_images.CONTENT) != content:
            network = "host" if base == LOCAL_BASE else None  # daemons that the scripts start have no bridge
            build_images.build(name, flavour="cpu", tag=tag, base=base, network=network)
    return found
