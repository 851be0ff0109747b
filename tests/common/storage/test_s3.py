"""What is particular to scenes in a bucket."""

from __future__ import annotations

import datetime
import functools
import hashlib
import json
import logging
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from common.errors import (
    BadInput,
    ConfigurationError,
    DiskError,
    GhostError,
    InputMissing,
    TemporaryFailure,
    UsageError,
)
from common.storage import s3, s3_commit, s3_download, s3_upload
from common.storage.interface import CommitConflict, StoredFile
from common.storage.open import open_storage
from common.storage.s3 import S3Storage
from common.storage.s3_client import Settings
from common.storage.s3_errors import UploadMissing
from common.storage.scratch import Scratch
from tests.faults.unit import ROOT
from tests.s3_server import BUCKET, QUICK, SECRET, Server, s3_environment, server

__all__ = ["server"]
pytestmark = pytest.mark.usefixtures(s3_environment.__name__)
MANIFEST = "take/_manifests/m.json"


@pytest.fixture
def storage(server: Server, tmp_path: Path) -> S3Storage:
    return server.storage(tmp_path / "scratch")


def files_of(bodies: dict[str, bytes]) -> tuple[StoredFile, ...]:
    return tuple(StoredFile(key, len(body), hashlib.sha256(body).hexdigest()) for key, body in bodies.items())


def manifest_of(bodies: dict[str, bytes], author: str = "") -> bytes:
    return json.dumps({"files": [asdict(file) for file in files_of(bodies)], "author": author}).encode()


def publish(
    storage: S3Storage,
    bodies: dict[str, bytes],
    *,
    author: str = "",
    obsolete: tuple[str, ...] = (),
    judged: Callable[[], object] = bool,
) -> None:
    """Publishes as the harness does; `judged` is called when it has been seen that there is something to do."""
    with storage.attempt("take", "s") as folder:
        for key, body in bodies.items():
            (folder / key).parent.mkdir(parents=True, exist_ok=True)
            (folder / key).write_bytes(body)
        content = manifest_of(bodies, author)
        with storage.lock("take/_manifests/m.lock"):
            storage.read(MANIFEST)
            judged()
            storage.commit(folder, "take", files_of(bodies), obsolete=obsolete, manifest=MANIFEST, content=content)


@pytest.mark.parametrize(
    ("root", "uri"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/prefix", "s3://bucket/prefix"),
        ("s3://my.bucket-1/a/b=1/c//", "s3://my.bucket-1/a/b=1/c"),
    ],
)
def test_a_root_is_a_bucket_and_perhaps_a_prefix(root: str, uri: str) -> None:
    assert open_storage(root).uri == uri


@pytest.mark.parametrize(
    "root",
    [
        "s3://",
        "s3:///prefix",
        "s3://ab",
        "s3://Bucket",
        "s3://buc_ket",
        "s3://-bucket",
        "s3://a..b",
        "s3://bucket/../x",
        "s3://bucket/a//b",
        "s3://bucket/./a",
        "s3://bucket/a b",
        "s3://bucket/a\n",
        "s3://bucket/$(id)",
        "s3://bucket/?versionId=1",
        "s3://bucket/" + "x" * 600,
    ],
)
def test_other_roots_are_refused(root: str) -> None:
    with pytest.raises(UsageError, match=r"s3://bucket/prefix|prefix may hold"):
        open_storage(root)


@pytest.mark.parametrize("root", ["s3://key:hunter2@bucket/prefix", "s3://hunter2@bucket"])
def test_credentials_in_a_root_are_refused_and_not_repeated(root: str) -> None:
    with pytest.raises(UsageError, match="AWS_") as caught:
        open_storage(root)
    assert "hunter2" not in str(caught.value)


