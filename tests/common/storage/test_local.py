import contextlib
import os
from pathlib import Path

import pytest

from common.errors import DiskError, InputMissing, TemporaryFailure, UsageError
from common.storage import local, locks
from common.storage.interface import StoredFile
from common.storage.local import LocalStorage
from common.storage.open import open_storage


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path / "root")


def test_a_file_where_a_folder_is_expected_is_named(storage: LocalStorage) -> None:
    storage.write("file", b"")
    with pytest.raises(InputMissing, match="file is a file; a folder is expected"):
        storage.list("file")


def test_reading_creates_nothing(storage: LocalStorage) -> None:
    storage.read("a/b")
    storage.list("")
    storage.sweep("take")
    storage.remove("a/b")
    assert not storage.root.exists()


def test_lists_and_sizes_follow_links_and_leave_out_what_is_no_file(storage: LocalStorage, tmp_path: Path) -> None:
    storage.write("take/b.txt", b"12")
    (storage.root / "take" / "a").mkdir()
    (storage.root / "take" / "file").symlink_to(storage.root / "take" / "b.txt")
    (storage.root / "take" / "folder").symlink_to(tmp_path)
    (storage.root / "take" / "gone").symlink_to(tmp_path / "gone")
    expected = ["take/_manifests/", "take/a/", "take/b.txt", "take/file", "take/folder/", "take/gone"]
    assert storage.list("take/") == storage.list("take") == expected
    assert storage.sizes("take/") == storage.sizes("take") == {"take/b.txt": 2, "take/file": 2}


def test_a_refused_write_names_the_place(storage: LocalStorage) -> None:
    storage.write("file", b"")
    for write in (
        lambda: storage.write("file/below", b""),
        lambda: storage.attempt("file", "x").__enter__(),
        lambda: storage.lock("file/x.lock").__enter__(),
    ):
        with pytest.raises(DiskError, match=str(storage.root / "file")):
            write()


