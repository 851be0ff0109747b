"""What every storage promises, asked of each."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path

import numpy as np
import pytest

from common.checkpoints import Checkpoints, discard
from common.errors import InputMissing, UsageError
from common.storage.interface import Storage, StoredFile
from common.storage.local import LocalStorage
from tests.s3_server import Server, s3_environment, server

__all__ = ["s3_environment", "server"]


@pytest.fixture(params=["local", "s3"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Storage:
    if request.param == "local":
        return LocalStorage(tmp_path / "root")
    request.getfixturevalue("s3_environment")
    found: Server = request.getfixturevalue("server")
    return found.storage(tmp_path / "scratch")


def publish(storage: Storage, files: dict[str, bytes], *, obsolete: tuple[str, ...] = ()) -> tuple[StoredFile, ...]:
    stored = tuple(StoredFile(key, len(body), hashlib.sha256(body).hexdigest()) for key, body in files.items())
    with storage.attempt("take", "s") as folder:
        for key, body in files.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(body)
        with storage.lock("take/_manifests/m.lock"):
            storage.commit(folder, "take", stored, obsolete=obsolete, manifest="take/_manifests/m.json", content=b"{}")
    return stored


@pytest.mark.parametrize("key", ["../out", "a/../../out", "/etc/passwd", "..", "a/..", "a\0b"])
def test_no_key_leads_out_of_the_root(storage: Storage, key: str) -> None:
    for use in (
        storage.read,
        storage.size,
        storage.sizes,
        storage.list,
        storage.localize,
        storage.remove,
        storage.remove_folder,
        storage.open,
    ):
        with pytest.raises(UsageError, match="leads out of"):
            use(key)
    with pytest.raises(UsageError, match="leads out of"):
        storage.write(key, b"")


def test_what_is_written_is_read_replaced_and_removed(storage: Storage) -> None:
    storage.write("take/a/b.txt", b"first")
    storage.write("take/a/b.txt", b"content")
    assert storage.read("take/a/b.txt") == b"content"
    assert storage.size("take/a/b.txt") == 7
    storage.remove("take/a/b.txt")
    storage.remove("take/a/b.txt")
    assert storage.read("take/a/b.txt") is None
    assert storage.size("take/a/b.txt") is None


def test_what_is_not_there_is_none_or_empty(storage: Storage) -> None:
    storage.write("file", b"")
    for key in ("nothing", "nothing/below", "file/below"):
        assert storage.read(key) is None
        assert storage.size(key) is None
        assert storage.sizes(key) == {}
        assert storage.occupied(key) == storage.occupied(f"{key}/") == ()
        storage.remove(key)
    assert storage.list("nothing") == []


def test_a_folder_is_listed_with_and_without_its_slash(storage: Storage) -> None:
    for key in ("take/b.txt", "take/a/1", "take/a/2", "take.2/x", "top"):
        storage.write(key, b"12")
    assert storage.list("take/a/") == storage.list("take/a") == ["take/a/1", "take/a/2"]
    assert storage.sizes("take/a/") == storage.sizes("take/a") == {"take/a/1": 2, "take/a/2": 2}
    assert [key for key in storage.list("take") if "_manifests" not in key] == ["take/a/", "take/b.txt"]
    assert storage.list("") == ["take.2/", "take/", "top"]


def test_occupied_names_all_files_below_a_folder_but_hidden_ones(storage: Storage) -> None:
    for key in ("a/1", "a/b/2", "a/.DS_Store", "ab", "c"):
        storage.write(f"take/{key}", b"")
    assert storage.occupied("take/a/") == ("take/a/1", "take/a/b/2")
    assert storage.occupied("take/c") == ("take/c",)
    assert storage.occupied("take/d") == storage.occupied("take/d/") == ()


def test_a_folder_is_removed_with_all_below_it_and_nothing_beside_it(storage: Storage) -> None:
    for key in ("part/a/1", "part/a/b/2", "part/ab/3", "kept"):
        storage.write(f"take/{key}", b"")
    storage.remove_folder("take/part/a")
    storage.remove_folder("take/part/never")
    assert storage.occupied("take/part/") == ("take/part/ab/3",)
    storage.remove_folder("take/part/ab")
    assert [key for key in storage.list("take") if "_manifests" not in key] == ["take/kept"], "no empty folder stays"


def test_checkpoints_live_in_every_storage(storage: Storage) -> None:
    for key in ("a" * 64, "b" * 64):
        checkpoints = Checkpoints(storage, "take", "body", "cam01", key)
        assert checkpoints.load(0) is None
        for index in range(3):
            checkpoints.save(index, {"frame": np.full(4, index)})
    found = Checkpoints(storage, "take", "body", "cam01", "b" * 64).load(2)
    assert found is not None
    assert found["frame"].tolist() == [2, 2, 2, 2]
    assert len(storage.occupied("take/_partial/")) == 3, "those of the other key are gone"
    discard(storage, "take", "body", "cam01")
    assert storage.occupied("take/_partial/") == ()


def test_what_is_set_aside_has_its_new_name_only(storage: Storage) -> None:
    storage.write("take/a/1", b"one")
    storage.write("take/a/2", b"two")
    storage.set_aside({"take/a/1": "take/a.before/1", "take/a/2": "take/a.before/2"})
    assert storage.sizes("take/a") == {}
    assert storage.read("take/a.before/1") == b"one"
    assert storage.read("take/a.before/2") == b"two"


def test_an_attempt_is_private_and_goes(storage: Storage) -> None:
    with storage.attempt("take", "s") as first, storage.attempt("take", "s") as second:
        assert first != second
        (first / "sub").mkdir()
        (first / "sub" / "file").write_text("x")
        storage.sweep("take")
        assert (first / "sub" / "file").exists()
    assert not first.exists()


@pytest.mark.parametrize("count", [1, 50])
def test_a_commit_publishes_the_files_removes_the_obsolete_and_writes_the_manifest(
    storage: Storage, count: int
) -> None:
    storage.write("take/old.txt", b"")
    storage.write("take/_manifests/m.json", b"old")
    publish(storage, {f"sub/{number}": b"%d" % number for number in range(count)}, obsolete=("old.txt", "never.txt"))
    assert storage.read("take/_manifests/m.json") == b"{}"
    assert storage.read("take/sub/0") == b"0"
    assert len(storage.list("take/sub")) == count
    assert storage.read("take/old.txt") is None


def test_published_files_and_folders_have_local_paths(storage: Storage) -> None:
    bodies = {
        "cam01/mask_data.npz": b"masks",
        "cam01/json_data/000.json": b"0",
        "cam01/json_data/sub/1": b"1",
        "e": b"",
    }
    files = publish(storage, bodies)
    assert storage.localize("take/cam01/mask_data.npz", files).read_bytes() == b"masks"
    folder = storage.localize("take/cam01/json_data/", files)
    assert folder.name == "json_data"
    assert (folder / "000.json").read_bytes() == b"0"
    assert (folder / "sub" / "1").read_bytes() == b"1"
    assert storage.localize("take/e", files).read_bytes() == b""
    assert storage.localize("take/cam01/mask_data.npz").read_bytes() == b"masks"
    assert storage.localize("take/cam01/mask_data.npz").name == "mask_data.npz"


def test_an_opened_file_can_be_sought_and_read_in_parts(storage: Storage) -> None:
    content = bytes(range(256)) * 2000
    storage.write("take/cam01.mp4", content)
    with storage.open("take/cam01.mp4") as handle:
        assert handle.seek(0, io.SEEK_END) == len(content)
        assert handle.read() == b""
        for start, count in ((0, 10), (300_000, 70_000), (5, 1), (511_990, 100), (0, 512_000)):
            handle.seek(start)
            assert handle.read(count) == content[start : start + count]
        handle.seek(0)
        assert b"".join(iter(lambda: handle.read(1000), b"")) == content


def test_what_is_not_there_cannot_be_opened(storage: Storage) -> None:
    with pytest.raises(InputMissing, match="nothing"):
        storage.open("take/nothing")