def test_a_bucket_without_a_prefix_holds_scenes_at_its_top(server: Server, tmp_path: Path) -> None:
    storage = server.storage(tmp_path, root=f"s3://{BUCKET}")
    storage.write("top-scene/a", b"1")
    assert "top-scene/" in storage.list("")
    assert storage.sizes("top-scene") == {"top-scene/a": 1}
    assert server.objects("top-scene/") == {"top-scene/a": b"1"}
    storage.remove("top-scene/a")


def test_neither_boto3_nor_botocore_is_loaded_before_it_is_needed() -> None:
    code = (
        "import sys; from common.storage.open import open_storage; open_storage('s3://bucket/prefix'); "
        "sys.exit(any(name in sys.modules for name in ('boto3', 'botocore', 's3transfer', 'urllib3')))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_lists_of_more_than_one_page_are_whole(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(storage, {f"sub/{number:03d}": b"" for number in range(25)})
    client = storage._client
    monkeypatch.setattr(client, "call", functools.partial(limited_to(3, client.call)))
    assert len(storage.list("take/sub")) == len(storage.sizes("take/sub")) == len(storage.occupied("take/sub/")) == 25


def limited_to(keys: int, call: Callable[..., Any]) -> Callable[..., Any]:
    def limited(operation: str, *arguments: Any, **parameters: Any) -> Any:
        more = {"MaxKeys": keys} if operation == "list_objects_v2" else {}
        return call(operation, *arguments, **parameters, **more)

    return limited


def test_markers_of_empty_folders_are_no_files(server: Server, storage: S3Storage) -> None:
    prefix = storage.uri.removeprefix(f"s3://{BUCKET}/")
    for key in ("take/", "take/sub/", "take//odd"):
        server.put(f"{prefix}/{key}", b"")
    assert storage.list("") == ["take/"]
    assert storage.list("take") == ["take/sub/"]
    assert storage.sizes("take") == {}
    assert storage.occupied("take/sub/") == ()


LARGE = {"cam01/large.bin": bytes(range(251)) * 120_000, "cam01/small.bin": b"small", "cam01/empty": b""}


@pytest.mark.parametrize("threads", [1, 8])
def test_large_and_small_and_empty_files_arrive_as_they_were(server: Server, tmp_path: Path, threads: int) -> None:
    storage = server.storage(tmp_path, settings=Settings(threads=threads))
    assert len(LARGE["cam01/large.bin"]) > s3_upload.LARGE
    publish(storage, LARGE)
    folder = storage.localize("take/cam01/", files_of(LARGE))
    assert {f"cam01/{path.name}": path.read_bytes() for path in folder.iterdir()} == LARGE
    assert storage.localize("take/cam01/large.bin").read_bytes() == LARGE["cam01/large.bin"]


@pytest.mark.parametrize("size", [300, 300_000])
@pytest.mark.parametrize("damage", ["flipped", "truncated", "longer", "stale", "empty"])
def test_an_object_that_is_not_what_the_manifest_says_is_refused(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch, damage: str, size: int
) -> None:
    monkeypatch.setattr(s3_download, "LARGE", 100_000)
    monkeypatch.setattr(s3_download, "PART", 50_000)
    body = bytes(range(256)) * (size // 256 + 1)
    bodies = {"cam01/a": body, "cam01/b": b"good"}
    publish(storage, bodies)
    changed = {
        "flipped": body[: size // 2] + bytes([body[size // 2] ^ 1]) + body[size // 2 + 1 :],
        "truncated": body[:-1],
        "longer": body + b"x",
        "stale": bytes(reversed(body)),
        "empty": b"",
    }[damage]
    server.put(storage.uri.removeprefix(f"s3://{BUCKET}/") + "/take/cam01/a", changed)
    with pytest.raises(BadInput, match=r"take/cam01/a: .*manifest says .*Run the stage that made it again"):
        storage.localize("take/cam01/", files_of(bodies))
    server.put(storage.uri.removeprefix(f"s3://{BUCKET}/") + "/take/cam01/a", body)
    assert (storage.localize("take/cam01/", files_of(bodies)) / "a").read_bytes() == body


@pytest.mark.parametrize("large", [100, 100_000])
def test_bytes_that_are_damaged_on_their_way_are_fetched_again(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    bodies = {"cam01/a": b"1" * 5000, "cam01/b": b"2" * 5000}
    publish(storage, bodies)
    monkeypatch.setattr(s3_download, "LARGE", large)
    monkeypatch.setattr(s3_download, "PART", 1000)
    stream, damaged = storage._client.stream, []

    def damage(key: str, *arguments: Any, **parameters: Any) -> Any:
        for piece in stream(key, *arguments, **parameters):
            is_first = key.endswith("/b") and key not in damaged
            damaged.append(key)
            yield bytes(len(piece)) if is_first else piece

    monkeypatch.setattr(storage._client, "stream", damage)
    folder = storage.localize("take/cam01/", files_of(bodies))
    assert {f"cam01/{path.name}": path.read_bytes() for path in folder.iterdir()} == bodies


def test_an_object_that_is_gone_is_named(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_download, "LARGE", 100_000)
    bodies = {"cam01/a": b"1", "cam01/b": b"", "cam01/c": b"x" * 200_000}
    publish(storage, bodies)
    for name in "abc":
        storage.remove(f"take/cam01/{name}")
        with pytest.raises(InputMissing, match=f"take/cam01/{name} is gone"):
            storage.localize(f"take/cam01/{name}", files_of(bodies))
    with pytest.raises(InputMissing, match="take/nothing"):
        storage.localize("take/nothing")


def test_a_recording_that_changes_while_it_is_read_is_noticed(storage: S3Storage) -> None:
    storage.write("take/cam01.mp4", b"1" * 300_000)
    with storage.open("take/cam01.mp4") as handle:
        handle.read(10)
        storage.write("take/cam01.mp4", b"2" * 300_000)
        handle.seek(200_000)
        with pytest.raises(TemporaryFailure, match=r"cam01\.mp4 was changed while it was read"):
            handle.read(10)


def test_a_changed_recording_is_fetched_anew_and_an_unchanged_one_is_not(server: Server, storage: S3Storage) -> None:
    storage.write("take/cam01.mp4", b"1" * 1000)
    first = storage.localize("take/cam01.mp4")
    storage.write("take/cam01.mp4", b"2" * 1000)
    second = storage.localize("take/cam01.mp4")
    assert second.read_bytes() == b"2" * 1000
    assert first.read_bytes() == b"1" * 1000, "somebody may be reading it"
    assert storage.localize("take/cam01.mp4") == second


def test_a_download_that_was_killed_is_continued(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_download, "LARGE", 100_000)
    monkeypatch.setattr(s3_download, "PART", 50_000)
    body = bytes(range(256)) * 2000
    storage = server.storage(tmp_path, settings=Settings(threads=1))
    publish(storage, {"cam01/a": body, "cam01/b": b"small"})
    for files in (files_of({"cam01/a": body, "cam01/b": b"small"}), ()):
        key = "take/cam01/" if files else "take/cam01/a"
        ranges: list[str] = []
        for number in (3, 100):
            fresh = server.storage(tmp_path / "shared", root=storage.uri, settings=Settings(threads=1))
            monkeypatch.setattr(fresh._client, "once", killed_after(number, fresh._client.once, ranges))
            if number == 3:
                with pytest.raises(KeyboardInterrupt):
                    fresh.localize(key, files)
            else:
                path = fresh.localize(key, files)
        assert (path / "a" if files else path).read_bytes() == body
        parts = [span for span in ranges if span.endswith(("0000-", "9999")) or span == "bytes=500000-511999"]
        assert len(set(ranges)) == len(ranges) - 1, f"only the part that was cut in half is fetched twice: {parts}"


def killed_after(count: int, once: Callable[..., Any], ranges: list[str]) -> Callable[..., Any]:
    """Lets a number of reads pass, and dies during the next."""
    left = [count]

    def mortal(operation: str, *arguments: Any, **parameters: Any) -> Any:
        if operation == "get_object":
            ranges.append(parameters["Range"])
            left[0] -= 1
            if left[0] < 0:
                raise KeyboardInterrupt
        return once(operation, *arguments, **parameters)

    return mortal


def test_an_upload_that_fails_leaves_no_parts_and_no_manifest(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = storage._client.once

    def failing(operation: str, key: str = "", **parameters: Any) -> Any:
        if operation == "upload_part" and parameters["PartNumber"] == 2:
            raise DiskError("no room")
        return once(operation, key, **parameters)

    publish(storage, {"cam01/old": b""})
    monkeypatch.setattr(storage._client, "once", failing)
    with pytest.raises(DiskError, match="no room"):
        publish(storage, LARGE)
    assert server.uploads(storage.uri.removeprefix(f"s3://{BUCKET}/")) == []
    assert storage.read(MANIFEST) is None


def test_uploads_that_others_forgot_are_aborted_after_a_day(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = storage.uri.removeprefix(f"s3://{BUCKET}/")
    server.boto.create_multipart_upload(Bucket=BUCKET, Key=f"{prefix}/take/x")
    with monkeypatch.context() as patch:
        patch.setattr(s3, "_FORGOTTEN", datetime.timedelta(days=100 * 365))  # moto began all uploads in 2010
        with storage.attempt("take", "s"):
            assert server.uploads(prefix) == [f"{prefix}/take/x"]
    with storage.attempt("tak", "s"):
        assert server.uploads(prefix) == [f"{prefix}/take/x"], "another scene's"
    with storage.attempt("take", "s"):
        assert server.uploads(prefix) == []


def test_the_old_manifest_is_gone_while_files_are_replaced(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(storage, {"a": b"old"})
    seen = []
    once = storage._client.once

    def spy(operation: str, key: str = "", **parameters: Any) -> Any:
        if operation in ("put_object", "delete_object"):
            there = storage.uri.removeprefix(f"s3://{BUCKET}/") + "/" + MANIFEST
            is_there = "Contents" in once("list_objects_v2", Prefix=there)
            seen.append((operation, key.rpartition("/")[2], is_there))
        return once(operation, key, **parameters)

    monkeypatch.setattr(storage._client, "once", spy)
    publish(storage, {"a": b"new"}, obsolete=("b",))
    changes = [event for event in seen if event[1] != "m.json"]
    assert seen[0] == ("delete_object", "m.json", True)
    assert changes == [("put_object", "a", False), ("delete_object", "b", False)]
    assert seen[3] == ("put_object", "m.json", False)


def test_an_upload_of_which_the_server_kept_less_is_no_success(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = storage._client.once

    def lossy(operation: str, key: str = "", **parameters: Any) -> Any:
        answer = once(operation, key, **parameters)
        if operation == "put_object" and key.endswith("/a"):
            server.put(key, b"le")
        return answer

    monkeypatch.setattr(storage._client, "once", lossy)
    with pytest.raises(TemporaryFailure, match="2 bytes after an upload of 4"):
        publish(storage, {"a": b"more"})
    assert storage.read(MANIFEST) is None


def interfere(storage: S3Storage, monkeypatch: pytest.MonkeyPatch, before: str, act: Callable[[], None]) -> None:
    """Lets somebody act before the first put of a key that ends so."""
    once, done = storage._client.once, []

    def interrupted(operation: str, key: str = "", **parameters: Any) -> Any:
        if operation == "put_object" and key.endswith(before) and not done:
            done.append(key)
            act()
        return once(operation, key, **parameters)

    monkeypatch.setattr(storage._client, "once", interrupted)


def twin(server: Server, storage: S3Storage, tmp_path: Path) -> S3Storage:
    return server.storage(tmp_path / "other", root=storage.uri)


def test_of_two_attempts_with_the_same_result_the_second_says_that_the_other_was_first(
    server: Server, storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other, bodies = twin(server, storage, tmp_path), {"a": b"1", "b/c": b"2"}
    interfere(storage, monkeypatch, "m.json", lambda: publish(other, bodies, author="other"))
    with pytest.raises(CommitConflict, match="another attempt was first"):
        publish(storage, bodies, author="this")
    assert storage.read(MANIFEST) == manifest_of(bodies, "other")
    assert CommitConflict.exit_code == 75


def test_a_result_that_this_attempt_has_overwritten_is_replaced_as_a_whole(
    server: Server, storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one publishes all of its own between two of our uploads: files of both lie there then."""
    other, bodies = twin(server, storage, tmp_path), {"a": b"1", "b": b"2"}
    storage = server.storage(tmp_path, root=storage.uri, settings=Settings(threads=1))
    interfere(storage, monkeypatch, "/b", lambda: publish(other, {"a": b"3", "b": b"4"}, author="other"))
    publish(storage, bodies, author="this")
    assert storage.read(MANIFEST) == manifest_of(bodies, "this")
    assert {key: storage.read(f"take/{key}") for key in bodies} == bodies


def test_an_attempt_whose_files_were_overwritten_before_its_manifest_uploads_again(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {"a": b"1", "b": b"2"}
    key = storage.uri.removeprefix(f"s3://{BUCKET}/") + "/take/b"
    interfere(storage, monkeypatch, "m.json", lambda: server.put(key, b"9"))
    publish(storage, bodies)
    assert {key: storage.read(f"take/{key}") for key in bodies} == bodies
    assert storage.read(MANIFEST) == manifest_of(bodies)


def test_attempts_that_are_overwritten_again_and_again_give_up_without_a_manifest(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    once, key = storage._client.once, storage.uri.removeprefix(f"s3://{BUCKET}/") + "/take/a"

    def spoiled(operation: str, *arguments: Any, **parameters: Any) -> Any:
        if "IfNoneMatch" in parameters:
            server.put(key, b"9")
        return once(operation, *arguments, **parameters)

    monkeypatch.setattr(storage._client, "once", spoiled)
    with pytest.raises(TemporaryFailure, match="again and again"):
        publish(storage, {"a": b"1"})
    assert storage.read(MANIFEST) is None


def race(server: Server, tmp_path: Path, bodies: list[dict[str, bytes]]) -> tuple[S3Storage, dict[int, str]]:
    """The storage after all have published at once, and how each of them ended."""
    root, gate = server.storage(tmp_path / "s").uri, threading.Barrier(len(bodies))
    outcomes: dict[int, str] = {}

    def write(writer: int) -> None:
        storage = server.storage(tmp_path / str(writer), root=root, settings=Settings(threads=2))
        try:
            publish(storage, bodies[writer], author=str(writer), judged=gate.wait)
            outcomes[writer] = "done"
        except TemporaryFailure as error:
            outcomes[writer] = type(error).__name__

    writers = [threading.Thread(target=write, args=(number,)) for number in range(len(bodies))]
    for thread in writers:
        thread.start()
    for thread in writers:
        thread.join()
    assert len(outcomes) == len(bodies)
    return server.storage(tmp_path / "last", root=root), outcomes


def test_eight_writers_of_different_results_leave_a_whole_one_or_one_who_runs_again(
    server: Server, tmp_path: Path
) -> None:
    bodies = [{f"sub/{name}": b"%d" % writer * 100 for name in range(3)} for writer in range(8)]
    storage, outcomes = race(server, tmp_path, bodies)
    manifest = storage.read(MANIFEST)
    if manifest is None:
        assert "TemporaryFailure" in outcomes.values(), "all believe that somebody has done it"
        publish(storage, bodies[0], author="0")
        manifest, outcomes[0] = storage.read(MANIFEST), "done"
    [winner] = [number for number in range(8) if manifest == manifest_of(bodies[number], str(number))]
    assert {key: storage.read(f"take/{key}") for key in bodies[winner]} == bodies[winner]
    assert outcomes[winner] == "done"


def test_of_eight_writers_of_one_result_one_has_done_it_and_the_others_know(server: Server, tmp_path: Path) -> None:
    bodies = {f"sub/{name}": b"%d" % name * 100 for name in range(3)}
    storage, outcomes = race(server, tmp_path, [bodies] * 8)
    assert sorted(outcomes.values()) == ["CommitConflict"] * 7 + ["done"]
    [winner] = [number for number, ended in outcomes.items() if ended == "done"]
    assert storage.read(MANIFEST) == manifest_of(bodies, str(winner))
    assert {key: storage.read(f"take/{key}") for key in bodies} == bodies


@pytest.mark.parametrize("before", [{}, {"a": b"0"}])
def test_what_another_attempt_has_published_since_it_was_judged_is_not_taken_away(
    server: Server, storage: S3Storage, tmp_path: Path, before: dict[str, bytes]
) -> None:
    other, content = twin(server, storage, tmp_path), manifest_of({"a": b"1"}, "other")
    if before:
        publish(storage, before)
    with storage.attempt("take", "s") as folder, storage.lock("take/_manifests/m.lock"):
        (folder / "a").write_bytes(b"2")
        storage.read(MANIFEST)
        publish(other, {"a": b"1"}, author="other")
        with pytest.raises(CommitConflict, match="another attempt has just published"):
            storage.commit(folder, "take", files_of({"a": b"2"}), obsolete=(), manifest=MANIFEST, content=b"{}")
    assert storage.read(MANIFEST) == content
    assert storage.read("take/a") == b"1"


def test_an_attempt_that_fails_half_way_leaves_no_manifest_of_another_over_its_own_files(
    server: Server, storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one publishes all of its own between the removal of the old manifest and our first upload."""
    other, once = twin(server, storage, tmp_path), storage._client.once
    storage = server.storage(tmp_path, root=storage.uri, settings=Settings(threads=1))
    once, puts = storage._client.once, []

    def failing(operation: str, key: str = "", **parameters: Any) -> Any:
        if operation == "put_object":
            puts.append(key)
            if len(puts) == 1:
                publish(other, {"a": b"1", "b": b"2"}, author="other")
            else:
                raise DiskError("no room")
        return once(operation, key, **parameters)

    monkeypatch.setattr(storage._client, "once", failing)
    with pytest.raises(DiskError, match="no room"):
        publish(storage, {"a": b"3", "b": b"4"}, author="this")
    assert [storage.read("take/a"), storage.read("take/b")] == [b"3", b"2"]
    assert storage.read(MANIFEST) is None


def losing_the_completion(client: Any, monkeypatch: pytest.MonkeyPatch, instead: Callable[[str, str], None]) -> None:
    """Has the first answer to CompleteMultipartUpload lost; what really happens is up to `instead`."""
    once, lost = client.once, []

    def losing(operation: str, key: str = "", **parameters: Any) -> Any:
        if operation == "complete_multipart_upload" and not lost:
            lost.append(1)
            instead(key, parameters["UploadId"])
            raise TemporaryFailure("connection closed")
        if operation == "complete_multipart_upload":
            raise UploadMissing("no such upload")  # S3 knows none any more; moto completes it again
        return once(operation, key, **parameters)

    monkeypatch.setattr(client, "once", losing)


def test_a_lost_answer_to_a_large_upload_is_no_failure(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def complete(key: str, upload: str) -> None:
        parts = server.boto.list_parts(Bucket=BUCKET, Key=key, UploadId=upload)["Parts"]
        given = {"Parts": [{"PartNumber": part["PartNumber"], "ETag": part["ETag"]} for part in parts]}
        server.boto.complete_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload, MultipartUpload=given)

    losing_the_completion(storage._client, monkeypatch, complete)
    publish(storage, LARGE)
    assert storage.localize("take/cam01/large.bin").read_bytes() == LARGE["cam01/large.bin"]


def test_a_large_upload_that_was_aborted_is_not_taken_for_the_older_object_of_its_name(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(storage, {"cam01/large.bin": bytes(len(LARGE["cam01/large.bin"]))})
    losing_the_completion(
        storage._client,
        monkeypatch,
        lambda key, upload: server.boto.abort_multipart_upload(Bucket=BUCKET, Key=key, UploadId=upload),
    )
    with pytest.raises(TemporaryFailure):
        publish(storage, LARGE)
    assert storage.read(MANIFEST) is None


@pytest.mark.parametrize("large", [100, 100_000])
def test_a_recording_that_is_damaged_on_its_way_is_fetched_again(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch, large: int
) -> None:
    monkeypatch.setattr(s3_download, "LARGE", large)
    monkeypatch.setattr(s3_download, "PART", 1000)
    storage.write("take/cam01.mp4", b"1" * 5000)
    stream, damaged = storage._client.stream, []

    def damage(key: str, *arguments: Any, **parameters: Any) -> Any:
        for piece in stream(key, *arguments, **parameters):
            damaged.append(key)
            yield bytes(len(piece)) if len(damaged) == 1 else piece

    monkeypatch.setattr(storage._client, "stream", damage)
    assert storage.localize("take/cam01.mp4").read_bytes() == b"1" * 5000


def test_a_recording_on_a_server_whose_etags_are_no_md5_is_taken_as_it_comes_twice(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("take/cam01.mp4", b"1" * 5000)
    monkeypatch.setattr(s3, "md5_of", lambda _: "0" * 32)
    assert storage.localize("take/cam01.mp4").read_bytes() == b"1" * 5000


def test_many_files_are_set_aside_with_few_questions(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    moves = {f"take/a/{number}": f"take/a.before-ghost/{number}" for number in range(30)}
    for key in moves:
        storage.write(key, key.encode())
    once, asked = storage._client.once, []

    def spy(operation: str, *arguments: Any, **parameters: Any) -> Any:
        asked.append(operation)
        return once(operation, *arguments, **parameters)

    monkeypatch.setattr(storage._client, "once", spy)
    storage.set_aside(moves)
    assert sorted(set(asked)) == ["copy_object", "delete_object", "list_objects_v2"]
    assert asked.count("list_objects_v2") == 2
    assert {new: storage.read(new) for new in moves.values()} == {new: key.encode() for key, new in moves.items()}


def test_files_that_do_not_arrive_where_they_are_set_aside_stay_where_they_are(
    storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.write("take/a", b"1")
    monkeypatch.setattr(s3, "copy", lambda *_, **__: None)
    with pytest.raises(TemporaryFailure, match="not the copy that it should be"):
        storage.set_aside({"take/a": "take/b"})
    assert storage.read("take/a") == b"1"


def test_a_copy_in_parts_that_fails_leaves_none(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_upload, "_LARGEST_COPY", 1000)
    once = storage._client.once

    def failing(operation: str, key: str = "", **parameters: Any) -> Any:
        if operation == "upload_part_copy":
            raise DiskError("no room")
        return once(operation, key, **parameters)

    storage.write("take/a", b"1" * 5000)
    monkeypatch.setattr(storage._client, "once", failing)
    with pytest.raises(DiskError, match="no room"):
        storage.set_aside({"take/a": "take/b"})
    assert server.uploads(storage.uri.removeprefix(f"s3://{BUCKET}/")) == []


def test_whether_a_server_knows_conditions_is_asked_once_and_not_with_the_manifest(
    storage: S3Storage, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_commit, "_ignorant", {})
    once, asked = storage._client.once, []

    def spy(operation: str, key: str = "", **parameters: Any) -> Any:
        if "IfNoneMatch" in parameters:
            asked.append(key.rpartition("/")[2])
        return once(operation, key, **parameters)

    monkeypatch.setattr(storage._client, "once", spy)
    publish(storage, {"a": b"1"})
    publish(storage, {"a": b"2"})
    assert asked[0] == asked[1]
    assert asked[0].startswith(".probe-")
    assert asked[2:] == ["m.json", "m.json"]
    assert list(server.objects(storage.uri.removeprefix(f"s3://{BUCKET}/") + "/take/_manifests/").values()) == [
        manifest_of({"a": b"2"})
    ]


def test_a_server_that_ignores_conditions_is_named_once_and_the_first_one_wins_by_reading_back(
    server: Server, storage: S3Storage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    once = storage._client.once

    def ignorant(operation: str, *arguments: Any, **parameters: Any) -> Any:
        parameters.pop("IfNoneMatch", None)
        return once(operation, *arguments, **parameters)

    monkeypatch.setattr(s3_commit, "_ignorant", {})
    monkeypatch.setattr(storage._client, "once", ignorant)
    publish(storage, {"a": b"1"})
    publish(storage, {"a": b"2"})
    assert storage.read("take/a") == b"2"
    assert [message for message in caplog.messages if "ignores conditional puts" in message] == caplog.messages
    assert len(caplog.messages) == 1


def test_a_lost_answer_to_the_commit_is_no_conflict(storage: S3Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    once, lost = storage._client.once, []

    def losing(operation: str, *arguments: Any, **parameters: Any) -> Any:
        answer = once(operation, *arguments, **parameters)
        if "IfNoneMatch" in parameters and arguments[0].endswith("m.json") and not lost:
            lost.append(1)
            raise TemporaryFailure("connection closed")
        return answer

    monkeypatch.setattr(storage._client, "once", losing)
    publish(storage, {"a": b"1"})
    assert storage.read(MANIFEST) is not None
    assert lost


def test_a_download_that_does_not_fit_is_refused_before_it_starts(
    server: Server, storage: S3Storage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies = {"a": b"x" * 5000}
    publish(storage, bodies)
    small = S3Storage(storage.uri, settings=QUICK, scratch=Scratch(tmp_path / "small", limit=4000))
    monkeypatch.setattr(s3_download, "in_parallel", None)
    with pytest.raises(DiskError, match=r"are needed for a download.*GHOST_SCRATCH"):
        small.localize("take/a", files_of(bodies))


def test_the_lock_is_none_and_says_so_in_the_debug_log(storage: S3Storage, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="ghost"), storage.lock("take/x.lock"), storage.lock("take/x.lock"):
        pass
    assert all("no locks on S3" in message for message in caplog.messages)


def test_no_credential_is_told(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint.replace("http://", f"http://user:{SECRET}@"))
    caplog.set_level(logging.DEBUG, logger="ghost")
    said = []
    broken = server.storage(tmp_path / "b", root="s3://no-such-bucket/x")
    for act in (
        lambda: broken.list(""),
        lambda: broken.write("take/a", b""),
        lambda: server.storage(tmp_path / "c").localize("take/nothing"),
    ):
        with pytest.raises(GhostError) as caught:
            act()
        said.append(str(caught.value))
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://user:{SECRET}@127.0.0.1:1")
    with pytest.raises(TemporaryFailure) as refused:
        server.storage(tmp_path / "d").read("take/a")
    assert SECRET not in "\n".join([*said, str(refused.value), *caplog.messages])


@pytest.mark.parametrize("value", ["0", "-1", "many", "1000", "1.5", "²"])
def test_a_number_of_threads_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GHOST_S3_THREADS", value)
    with pytest.raises(ConfigurationError, match="GHOST_S3_THREADS"):
        open_storage("s3://bucket")
