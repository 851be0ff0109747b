"""Checkpoints survive their process, belong to one result only, and are never taken for one."""

import dataclasses
import errno
import shutil
from pathlib import Path

import numpy as np
import pytest

from common.checkpoints import Checkpoints, discard
from common.errors import BadInput, DiskError
from common.harness import Status
from common.stage import NoOptions
from common.storage.local import LocalStorage
from common.workspace import Workspace
from tests.sample_stages import HEADS, LISTING, Bench, keep_head

KEY = "0123456789abcdef" * 4
ARRAYS = {
    "frame": np.arange(5),
    "names": np.array(["one", "two"]),
    "half": np.full((2, 3), 0.5, np.float16),
    "none": np.empty((0, 70, 3), np.float32),
}


@pytest.fixture
def storage(tmp_path: Path) -> LocalStorage:
    return LocalStorage(tmp_path)


KEEPING = dataclasses.replace(HEADS, checkpoints=True)


def of(storage: LocalStorage, *, key: str = KEY, video: str | None = "cam01") -> Checkpoints:
    return Checkpoints(storage, "take", "body", video, key)


def test_what_is_kept_is_there_for_the_next_attempt_and_for_nobody_else(storage: LocalStorage) -> None:
    of(storage).save(0, ARRAYS)
    loaded = of(storage).load(0)
    assert loaded is not None
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(loaded[name], array, err_msg=name)
        assert loaded[name].dtype == array.dtype
    assert of(storage).load(1) is None
    assert of(storage, video="cam02").load(0) is None
    assert (storage.root / "take/_partial/body/cam01/0123456789abcdef/000000.npz").is_file()


def test_numpy_reads_a_checkpoint(storage: LocalStorage) -> None:
    of(storage).save(3, ARRAYS)
    with np.load(storage.root / "take/_partial/body/cam01/0123456789abcdef/000003.npz") as archive:
        assert archive["frame"].tolist() == [0, 1, 2, 3, 4]


def test_nothing_is_asked_of_the_storage_before_it_is_used(tmp_path: Path) -> None:
    of(LocalStorage(tmp_path / "nowhere"))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "other"])
def test_a_damaged_checkpoint_is_none_at_all(storage: LocalStorage, damage: str, caplog: pytest.LogCaptureFixture):
    of(storage).save(0, ARRAYS)
    path = storage.root / "take/_partial/body/cam01/0123456789abcdef/000000.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes({"flipped": content, "cut": content[:-100], "empty": b"", "other": b"PK" * 500}[damage])
    assert of(storage).load(0) is None
    assert "not a whole checkpoint" in caplog.text


def test_a_checkpoint_of_another_key_video_or_number_is_foreign(storage: LocalStorage) -> None:
    of(storage).save(0, ARRAYS)
    own = storage.root / "take/_partial/body/cam01/0123456789abcdef"
    content = (own / "000000.npz").read_bytes()
    (own / "000001.npz").write_bytes(content)
    assert of(storage).load(1) is None
    assert of(storage, key=KEY[:-1] + "0").load(0) is None, "the same first digits, and another key"
    other = storage.root / "take/_partial/body/cam02/0123456789abcdef"
    other.mkdir(parents=True)
    (other / "000000.npz").write_bytes(content)
    assert of(storage, video="cam02").load(0) is None
    assert of(storage).load(0) is not None


def test_checkpoints_of_another_key_go_and_those_of_this_one_stay(storage: LocalStorage) -> None:
    of(storage, key="f" * 64).save(0, ARRAYS)
    of(storage, key="f" * 64, video="cam02").save(0, ARRAYS)
    assert of(storage).load(0) is None
    unit = storage.root / "take/_partial/body"
    assert not (unit / "cam01").exists()
    assert (unit / "cam02/ffffffffffffffff/000000.npz").is_file()
    storage.sweep("take")
    assert of(storage, key="f" * 64, video="cam02").load(0) is not None


def test_what_numpy_could_only_pickle_is_refused(storage: LocalStorage) -> None:
    with pytest.raises(ValueError, match="mood"):
        of(storage).save(0, {"mood": np.array([{}])})
    with pytest.raises(ValueError, match="file"):
        of(storage).save(0, {"a file": np.zeros(1)})


