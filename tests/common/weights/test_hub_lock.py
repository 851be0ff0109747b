"""Models of the Hub in a lock file, and what is refused there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from common.errors import BadInput, UsageError
from common.weights import lock
from common.weights.hub_lock import HubFile, write_model

PIN = {"bytes": 3, "sha256": "0" * 64}


@pytest.fixture
def entry() -> dict[str, Any]:
    return {
        "name": "lion",
        "repository": "owner/lion",
        "revision": "a" * 40,
        "backends": ["zoo"],
        "default": True,
        "gated": False,
        "licence": "MIT",
        "notice": "Somebody",
        "files": {"config.json": None, "model.safetensors": PIN},
    }


def load(folder: Path, *models: dict[str, Any], optional: tuple[dict[str, Any], ...] = ()) -> lock.Lock:
    content = {"format": 1, "archives": {}, "files": [], "models": models, "optional": optional}
    (folder / "lock.json").write_text(json.dumps(content))
    return lock.load(folder / "lock.json")


def test_a_model_is_read_and_written_back(tmp_path: Path, entry: dict[str, Any]) -> None:
    (lion,) = load(tmp_path, entry).models
    assert (lion.name, lion.is_default, lion.is_gated) == ("lion", True, False)
    assert lion.files == {"config.json": None, "model.safetensors": HubFile(3, "0" * 64)}
    assert not lion.is_pinned
    assert write_model(lion) == entry


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("name", "../lion", "a name becomes a folder's"),
        ("repository", "lion", "repository 'lion'"),
        ("repository", "https://lion", "repository"),
        ("revision", "main", "revision 'main'"),
        ("revision", "A" * 40, "revision"),
        ("revision", None, "digests of an unknown revision"),
        ("default", 1, "default 1"),
        ("licence", "", "licence is empty"),
        ("files", {}, "no files"),
        ("files", {"../config.json": PIN}, "leads out"),
        ("files", {"/config.json": PIN}, "leads out"),
        ("files", {"config.json": {"bytes": 0, "sha256": "0" * 64}}, "bytes 0"),
        ("files", {"config.json": {"bytes": 1, "sha256": "0"}}, "sha256 '0'"),
        ("files", {"modeling.py": PIN}, "code is never fetched"),
        ("files", {"model.ckpt": None}, "a pickle without a digest"),
        ("files", {"model.safetensors": PIN, "model.bin": PIN}, "a pickle too many"),
    ],
)
def test_an_invalid_model_is_refused_by_name(
    tmp_path: Path, entry: dict[str, Any], key: str, value: object, complaint: str
) -> None:
    with pytest.raises(BadInput, match=f"model .*{complaint}"):
        load(tmp_path, {**entry, key: value})


def test_names_are_unique_over_files_models_and_optional_files(tmp_path: Path, entry: dict[str, Any]) -> None:
    optional = {"name": "lion", "file": "lion.npz", "backends": ["zoo"], "licence": "MIT", "notice": "Somebody"}
    with pytest.raises(BadInput, match="two entries have the same name"):
        load(tmp_path, entry, optional=(optional,))
    assert load(tmp_path, entry, optional=({**optional, "name": "map"},)).find("map").name == "map"


def test_a_backend_gets_its_default_models_and_others_by_name(tmp_path: Path, entry: dict[str, Any]) -> None:
    cub = {**entry, "name": "cub", "default": False}
    fish = {**entry, "name": "fish", "backends": ["aquarium"]}
    found = load(tmp_path, entry, cub, fish)
    assert [model.name for model in found.models_of("zoo")] == ["lion"]
    assert [model.name for model in found.models_of("zoo", ["cub"])] == ["cub"]
    assert [model.name for model in found.models_of(None, ["fish", "cub"])] == ["cub", "fish"]
    assert found.models_of(None) == (), "gigabytes are not fetched by surprise"
    with pytest.raises(UsageError, match=r"backend zoo is called 'fish'.*lion, cub"):
        found.models_of("zoo", ["fish"])
    with pytest.raises(UsageError, match="aquarium, zoo"):
        found.used_by("circus")


def test_the_real_lock_has_the_models_of_the_gpu_backends() -> None:
    real = lock.weights_lock()
    assert {backend: [model.name for model in real.models_of(backend)] for backend in ("gdino-sam2", "sam3")} == {
        "gdino-sam2": ["grounding-dino-tiny", "sam2.1-hiera-large"],
        "sam3": ["sam3"],
    }
    assert [model.name for model in real.models_of("sam3d-body")] == ["sam-3d-body-dinov3"]
    assert {model.name for model in real.models} >= {
        "grounding-dino-base",
        *(f"sam2.1-hiera-{size}" for size in ("tiny", "small", "base-plus", "large")),
    }
    assert all(model.revision for model in real.models)
    assert {model.name for model in real.models if model.is_gated} == {"sam3", "sam-3d-body-dinov3"}
    large = (".safetensors", ".ckpt", ".pt")
    unpinned = [path for model in real.models for path, file in model.files.items() if file is None]
    assert not [path for path in unpinned if path.endswith(large)]