def test_a_folder_that_somebody_removes_while_a_file_is_written_is_made_again(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace, removed = Path.replace, []

    def late(self: Path, target: Path) -> Path:
        if target.name == "file" and not removed:
            removed.append(target.parent.rmdir())
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", late)
    storage.write("take/a/b/file", b"content")
    assert removed
    assert storage.read("take/a/b/file") == b"content"


def test_an_attempt_is_private_and_goes(storage: LocalStorage) -> None:
    with storage.attempt("take", "s") as first, storage.attempt("take", "s") as second:
        assert first != second
        (first / "sub").mkdir()
        (first / "sub" / "file").write_text("x")
    assert list((storage.root / "take" / "_manifests" / "attempts").iterdir()) == []


def test_an_attempt_at_work_is_not_swept(storage: LocalStorage) -> None:
    with storage.attempt("take", "s") as first:
        storage.sweep("take")
        assert first.exists()


@pytest.mark.parametrize("has_lock_file", [True, False])
def test_attempts_of_the_dead_are_swept(storage: LocalStorage, has_lock_file: bool) -> None:
    """A process can be killed before its attempt has a lock file at all."""
    dead = storage.root / "take" / "_manifests" / "attempts" / "s.dead"
    dead.mkdir(parents=True)
    if has_lock_file:
        (dead / ".alive").touch()
    storage.sweep("take")
    assert not dead.exists()


def publish(storage: LocalStorage, *files: str, obsolete: tuple[str, ...] = ()) -> None:
    with storage.attempt("take", "s") as folder:
        for key in files:
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_text(key)
        stored = [StoredFile(key, len(key), "") for key in files]
        storage.commit(folder, "take", stored, obsolete=obsolete, manifest="take/m.json", content=b"{}")


@pytest.mark.parametrize("count", [1, 50])
def test_a_commit_moves_the_files_removes_the_obsolete_and_writes_the_manifest(
    storage: LocalStorage, count: int
) -> None:
    storage.write("take/old.txt", b"")
    files = [f"sub/{number}" for number in range(count)]
    publish(storage, *files, obsolete=("old.txt", "never.txt"))
    assert storage.read("take/m.json") == b"{}"
    assert storage.read("take/sub/0") == b"sub/0"
    assert len(storage.list("take/sub")) == count
    assert storage.read("take/old.txt") is None


def test_a_commit_that_finds_no_room_leaves_the_old_manifest(storage: LocalStorage) -> None:
    storage.write("take/m.json", b"old")
    storage.write("take/taken", b"a file where a folder is needed")
    with pytest.raises(DiskError):
        publish(storage, "taken/file")
    assert storage.read("take/m.json") == b"old"


def test_the_old_manifest_is_gone_while_files_are_replaced(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("take/m.json", b"old")
    seen = []
    rename = Path.rename

    def spy(self: Path, target: Path) -> Path:
        seen.append((self.name, target.name, storage.read("take/m.json")))
        return rename(self, target)

    storage.write("take/b", b"old")
    monkeypatch.setattr(Path, "rename", spy)
    publish(storage, "a", "b")
    assert seen == [("a", "0", None), ("b", "1", None), ("a", "a", None), ("b", "b", None)]
    assert storage.read("take/b") == b"b"


def test_nothing_inside_a_scene_is_changed_through_a_linked_folder(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").write_text("mine")
    (storage.root / "take").mkdir(parents=True)
    (storage.root / "take" / "linked").symlink_to(tmp_path / "elsewhere")
    for change in (
        lambda: storage.write("take/linked/file", b""),
        lambda: storage.remove("take/linked/file"),
        lambda: storage.occupied("take/linked/"),
        lambda: storage.occupied("take/linked/file"),
        lambda: storage.set_aside({"take/linked/file": "take/file"}),
        lambda: publish(storage, "linked/file"),
        lambda: publish(storage, "a", obsolete=("linked/file",)),
    ):
        with pytest.raises(DiskError, match=f"{storage.root}/take/linked is a link to another folder"):
            change()
    assert (tmp_path / "elsewhere" / "file").read_text() == "mine"
    assert storage.read("take/linked/file") == b"mine", "reading follows links"


def test_attempts_are_neither_made_nor_swept_through_a_linked_folder(storage: LocalStorage, tmp_path: Path) -> None:
    (tmp_path / "elsewhere" / "attempts" / "s.dead").mkdir(parents=True)
    (storage.root / "take").mkdir(parents=True)
    (storage.root / "take" / "_manifests").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DiskError, match="is a link"):
        storage.sweep("take")
    with pytest.raises(DiskError, match="is a link"):
        storage.attempt("take", "s").__enter__()
    assert (tmp_path / "elsewhere" / "attempts" / "s.dead").exists()


def test_a_folder_where_a_file_is_to_be_written_is_named(storage: LocalStorage) -> None:
    storage.write("take/report.html/mine", b"")
    with pytest.raises(DiskError, match=r"report\.html is a folder"):
        storage.occupied("take/report.html")


def test_occupied_names_all_files_below_a_folder_but_hidden_ones(storage: LocalStorage) -> None:
    for key in ("a/1", "a/b/2", "a/.DS_Store", "c"):
        storage.write(f"take/{key}", b"")
    (storage.root / "take" / "a" / "gone").symlink_to("nowhere")
    assert storage.occupied("take/a/") == ("take/a/1", "take/a/b/2", "take/a/gone")
    assert storage.occupied("take/c") == ("take/c",)
    assert storage.occupied("take/d") == storage.occupied("take/d/") == ()


def no_locks(*_: object) -> None:
    raise OSError(37, os.strerror(37))  # ENOLCK: what a network file system without a lock daemon says


def test_without_locks_it_works_says_so_once_and_sweeps_nothing(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(locks.fcntl, "flock", no_locks)
    monkeypatch.setattr(locks, "_warned", set())
    dead = storage.root / "take" / "_manifests" / "attempts" / "s.perhaps_alive"
    dead.mkdir(parents=True)
    (dead / ".alive").touch()
    being_made = dead.with_name("s.being_made")
    being_made.mkdir()
    with storage.lock("take/x.lock"):
        publish(storage, "a")
    storage.sweep("take")
    assert storage.read("take/m.json") == b"{}"
    assert dead.exists()
    assert being_made.exists()
    assert len(caplog.messages) == 1
    assert "no file locks here" in caplog.messages[0]


def test_a_lock_that_is_never_released_is_a_temporary_failure(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("wb") as first, (tmp_path / "lock").open("wb") as second:
        assert locks.wait_for_lock(first)
        with pytest.raises(TemporaryFailure, match="locked by another process"):
            locks.wait_for_lock(second, patience_s=0)


def test_atomic_writes_leave_no_temporary_file_even_when_they_fail(tmp_path: Path) -> None:
    local.write_atomically(tmp_path / "new" / "file", b"1")
    local.write_atomically(tmp_path / "new" / "file", b"2")
    (tmp_path / "new" / "folder").mkdir()
    with contextlib.suppress(OSError):
        local.write_atomically(tmp_path / "new" / "folder", b"3")
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["file", "folder"]
    assert (tmp_path / "new" / "file").read_bytes() == b"2"


@pytest.mark.parametrize("root", ["", " ", "s3://b", "file:///tmp", "~nobody-of-this-name/x"])
def test_roots_that_cannot_be_used_are_refused(root: str) -> None:
    with pytest.raises(UsageError):
        open_storage(root)


def test_a_root_may_begin_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert open_storage("~/results").uri == str(tmp_path / "results")
