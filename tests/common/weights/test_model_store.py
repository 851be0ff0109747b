"""Folders of models: handed out verified, identified without being read; optional files; the commands on them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from common.errors import ModelUnavailable, UsageError
from common.weights import commands, store
from common.weights.hub_lock import HubModel, OptionalFile, read_model
from common.weights.lock import Lock
from tests.common.weights.hub_server import Hub, hub, sha256
from tests.common.weights.test_hub_fetch import LION

__all__ = ["hub"]

MAP = OptionalFile("map", "map.npz", ("zoo",), "MIT", "Somebody")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GHOST_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def use(root: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Puts models in the place of those of the real lock file."""

    def replace_lock(*models: HubModel) -> None:
        lock = Lock(files=(), npm_client=None, models=models, optional=(MAP,))
        for module in (store, commands):
            monkeypatch.setattr(module, "weights_lock", lambda: lock)

    replace_lock()
    return replace_lock


def test_a_fetched_model_is_handed_out_as_a_folder(hub: Hub, use: Callable[..., None], root: Path) -> None:
    hub.add("lion", LION)
    use(hub.model("lion", pinned=False))
    assert commands.fetch("zoo") == [str(root / "models/lion")]
    folder = store.folder("lion")
    assert {path: (folder / path).read_bytes() for path in LION} == LION


def test_a_model_of_a_single_file_is_handed_out_as_a_file(hub: Hub, use: Callable[..., None], root: Path) -> None:
    hub.add("lion", {"lion.pt": b"roar"})
    use(hub.model("lion"))
    commands.fetch("zoo")
    assert store.path("lion") == root / "models/lion/lion.pt"
    (root / "models/lion/lion.pt").write_bytes(b"purr")
    with pytest.raises(ModelUnavailable, match=r"damaged: lion\.pt"):
        store.path("lion")


def test_without_a_name_or_a_backend_no_model_of_the_hub_is_fetched(
    hub: Hub, use: Callable[..., None], shelf, root: Path, monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    hub.add("lion", LION)
    lock = replace(shelf.lock, models=(hub.model("lion"),))
    monkeypatch.setattr(commands, "weights_lock", lambda: lock)
    monkeypatch.setattr(commands, "fetch_files", lambda lock, files, root: [root / file.file for file in files])
    with caplog.at_level("INFO", logger="ghost.weights"):
        assert len(commands.fetch()) == len(shelf.lock.files)
    assert "--backend with one of zoo" in caplog.text
    assert hub.requests == []
    assert commands.fetch(models=["lion"]) == [str(root / "models/lion")]


def test_the_backend_whose_file_the_user_names_has_nothing_to_fetch(use: Callable[..., None], caplog) -> None:
    with caplog.at_level("INFO", logger="ghost.weights"):
        assert commands.fetch("nlf") == []
    assert "--nlf-model" in caplog.text


@pytest.mark.parametrize(
    ("harm", "complaint"),
    [
        (lambda folder: (folder / "config.json").unlink(), r"missing: config\.json"),
        (lambda folder: (folder / "config.json").write_bytes(b'{"mane": fals}'), r"damaged: config\.json"),
        (lambda folder: (folder / "chat_template.jinja").write_bytes(b""), r"move away: chat_template\.jinja"),
    ],
)
def test_a_folder_that_is_not_as_it_was_fetched_is_not_handed_out(
    hub: Hub, use: Callable[..., None], harm: Callable[[Path], object], complaint: str
) -> None:
    hub.add("lion", LION)
    use(hub.model("lion"))
    commands.fetch("zoo")
    harm(store.folder("lion"))
    with pytest.raises(ModelUnavailable, match=rf"lion at .*{complaint}.*`ghost weights fetch --model lion`"):
        store.folder("lion")


def test_documents_and_hidden_files_in_a_folder_do_no_harm(hub: Hub, use: Callable[..., None]) -> None:
    hub.add("lion", LION)
    use(hub.model("lion"))
    commands.fetch("zoo")
    folder = store.folder("lion")
    for name in ("README.md", ".gitattributes", ".cache/huggingface/trees/a.json"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")
    assert store.folder("lion") == folder


def test_a_model_that_is_pinned_nowhere_has_neither_folder_nor_digest(hub: Hub, use: Callable[..., None]) -> None:
    hub.add("lion", LION)
    use(hub.model("lion", pinned=False))
    for ask in (store.folder, store.digest):
        with pytest.raises(
            ModelUnavailable, match=r"lion was not fetched yet, or pins\.json is not in .*weights fetch"
        ):
            ask("lion")


def test_the_digest_is_the_same_whoever_has_pinned_the_model(hub: Hub, use: Callable[..., None]) -> None:
    hub.add("lion", LION)
    use(hub.model("lion"))
    locked = store.digest("lion")  # nothing is there yet, and nothing needs to be
    use(hub.model("lion", pinned=False, revision=False))
    commands.fetch("zoo")
    assert store.digest("lion") == locked


def test_an_optional_file_is_found_once_it_is_there(use: Callable[..., None], root: Path) -> None:
    assert store.find("map") is None
    assert store.digest("map") == store.ABSENT
    root.mkdir()
    (root / "map.npz").write_bytes(b"coast")
    assert store.find("map") == root / "map.npz"
    assert store.digest("map") == sha256(b"coast")


def test_what_is_asked_for_in_the_wrong_way_is_a_usage_error(hub: Hub, use: Callable[..., None]) -> None:
    hub.add("lion", LION)
    use(hub.model("lion"))
    for ask, name in ((store.path, "lion"), (store.find, "lion"), (store.folder, "map"), (store.digest, "bear")):
        with pytest.raises(UsageError, match=name):
            ask(name)


def test_the_listing_says_who_pinned_a_model_and_how_it_stands(hub: Hub, use: Callable[..., None], root: Path) -> None:
    def stands() -> dict[str, tuple[str, str, bool]]:
        return {row.name: (row.state, row.pinned, row.is_gated) for row in commands.listing()}

    hub.add("lion", LION)
    hub.add("bear", LION)
    use(hub.model("lion", pinned=False), hub.model("bear", is_gated=True))
    assert stands() == {
        "lion": ("missing", "not fetched", False),
        "bear": ("missing", "pinned by ghost", True),
        "map": ("missing", "not pinned", False),
    }
    commands.fetch("zoo")
    (root / "models/bear/config.json").write_text("{}")
    (root / "map.npz").write_bytes(b"coast")
    day = json.loads((root / "pins.json").read_text())["models"]["lion"]["recorded"]
    assert stands() == {
        "lion": ("verified", f"pinned here on {day}", False),
        "bear": ("damaged", "pinned by ghost", True),
        "map": ("present", "not pinned", False),
    }


def test_what_was_pinned_here_can_be_pinned_for_everybody(hub: Hub, use: Callable[..., None], root: Path) -> None:
    hub.add("lion", LION)
    use(hub.model("lion", pinned=False, revision=False))
    with pytest.raises(ModelUnavailable, match="weights fetch --model lion"):
        commands.pin("zoo")
    commands.fetch("zoo")
    (entry,) = commands.pin("zoo")
    assert read_model(entry) == hub.model("lion")
    (root / "pins.json").unlink()
    use(read_model(entry))
    assert store.folder("lion") == root / "models/lion", "no record is needed any more"
