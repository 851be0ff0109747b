"""The lock file, and what is refused in one."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from common.errors import BadInput, UsageError
from common.weights import lock

REPOSITORY = Path(lock.__file__).parents[2]


@pytest.fixture
def content():
    digest = "0" * 64
    return {
        "format": 1,
        "archives": {"toys": {"registry": "npm", "package": "@a/toys", "version": "1.0", "bytes": 9, "sha256": digest}},
        "files": [
            {
                "name": "ball",
                "file": "sub/ball.bin",
                "backends": ["red"],
                "archive": "toys",
                "members": ["package/ball.bin"],
                "conversion": None,
                "bytes": 4,
                "sha256": digest,
                "licence": "MIT",
                "notice": "Somebody",
            }
        ],
    }


@pytest.fixture
def load(tmp_path, content):
    def load_content():
        path = tmp_path / "lock.json"
        path.write_text(json.dumps(content))
        return lock.load(path)

    return load_content


def test_a_lock_file_is_read_into_frozen_records(load):
    (ball,) = load().files
    assert (ball.name, ball.file, ball.size) == ("ball", "sub/ball.bin", 4)
    assert str(ball.archive) == "npm @a/toys 1.0"
    with pytest.raises(dataclasses.FrozenInstanceError):
        ball.size = 5


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("sha256", "0" * 63, "sha256"),
        ("sha256", "A" * 64, "sha256"),
        ("file", "../ball.bin", "leads out"),
        ("file", "/ball.bin", "leads out"),
        ("archive", "cars", "'cars' is not described"),
        ("members", [], "0 members instead of 1"),
        ("conversion", "magic", "conversion 'magic'"),
        ("bytes", 0, "bytes 0"),
        ("bytes", True, "bytes True"),
        ("licence", "", "licence is empty"),
    ],
)
def test_an_invalid_entry_is_refused_by_name(load, content, key, value, complaint):
    content["files"][0][key] = value
    with pytest.raises(BadInput, match=f"file ball.*{complaint}"):
        load()


@pytest.mark.parametrize("package", ["--registry=x", "../toys", "toys; rm", ""])
def test_a_package_that_could_be_an_option_or_a_path_is_refused(load, content, package):
    content["archives"]["toys"]["package"] = package
    with pytest.raises(BadInput, match="archive toys: package"):
        load()


def test_a_missing_key_is_named(load, content):
    del content["files"][0]["notice"]
    with pytest.raises(BadInput, match="'notice' is missing"):
        load()


def test_two_files_at_one_place_are_refused(load, content):
    content["files"].append({**content["files"][0], "name": "other"})
    with pytest.raises(BadInput, match="same path"):
        load()


def test_a_file_that_is_not_json_is_refused(tmp_path):
    (tmp_path / "lock.json").write_text("{")
    with pytest.raises(BadInput, match=r"lock\.json: not a valid lock file"):
        lock.load(tmp_path / "lock.json")


def test_an_unknown_name_or_backend_is_answered_with_the_known_ones(load):
    with pytest.raises(UsageError, match="ball"):
        load().find("doll")
    with pytest.raises(UsageError, match="red"):
        load().used_by("blue")
    assert [file.name for file in load().used_by("red")] == ["ball"]


@pytest.mark.parametrize("path", ["common/weights/lock.json", "benchmarks/demo_data.json"])
def test_the_lock_files_of_this_repository_are_valid_and_name_no_address(path):
    assert lock.load(REPOSITORY / path).files
    assert not re.search(r"https?:|www\.|\.(org|com|io|dev)\b", (REPOSITORY / path).read_text())


def test_every_model_has_a_backend_and_the_npm_client_is_pinned():
    weights = lock.weights_lock()
    assert all(file.backends for file in weights.files)
    assert weights.npm_client is not None
    assert len(weights.npm_client.sha256) >= 2
