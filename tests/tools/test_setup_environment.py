"""A virtual environment that came out half-made is made anew; a Python that cannot make one is explained in a line."""

from __future__ import annotations

import subprocess
import venv
from pathlib import Path

import pytest

from tools.setup_environment import has_pip, make_environment, pip_settings


@pytest.fixture
def half_made(tmp_path: Path) -> Path:
    """As Debian without python3-venv leaves it: an interpreter, no pip."""
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=False, symlinks=True)
    (environment / "left-over").touch()
    return environment


def test_a_half_made_environment_is_made_anew_and_a_whole_one_is_kept(half_made: Path):
    assert not has_pip(half_made)
    make_environment(half_made)
    assert has_pip(half_made)
    assert not (half_made / "left-over").exists()
    (half_made / "mine").touch()
    make_environment(half_made)
    assert (half_made / "mine").exists()


def test_an_environment_whose_python_is_gone_has_no_pip(tmp_path: Path):
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").symlink_to("/nowhere/python")
    assert not has_pip(tmp_path)


def test_a_folder_that_is_no_environment_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cleared: list[bool] = []
    monkeypatch.setattr(venv, "create", lambda _folder, *, clear, **_: cleared.append(clear))
    make_environment(tmp_path)
    assert cleared == [False]


@pytest.mark.parametrize(
    "error", [subprocess.CalledProcessError(1, ["python", "-m", "ensurepip"]), PermissionError(13, "Permission denied")]
)
def test_a_python_that_cannot_make_environments_ends_with_one_line_that_says_what_to_install(
    half_made: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def refuse(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(venv, "create", refuse)
    with pytest.raises(SystemExit) as ended:
        make_environment(half_made)
    message = str(ended.value.code)
    assert "apt install python3-venv" in message
    assert "make PYTHON=" in message
    assert "\n" not in message


def test_pip_keeps_the_users_index_and_ignores_where_else_to_install():
    given = {"PIP_INDEX_URL": "https://mirror/simple", "PATH": "/bin", "PIP_USER": "1", "PIP_TARGET": "/x"}
    assert pip_settings({**given, "PIP_PREFIX": "/y"}) == {"PIP_INDEX_URL": "https://mirror/simple", "PATH": "/bin"}
