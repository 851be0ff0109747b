"""Files of a lock file: fetched once, verified, whole or not at all, also by several at once."""

import hashlib
import io
import logging
import re
import tarfile
import threading
from importlib.metadata import version

import pytest

from common.errors import DiskError, ModelUnavailable, TemporaryFailure
from common.weights.fetch import fetch_files
from common.weights.lock import Archive
from common.weights.tfjs_to_onnx import convert
from tests.common.weights.conftest import CONTENT
from tests.common.weights.test_tfjs_to_onnx import tiny_tfjs_files


def _fetch(shelf, folder):
    return fetch_files(shelf.lock, shelf.lock.files, folder, download=shelf.download)


def _files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_members_of_tarballs_and_wheels_arrive_under_the_names_of_the_lock(shelf, tmp_path):
    paths = _fetch(shelf, tmp_path / "out")
    assert [path.read_bytes() for path in paths] == [CONTENT["ball"], CONTENT["cube"], CONTENT["film"]]
    assert _files(tmp_path / "out") == [".lock", "films/film.bin", "toys/ball.bin", "toys/cube.bin"]
    assert not (tmp_path / "escape.txt").exists()


def test_an_archive_is_downloaded_once_for_all_its_files_and_never_again(shelf, tmp_path):
    _fetch(shelf, tmp_path)
    assert sorted(shelf.downloads) == ["films", "toys"]
    _fetch(shelf, tmp_path)
    assert len(shelf.downloads) == 2


def test_only_what_is_missing_or_damaged_is_fetched_again(shelf, tmp_path):
    ball = _fetch(shelf, tmp_path)[0]
    shelf.downloads.clear()
    ball.write_bytes(CONTENT["ball"].replace(b"r", b"R"))  # same size, other content
    _fetch(shelf, tmp_path)
    assert shelf.downloads == ["toys"]
    assert ball.read_bytes() == CONTENT["ball"]


def test_an_archive_with_another_digest_is_not_opened(shelf, tmp_path):
    shelf.archives["toys"].write_bytes(shelf.archives["toys"].read_bytes()[:-1])
    with pytest.raises(TemporaryFailure, match=r"npm toys 1\.0: sha256 .* damaged download.*Run again"):
        _fetch(shelf, tmp_path / "out")
    assert "toys/ball.bin" not in _files(tmp_path / "out")


def test_a_member_with_another_digest_is_not_published(shelf, tmp_path):
    shelf.relock("ball", sha256="0" * 64)
    with pytest.raises(ModelUnavailable, match=r"ball: sha256 .* instead of 0000"):
        _fetch(shelf, tmp_path / "out")
    assert "toys/ball.bin" not in _files(tmp_path / "out")


def test_a_member_that_the_archive_lacks_is_named(shelf, tmp_path):
    shelf.relock("film", members=("films/other.bin",))
    with pytest.raises(ModelUnavailable, match=r"films/other\.bin"):
        _fetch(shelf, tmp_path)


def test_a_failed_download_leaves_nothing_behind_and_what_was_there_in_place(shelf, tmp_path):
    ball = _fetch(shelf, tmp_path)[0]
    (tmp_path / "films/film.bin").unlink()

    def fail(archive, folder):
        (folder / "part").write_bytes(b"half of it")
        raise TemporaryFailure("the network is gone")

    with pytest.raises(TemporaryFailure, match="the network is gone"):
        fetch_files(shelf.lock, shelf.lock.files, tmp_path, download=fail)
    assert ball.read_bytes() == CONTENT["ball"]
    assert not list(tmp_path.glob(".fetch-*"))


def test_leftovers_of_a_killed_fetch_are_removed_by_the_next(shelf, tmp_path):
    (tmp_path / ".fetch-killed").mkdir()
    (tmp_path / ".fetch-killed" / "half.tgz").write_bytes(b"half")
    _fetch(shelf, tmp_path)
    assert not (tmp_path / ".fetch-killed").exists()


def test_of_many_that_fetch_at_once_one_downloads_and_all_get_whole_files(shelf, tmp_path):
    start = threading.Barrier(6)
    results, failures = [], []

    def fetch():
        start.wait()
        try:
            results.append([path.read_bytes() for path in _fetch(shelf, tmp_path / "out")])
        except Exception as error:  # noqa: BLE001 - shown by the assertion below
            failures.append(error)

    threads = [threading.Thread(target=fetch) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert results == [list(CONTENT.values())] * 6
    assert sorted(shelf.downloads) == ["films", "toys"]


def test_a_folder_that_cannot_be_made_is_a_disk_error_that_names_it(shelf, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DiskError, match="file"):
        _fetch(shelf, tmp_path / "file")


def test_progress_is_logged(shelf, tmp_path, caplog):
    with caplog.at_level(logging.INFO, logger="ghost.weights"):
        _fetch(shelf, tmp_path)
    assert "fetching npm toys 1.0" in caplog.text
    assert f"{tmp_path / 'toys/ball.bin'}: verified" in caplog.text


@pytest.fixture
def tfjs_model(shelf, tmp_path):
    """Puts a TensorFlow.js model into the tarball of toys: the file "ball" is its conversion."""
    members = ("package/model.json", "package/model.bin")
    topology, weights = tiny_tfjs_files()
    with tarfile.open(shelf.archives["toys"], "w:gz") as archive:
        for name, content in zip(members, (topology, weights), strict=True):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    content = shelf.archives["toys"].read_bytes()
    toys = Archive("npm", "toys", "1.0", size=len(content), sha256=hashlib.sha256(content).hexdigest())
    shelf.relock("ball", archive=toys, members=members, conversion="tfjs-to-onnx")
    onnx = convert(topology, weights, name="ball")
    shelf.relock("ball", size=len(onnx), sha256=hashlib.sha256(onnx).hexdigest())
    return onnx


def test_a_tensorflow_js_model_arrives_converted(shelf, tfjs_model, tmp_path):
    (ball,) = fetch_files(shelf.lock, shelf.lock.files[:1], tmp_path, download=shelf.download)
    assert ball.read_bytes() == tfjs_model


def test_a_conversion_that_gives_other_bytes_names_the_version_of_onnx(shelf, tfjs_model, tmp_path):
    shelf.relock("ball", sha256="0" * 64)
    with pytest.raises(ModelUnavailable, match=rf"conversion with onnx {re.escape(version('onnx'))}"):
        fetch_files(shelf.lock, shelf.lock.files[:1], tmp_path, download=shelf.download)
    assert not (tmp_path / "toys/ball.bin").exists()