def test_those_of_another_key_that_cannot_be_removed_do_no_harm(
    storage: LocalStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    remove = shutil.rmtree

    def refuse(path: Path, *, ignore_errors: bool = False) -> None:
        if not ignore_errors:
            raise OSError(errno.ENOTEMPTY, "somebody wrote there just now")
        remove(path, ignore_errors=True)

    of(storage, key="f" * 64).save(0, ARRAYS)
    monkeypatch.setattr(shutil, "rmtree", refuse)
    checkpoints = of(storage)
    assert checkpoints.load(0) is None
    checkpoints.save(0, ARRAYS)
    assert of(storage).load(0) is not None


def test_discarded_they_leave_no_trace(storage: LocalStorage) -> None:
    of(storage).save(0, ARRAYS)
    of(storage, video="cam02").save(0, ARRAYS)
    discard(storage, "take", "body", "cam01")
    assert [path.name for path in (storage.root / "take/_partial/body").iterdir()] == ["cam02"]
    discard(storage, "take", "body", "cam02")
    discard(storage, "take", "body", "cam02")
    assert not (storage.root / "take/_partial").exists()


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    bench = Bench(tmp_path)
    bench.record(cam01="one\nrest")
    bench.execute(LISTING)
    return bench


def test_a_failed_attempt_leaves_its_checkpoints_to_the_next_and_a_published_unit_has_none(bench: Bench) -> None:
    found = []

    def work(workspace: Workspace, options: NoOptions) -> None:
        found.append(workspace.checkpoints.load(0))
        workspace.checkpoints.save(0, {"done": np.arange(3)})
        if len(found) < 3:
            raise BadInput("not yet.")
        keep_head(workspace, options)

    stage = dataclasses.replace(KEEPING, run=work)
    for _ in range(2):
        with pytest.raises(BadInput):
            bench.execute(stage, "cam01")
        assert [name for name in bench.files() if "_partial" in name]
        if len(found) == 1:
            bench.record(cam01="two\nrest")  # another input, so another key
            bench.execute(LISTING)
    bench.execute(stage, "cam01")
    assert found[:2] == [None, None]
    assert found[2] is not None
    assert found[2]["done"].tolist() == [0, 1, 2]
    assert not [name for name in bench.files() if "_partial" in name]
    manifest = (bench.results / "_manifests/heads/cam01.json").read_text()
    assert "_partial" not in manifest


def test_what_a_late_attempt_has_left_goes_when_the_unit_is_found_up_to_date(bench: Bench) -> None:
    bench.execute(KEEPING, "cam01")
    Checkpoints(bench.output, "take", "heads", "cam01", KEY).save(0, ARRAYS)
    assert bench.execute(KEEPING, "cam01").status is Status.UP_TO_DATE
    assert not [name for name in bench.files() if "_partial" in name]


def test_checkpoints_that_cannot_be_removed_do_not_undo_a_result(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise DiskError("no.")

    bench.execute(KEEPING, "cam01")
    Checkpoints(bench.output, "take", "heads", "cam01", KEY).save(0, ARRAYS)
    monkeypatch.setattr(LocalStorage, "remove_folder", refuse)
    assert bench.execute(KEEPING, "cam01").status is Status.UP_TO_DATE


def test_a_stage_that_keeps_none_asks_the_storage_nothing_about_them(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("common.checkpoints.discard", refuse)
    bench.execute(HEADS, "cam01")
    assert bench.execute(HEADS, "cam01").status is Status.UP_TO_DATE
    bench.execute(HEADS, "cam01", force=True)
    with pytest.raises(AssertionError):
        bench.execute(KEEPING, "cam01", force=True)


def test_what_is_forced_begins_from_the_beginning(bench: Bench) -> None:
    found = []

    def work(workspace: Workspace, options: NoOptions) -> None:
        found.append(workspace.checkpoints.load(0) is not None)
        workspace.checkpoints.save(0, ARRAYS)
        raise BadInput("not yet.")

    stage = dataclasses.replace(KEEPING, run=work)
    for force in (False, False, True, False):
        with pytest.raises(BadInput):
            bench.execute(stage, "cam01", force=force)
    assert found == [False, True, False, True]
