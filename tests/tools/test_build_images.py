"""What an image is called, made of, and told about the environment of its build."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tools import build_images

ROOT = Path(__file__).parents[2]


def test_images_are_called_after_stage_version_and_flavour():
    assert build_images.image_name("sync", tag="0.1.0") == "ghost-sync:0.1.0"
    assert build_images.image_name("body", tag="0.1.0", flavour="gpu") == "ghost-body:0.1.0-gpu"
    assert build_images.default_tag() == "0.1.0"
    assert "@sha256:" in build_images.default_base()


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = (
        "docker/Dockerfile", "common/a.py", "stages/a.html", "workflows/a.py", "tools/imported_modules.py",
        "requirements/images/cpu/sync.txt", "requirements/images/cpu/body.txt", "stages/README.md",
    )  # fmt: skip
    for name in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(build_images, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("file", "counts"),
    [
        ("common/a.py", True),
        ("stages/a.html", True),
        ("docker/Dockerfile", True),
        ("requirements/images/cpu/sync.txt", True),
        ("requirements/images/cpu/body.txt", False),
        ("stages/README.md", False),
        ("common/__pycache__/a.pyc", False),
    ],
)
def test_an_image_is_built_anew_when_something_in_it_has_changed(checkout: Path, file: str, counts: bool):
    before = build_images.content_of("sync", flavour="cpu", base="base")
    (checkout / file).parent.mkdir(exist_ok=True)
    (checkout / file).write_text("changed")
    assert (build_images.content_of("sync", flavour="cpu", base="base") != before) is counts


def test_settings_of_pip_are_passed_on_if_they_are_addresses():
    environment = {
        "PIP_INDEX_URL": "https://mirror.example/simple",
        "PIP_FIND_LINKS": "/opt/wheels",
        "PIP_EXTRA_INDEX_URL": "https://a.example file:///opt/more",
        "PIP_DEFAULT_TIMEOUT": "60",
        "PIP_TRUSTED_HOST": "",
        "PATH": "/usr/bin",
    }
    expected = {"PIP_INDEX_URL": "https://mirror.example/simple", "PIP_DEFAULT_TIMEOUT": "60"}
    assert build_images.pip_settings(environment) == expected


@pytest.mark.parametrize(
    ("remote", "source"),
    [
        ("https://name:word@git.example/lab/ghost.git", "https://git.example/lab/ghost.git"),
        ("https://git.example/lab/ghost", "https://git.example/lab/ghost"),
        ("/srv/ghost.git", "unknown"),
        ("", "unknown"),
    ],
)
def test_an_image_names_no_passwords_and_no_folders_as_its_source(remote: str, source: str):
    assert build_images.public_address(remote) == source


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("nothing",), "no cpu image 'nothing'"), ((), "name images, or say --all"), (("sync", "--flavour=gpu"), "body")],
)
def test_what_cannot_be_built_is_refused_with_what_can(arguments: tuple[str, ...], words: str):
    command = [sys.executable, "tools/build_images.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert words in done.stderr
