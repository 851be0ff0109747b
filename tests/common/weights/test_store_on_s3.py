"""Weights that lie on S3: put there once, verified whenever one is used."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from common.errors import ModelUnavailable
from common.weights import commands, store
from common.weights.fetch import fetch_files
from tests.common.weights.conftest import CONTENT, Shelf
from tests.s3_server import BUCKET, Server, s3_environment, server

__all__ = ["s3_environment", "server"]


@pytest.fixture
def prefix(tmp_path: Path) -> str:
    """Of this test alone: the server serves them all."""
    return f"models/{tmp_path.name}"


@pytest.fixture
def weights(shelf: Shelf, prefix: str, server: Server, s3_environment: None, monkeypatch: pytest.MonkeyPatch) -> Shelf:
    monkeypatch.setenv("GHOST_WEIGHTS", f"s3://{BUCKET}/{prefix}")
    monkeypatch.setattr(commands, "fetch_files", partial(fetch_files, download=shelf.download))
    for module in (store, commands):
        monkeypatch.setattr(module, "weights_lock", lambda: shelf.lock)
    return shelf


def states() -> dict[str, str]:
    return {row.name: row.state for row in commands.listing()}


def test_fetched_weights_are_stored_there_and_used_from_there(weights: Shelf, prefix: str) -> None:
    with pytest.raises(ModelUnavailable, match=rf"s3://.*/{prefix}/.*is missing.*weights fetch"):
        store.path("ball")
    assert set(states().values()) == {"missing"}
    places = commands.fetch()
    assert all(place.startswith(f"s3://{BUCKET}/{prefix}/") for place in places)
    assert store.path("ball").read_bytes() == CONTENT["ball"]
    assert set(states().values()) == {"stored"}
    weights.downloads.clear()
    assert commands.fetch() == places
    assert weights.downloads == [], "what is there is not fetched again"


def test_a_damaged_file_is_not_handed_out_and_fetching_again_mends_it(
    weights: Shelf, prefix: str, server: Server
) -> None:
    commands.fetch()
    key = f"{prefix}/{weights.lock.find('ball').file}"
    server.put(key, CONTENT["ball"][:-1] + b"?")
    with pytest.raises(ModelUnavailable, match=r"is damaged.*weights fetch"):
        store.path("ball")
    commands.fetch()
    assert store.path("ball").read_bytes() == CONTENT["ball"]
