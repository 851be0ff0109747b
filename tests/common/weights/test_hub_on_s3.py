"""Models of the Hub whose place is S3: put there once, verified whenever one is used, pinned beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from common.errors import ModelUnavailable
from common.weights import commands, store
from common.weights.lock import Lock
from tests.common.weights.hub_server import Hub, hub
from tests.common.weights.test_hub_fetch import LION
from tests.s3_server import BUCKET, Server, s3_environment, server

__all__ = ["hub", "s3_environment", "server"]


@pytest.fixture
def prefix(hub: Hub, tmp_path: Path, server: Server, s3_environment: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Of this test alone; a lion whose files are not pinned is to be put there."""
    hub.add("lion", LION)
    lock = Lock(files=(), npm_client=None, models=(hub.model("lion", pinned=False),))
    for module in (store, commands):
        monkeypatch.setattr(module, "weights_lock", lambda: lock)
    prefix = f"models-of-the-hub/{tmp_path.name}"
    monkeypatch.setenv("GHOST_WEIGHTS", f"s3://{BUCKET}/{prefix}")
    monkeypatch.setenv("GHOST_SCRATCH", str(tmp_path / "scratch"))
    return prefix


def test_a_model_is_stored_there_pinned_there_and_used_from_there(hub: Hub, prefix: str, server: Server) -> None:
    with pytest.raises(ModelUnavailable, match=rf"not fetched yet, or pins\.json is not in s3://{BUCKET}/{prefix}"):
        store.folder("lion")
    assert commands.fetch("zoo") == [f"s3://{BUCKET}/{prefix}/models/lion"]
    objects = server.objects(f"{prefix}/")
    assert {path: objects[f"{prefix}/models/lion/{path}"] for path in LION} == LION
    assert set(json.loads(objects[f"{prefix}/pins.json"])["models"]) == {"lion"}
    folder = store.folder("lion")
    assert {path: (folder / path).read_bytes() for path in LION} == LION
    assert [row.state for row in commands.listing()] == ["stored"]
    hub.requests.clear()
    commands.fetch("zoo")
    assert hub.requests == [], "what is there is not fetched again"


def test_a_damaged_file_is_not_handed_out_and_fetching_again_mends_it(prefix: str, server: Server) -> None:
    commands.fetch("zoo")
    good = store.digest("lion")
    server.put(f"{prefix}/models/lion/config.json", LION["config.json"].swapcase())
    with pytest.raises(ModelUnavailable, match=r"lion.*config\.json.*`ghost weights fetch --model lion`"):
        store.folder("lion")
    commands.fetch("zoo")
    assert (store.folder("lion") / "config.json").read_bytes() == LION["config.json"]
    assert store.digest("lion") == good


def test_a_missing_file_is_named(prefix: str, server: Server) -> None:
    commands.fetch("zoo")
    server.boto.delete_object(Bucket=BUCKET, Key=f"{prefix}/models/lion/parts/tail.json")
    assert [row.state for row in commands.listing()] == ["damaged"]
    with pytest.raises(ModelUnavailable, match=r"missing or damaged: parts/tail\.json"):
        store.folder("lion")


def test_content_that_changed_at_the_hub_is_not_stored(hub: Hub, prefix: str, server: Server) -> None:
    commands.fetch("zoo")
    repository = hub.repositories["owner/lion"]
    repository.commits[repository.head]["config.json"] = LION["config.json"].swapcase()
    server.put(f"{prefix}/models/lion/config.json", b"damaged")
    with pytest.raises(ModelUnavailable, match="pinned here on"):
        commands.fetch("zoo")
    assert server.objects(f"{prefix}/models/lion/config.json") == {f"{prefix}/models/lion/config.json": b"damaged"}
