"""A server that fails at 0, 10, 50 and 100 % of the requests: results are right byte for byte, or there is none."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import GhostError, TemporaryFailure, Terminated
from common.fingerprint import of_opened_recording
from common.manifest import read_manifest
from common.signals import signals_as_errors
from common.storage import s3_download
from common.storage.interface import StoredFile
from common.storage.s3 import S3Storage
from common.storage.s3_client import Settings
from tests.faults.faulty_server import KINDS, Faults, in_front_of
from tests.faults.unit import ROOT
from tests.s3_server import BUCKET, Server, s3_environment, server

__all__ = ["server"]
pytestmark = pytest.mark.usefixtures(s3_environment.__name__)
OFTEN = tuple(kind for kind in KINDS if kind != "hang")
PATIENT = Settings(threads=4, connect_timeout_s=1, read_timeout_s=1, attempts=16, patience_s=20)
OF_BODIES = ("cut short", "ends early", "wrong bytes")  # these requests have none in their answers
HASTY = Settings(threads=4, connect_timeout_s=1, read_timeout_s=0.5, attempts=3, patience_s=3)
MANIFEST = "take/_manifests/m.json"
BODIES = {
    "cam01/mask_data.npz": bytes(range(256)) * 1200,
    "cam01/json_data/0.json": b"0" * 100,
    "cam01/json_data/1.json": b"1" * 5000,
    "cam01/json_data/2.json": b"",
}
FILES = tuple(StoredFile(key, len(body), hashlib.sha256(body).hexdigest()) for key, body in BODIES.items())


@pytest.fixture(autouse=True)
def _many_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_download, "LARGE", 100_000)
    monkeypatch.setattr(s3_download, "PART", 50_000)
    monkeypatch.setattr("common.storage.s3_client._LONGEST_PAUSE_S", 0.05)


def work(storage: S3Storage, folder: Path) -> dict[str, bytes]:
    """One of everything that a stage asks of a storage; what it reads in the end."""
    storage.write("take/cam01.mp4", b"recording" * 20_000)
    storage.write("take/old/a", b"old")
    storage.set_aside({"take/old/a": "take/old.before/a"})
    with storage.open("take/cam01.mp4") as handle:
        seen = of_opened_recording(handle)
    with storage.attempt("take", "s") as attempt:
        for key, body in BODIES.items():
            (attempt / key).parent.mkdir(parents=True, exist_ok=True)
            (attempt / key).write_bytes(body)
        with storage.lock("take/_manifests/m.lock"):
            storage.read(MANIFEST)
            storage.commit(
                attempt, "take", FILES, obsolete=["old.before/b"], manifest=MANIFEST, content=b'{"files": []}'
            )
    found = {"seen": seen.encode(), "manifest": storage.read(MANIFEST) or b""}
    found |= {f"size of {key}": b"%d" % size for key, size in storage.sizes("take/cam01/json_data").items()}
    found |= {f"listed: {key}": b"" for key in (*storage.list("take"), *storage.occupied("take/cam01/"))}
    masks = storage.localize("take/cam01/mask_data.npz", [file for file in FILES if "mask" in file.key])
    people = storage.localize("take/cam01/json_data/", [file for file in FILES if "json" in file.key])
    recording = storage.localize("take/cam01.mp4")
    return found | {path.name: path.read_bytes() for path in (masks, recording, *people.iterdir())}


@pytest.mark.parametrize(("kind", "rate"), [("any", 0.0), ("any", 0.1), ("hang", 0.1), *((k, 0.5) for k in OFTEN)])
def test_what_is_read_is_right_or_there_is_nothing(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, rate: float
) -> None:
    expected = work(server.storage(tmp_path / "expected"), tmp_path)
    ended = []
    for seed in range(2 if rate > 0.1 else 1):
        faults = Faults(rate, OFTEN if kind == "any" else (kind,), seed=seed)
        with in_front_of(server.endpoint, faults) as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            storage = server.storage(tmp_path / str(seed), settings=PATIENT)
            try:
                found = work(storage, tmp_path)
            except TemporaryFailure as error:
                ended.append(str(error))
            else:
                if kind in ("any", "wrong bytes"):  # parts of a recording have no digest
                    found["seen"] = expected["seen"]
                assert found == expected
                ended.append("done")
        assert (faults.count > 0) is (rate > 0)
    # Of seven parts of a file three are damaged on the average at 50 %: no reading of three is without damage.
    assert "done" in ended or (kind, rate) == ("wrong bytes", 0.5), ended


@pytest.mark.parametrize("kind", KINDS)
def test_when_everything_fails_each_operation_says_so_in_time(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    good = server.storage(tmp_path / "good")
    work(good, tmp_path)
    faults = Faults(1.0, (kind,))
    with in_front_of(server.endpoint, faults) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        bad = server.storage(tmp_path / "bad", root=good.uri, settings=HASTY)
        operations = {
            "read": lambda: bad.read(MANIFEST),
            "write": lambda: bad.write("take/x", b"1"),
            "remove": lambda: bad.remove("take/x"),
            "size": lambda: bad.size(MANIFEST),
            "list": lambda: bad.list("take"),
            "localize": lambda: bad.localize("take/cam01/", FILES),
            "open": lambda: bad.open("take/cam01.mp4").read(),  # no digest, see above
        }
        for name, operation in operations.items():
            started = time.monotonic()
            if kind == "slow" or (kind in OF_BODIES and name in ("write", "remove", "size")):
                operation()
            elif kind == "wrong bytes" and name == "open":
                assert operation() != b"recording" * 20_000
            else:
                with pytest.raises(TemporaryFailure, match=r"[Tt]ry again"):
                    operation()
            took = time.monotonic() - started
            assert took < 15, f"{name} took {took:.1f} s of the {HASTY.patience_s} s that it was given"


@pytest.mark.parametrize("act", [lambda storage: storage.read("take/x"), lambda storage: enter(storage)])
def test_a_signal_ends_a_request_that_hangs_at_once(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[S3Storage], object]
) -> None:
    faults = Faults(1.0, ("hang",))

    def stop() -> None:
        while not faults.count:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    with in_front_of(server.endpoint, faults) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        storage, started = server.storage(tmp_path, settings=Settings(read_timeout_s=20)), time.monotonic()
        threading.Thread(target=stop, daemon=True).start()
        with pytest.raises(Terminated, match="SIGTERM"), signals_as_errors():
            act(storage)
    assert time.monotonic() - started < 10, "it was not tried again"


def enter(storage: S3Storage) -> None:
    with storage.attempt("take", "s"):
        pytest.fail("the stop was lost")


@pytest.mark.parametrize("kind", ["reset", "503"])
def test_a_transfer_that_fails_leaves_no_manifest(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    good = server.storage(tmp_path / "good")
    good.write(MANIFEST, b"old")
    faults = Faults(1.0, (kind,), only=("PUT",))
    with in_front_of(server.endpoint, faults) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        bad = server.storage(tmp_path / "bad", root=good.uri, settings=HASTY)
        with bad.attempt("take", "s") as attempt:
            (attempt / "a").write_bytes(b"1")
            file = StoredFile("a", 1, hashlib.sha256(b"1").hexdigest())
            with pytest.raises(TemporaryFailure):
                bad.commit(attempt, "take", [file], obsolete=[], manifest=MANIFEST, content=b"{}")
    assert good.read(MANIFEST) is None
    assert good.size("take/a") is None


def test_a_server_that_is_not_there_is_a_temporary_failure(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(TemporaryFailure, match="Is the server up, and AWS_ENDPOINT_URL right"):
        server.storage(tmp_path, settings=HASTY).list("")


SLOW = [sys.executable, "-m", "tests.faults.slow_stage", "--scene=take", "--video=cam01"]


def run_slow(storage: S3Storage, content: str) -> subprocess.Popen[str]:
    command = [*SLOW, f"--output-root={storage.uri}", f"--content={content}", "--files=6", "--kilobytes=2"]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


def torn(server: Server, storage: S3Storage) -> bool:
    """Whether a manifest says what is not so."""
    manifest = read_manifest(storage, "take", "slow", "cam01")
    if manifest is None:
        return False
    base = storage.uri.removeprefix(f"s3://{BUCKET}/") + "/take/"
    objects = server.objects(f"{base}cam01/")
    found = {key.removeprefix(base): hashlib.sha256(body).hexdigest() for key, body in objects.items()}
    return found != {file.key: file.sha256 for file in manifest.files}


def test_killed_at_any_moment_it_leaves_a_whole_result_or_none(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GHOST_SCRATCH", str(tmp_path / "shared"))
    storage, moments = server.storage(tmp_path / "s"), random.Random(3)  # noqa: S311
    started = time.monotonic()
    with run_slow(storage, "one") as process:
        assert process.communicate()[1] is not None
        assert process.returncode == 0
    longest, killed = time.monotonic() - started, 0
    for attempt in range(int(os.environ.get("GHOST_TEST_KILLS", "4"))):
        content = ("two", "one")[attempt % 2]
        with run_slow(storage, content) as process:
            try:
                process.wait(moments.uniform(0.6, 1.0) * longest)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                killed += 1
            process.communicate()
        assert not torn(server, storage), f"kill {attempt}"
        with run_slow(storage, content) as process:
            said = process.communicate()[1]
        assert process.returncode == 0, said
        assert read_manifest(storage, "take", "slow", "cam01") is not None
        assert not torn(server, storage)
    assert killed > 0
    assert list((tmp_path / "shared" / "attempts").iterdir()) == []


def test_processes_that_start_together_all_end_well(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GHOST_SCRATCH", str(tmp_path / "shared"))
    storage = server.storage(tmp_path / "s")
    processes = [run_slow(storage, "one") for _ in range(4)]
    errors = [process.communicate(timeout=120)[1] for process in processes]
    assert {process.returncode for process in processes} <= {0, 75}, errors
    assert 0 in {process.returncode for process in processes}, errors
    assert read_manifest(storage, "take", "slow", "cam01") is not None
    assert not torn(server, storage)


def test_a_wrong_bucket_and_a_wrong_endpoint_end_with_78(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for root, endpoint in (("s3://no-such-bucket/x", server.endpoint), (f"s3://{BUCKET}/x", "not an address")):
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        done = subprocess.run([*SLOW, f"--output-root={root}"], cwd=ROOT, capture_output=True, text=True)
        assert done.returncode == 78, done.stderr
        assert "ConfigurationError: s3://" in done.stderr
        assert "Traceback" not in done.stderr


def test_without_credentials_it_says_what_to_set(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(GhostError, match=r"no credentials for S3\. Check AWS_ACCESS_KEY_ID") as caught:
        server.storage(tmp_path).list("")
    assert caught.value.exit_code == 78
