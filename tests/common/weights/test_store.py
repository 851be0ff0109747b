"""Where weights lie, and that nothing unverified is handed out."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import ConfigurationError, ModelUnavailable, UsageError
from common.weights import commands, lock, store
from common.weights.fetch import fetch_files
from tests.common.weights.conftest import CONTENT


@pytest.fixture
def weights(shelf, tmp_path, monkeypatch):
    """The shelf's lock in the place of the real one, and a folder of its own."""
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "weights"))
    for module in (store, commands):
        monkeypatch.setattr(module, "weights_lock", lambda: shelf.lock)
    return shelf


def test_a_fetched_file_is_found(weights):
    fetch_files(weights.lock, weights.lock.files, store.root(), download=weights.download)
    assert store.path("ball").read_bytes() == CONTENT["ball"]


def test_without_a_home_the_variable_to_set_is_named(monkeypatch):
    for name in ("HOME", "GHOST_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)
    with pytest.raises(ConfigurationError, match="Set GHOST_WEIGHTS to a folder"):
        store.root()


def test_the_fake_backend_needs_no_weights(weights, caplog):
    with caplog.at_level("INFO", logger="ghost.weights"):
        assert commands.fetch("fake") == []
    assert caplog.messages == ["the backend fake needs no weights: nothing to fetch"]
    assert not store.root().exists()


def test_a_missing_file_is_answered_with_the_command_that_fetches_it(weights):
    with pytest.raises(ModelUnavailable, match=r"ball .*is missing.*`ghost weights fetch --backend red`"):
        store.path("ball")


@pytest.mark.parametrize("damage", [b"", CONTENT["ball"][:-1] + b"?"])
def test_a_damaged_file_is_not_handed_out(weights, damage):
    fetch_files(weights.lock, weights.lock.files, store.root(), download=weights.download)
    store.path("ball").write_bytes(damage)
    with pytest.raises(ModelUnavailable, match="is damaged"):
        store.path("ball")


def test_an_unknown_name_is_a_usage_error(weights):
    with pytest.raises(UsageError, match="ball, cube, film"):
        store.path("doll")


def test_the_digest_needs_no_file_and_is_that_of_the_lock(weights):
    assert store.digest("ball") == weights.lock.files[0].sha256


def test_the_listing_tells_verified_damaged_and_missing_apart(weights):
    toys = [file for file in weights.lock.files if file.archive.package == "toys"]
    fetch_files(weights.lock, toys, store.root(), download=weights.download)
    (store.root() / "toys/cube.bin").write_bytes(b"?")
    rows = {row.name: row for row in commands.listing()}
    assert {name: row.state for name, row in rows.items()} == {
        "ball": "verified",
        "cube": "damaged",
        "film": "missing",
    }
    assert rows["film"].source == "pypi films 1.0"


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"GHOST_WEIGHTS": "/a/b", "XDG_CACHE_HOME": "/c"}, "/a/b"),
        ({"XDG_CACHE_HOME": "/c"}, "/c/ghost/weights"),
        ({"HOME": "/home/ann"}, "/home/ann/.cache/ghost/weights"),
        ({"GHOST_WEIGHTS": "", "XDG_CACHE_HOME": "", "HOME": "/home/ann"}, "/home/ann/.cache/ghost/weights"),
    ],
)
def test_the_folder_follows_the_environment(monkeypatch, environment, expected):
    for name in ("GHOST_WEIGHTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert store.root() == Path(expected)


def test_the_real_lock_knows_the_three_models_of_the_embedded_backend():
    assert [file.name for file in lock.weights_lock().used_by("embedded")] == [
        "blazepose-detector",
        "blazepose-heavy",
        "movenet-multipose",
    ]


def test_asking_for_weights_loads_no_numerics():
    program = (
        "import sys, common.weights.commands, common.weights.fetch, common.weights.store\n"
        "print(sorted({'numpy', 'onnx', 'onnxruntime', 'click', 'rich'} & set(sys.modules)))"
    )
    root = Path(lock.__file__).parents[2]
    result = subprocess.run([sys.executable, "-c", program], cwd=root, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
