"""Many objects, or a large one, to local files: in parallel, continued where a broken answer or a killed process left
off, and verified.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from common import fingerprint
from common.errors import BadInput, InputMissing, TemporaryFailure, from_os_error
from common.storage.parallel import Job, in_parallel
from common.storage.s3_client import Client
from common.storage.s3_errors import ConditionFailed, ObjectMissing, RangeRefused
from common.storage.transfer_log import TransferLog

LARGE = 16 << 20  # from here on several parts of an object are fetched at a time
PART = 8 << 20
_READINGS = 3  # of an object whose bytes are not what they should be: the way may be at fault, not the object


@dataclass(frozen=True)
class Wanted:
    """An object and where it is to lie.

    Attributes:
        key: the object.
        path: the file, relative to the folder of the download.
        bytes: its size.
        sha256: of its content, as its manifest says; None if there is no manifest.
        etag: the version that is wanted; None if the digest decides.
        md5: of its content, as the server says; None if it says nothing of that kind.
    """

    key: str
    path: str
    bytes: int
    sha256: str | None = None
    etag: str | None = None
    md5: str | None = None


def download(client: Client, wanted: Sequence[Wanted], folder: Path, *, title: str) -> None:
    """Fetches objects into `folder`/content. What an earlier call has left there is not fetched again.

    Raises:
        BadInput: an object on the server is not what its manifest says.
        InputMissing: it is gone.
        TemporaryFailure: what arrives differs each time, or nothing does.
        DiskError: the files cannot be written.
    """
    log = TransferLog(f"downloading {title}", total=sum(one.bytes for one in wanted))
    files = [_File(client, one, folder, number, log) for number, one in enumerate(wanted)]
    for _ in range(_READINGS):
        files = [file for file in files if not file.is_complete()]
        in_parallel((file.open for file in files), threads=client.settings.threads)
        in_parallel((job for file in files for job in file.jobs()), threads=client.settings.threads)
        files = [file for file in files if file.is_wrong()]
        if not files:
            return
    raise TemporaryFailure(f"{title}: other bytes arrive each time. Something on the way damages them; try again.")


class _File:
    """An object on its way."""

    def __init__(self, client: Client, wanted: Wanted, folder: Path, number: int, log: TransferLog) -> None:
        self._client, self._wanted, self._log = client, wanted, log
        self._path = folder / "content" / wanted.path
        self._parts_log = folder / f"{number}.parts"  # which parts are there; none for small files
        self._etag = wanted.etag
        self._missing: set[int] = set()
        self._digests: list[str] = []  # of what arrived and is not what was wanted
        self._is_right = True
        self._expected = wanted.sha256 or wanted.md5
        self._digest, self._hashed = self._new_digest(), 0  # of a large file's first parts, while the others arrive
        self._hashing = threading.Lock()
        self._lock = threading.Lock()
        self._path.parent.mkdir(parents=True, exist_ok=True)

    def _new_digest(self) -> hashlib._Hash:
        by_md5 = self._wanted.sha256 is None
        return hashlib.md5(usedforsecurity=False) if by_md5 else hashlib.sha256()

    @property
    def _parts(self) -> int:
        return -(-self._wanted.bytes // PART)

    @property
    def _is_large(self) -> bool:
        return self._wanted.bytes > LARGE

    def is_complete(self) -> bool:
        """Whether an earlier call has fetched all of it."""
        if self._wanted.sha256 is None or self._digests or self._parts_log.exists():
            return False
        is_whole = self._path.is_file() and self._path.stat().st_size == self._wanted.bytes
        return is_whole and fingerprint.of_file(self._path) == self._wanted.sha256

    def is_wrong(self) -> bool:
        """Whether what arrived must be fetched again. Raises BadInput if the same came twice."""
        if self._is_right:
            return False
        comes_again = len(set(self._digests)) < len(self._digests)
        if comes_again and self._wanted.sha256 is None:
            return False  # a server whose ETags are no md5: what arrives twice is no accident on the way
        if comes_again:  # so it lies on the server
            raise BadInput(
                f"{self._client.place(self._wanted.key)}: its sha256 is {self._digests[-1][:16]}…, the manifest says "
                f"{(self._wanted.sha256 or '')[:16]}…. It was changed or damaged on the server. Run the stage that "
                "made it again, with --force."
            )
        return True

    def open(self, stop: threading.Event) -> None:
        """Makes sure that it is the right object, where several requests are going to fetch it, or none."""
        if not self._is_large and self._wanted.bytes:
            return
        with self._explained():
            found = self._client.call("head_object", self._wanted.key, stop=stop)
            if found["ContentLength"] != self._wanted.bytes:
                raise RangeRefused(f"{found['ContentLength']} bytes")
            if self._wanted.etag not in (None, found["ETag"]):
                raise ConditionFailed(self._wanted.key)
        self._etag = found["ETag"]
        if self._is_large:
            with self._written():
                self._read_parts_log()

    def jobs(self) -> Iterator[Job]:
        """What is left to do."""
        if not self._is_large:
            yield self._fetch_whole
        for part in sorted(self._missing):
            yield functools.partial(self._fetch_part, part)

    def _fetch_whole(self, stop: threading.Event) -> None:
        size, digest = self._wanted.bytes, self._new_digest()
        pieces = self._client.stream(self._wanted.key, 0, size, size=size, etag=self._etag, halt=stop)
        with self._explained(), self._written(), self._path.open("wb") as handle:
            for piece in pieces:
                handle.write(piece)
                digest.update(piece)
                self._log.add(len(piece))
        if not stop.is_set():
            self._finish(digest.hexdigest())

    def _fetch_part(self, part: int, stop: threading.Event) -> None:
        size, start = self._wanted.bytes, part * PART
        pieces = self._client.stream(
            self._wanted.key, start, min(start + PART, size), size=size, etag=self._etag, halt=stop
        )
        with self._explained(), self._written(), self._path.open("r+b") as handle:
            handle.seek(start)
            for piece in pieces:
                handle.write(piece)
                self._log.add(len(piece))
        if stop.is_set():
            return
        with self._lock, self._written():
            with self._parts_log.open("a") as log:
                log.write(f"{part}\n")
            self._missing.remove(part)
            is_last = not self._missing
        with self._written():
            if self._expected is not None:
                self._hash_what_is_there(wait=is_last)
            if is_last:
                self._finish(self._digest.hexdigest())
                self._parts_log.unlink()

    def _hash_what_is_there(self, *, wait: bool) -> None:
        """Goes on with the digest as far as parts are there without a gap, unless another thread is at it."""
        if not self._hashing.acquire(blocking=wait):
            return
        try:
            while self._hashed < self._parts and self._hashed not in self._missing:
                with self._path.open("rb") as handle:
                    handle.seek(self._hashed * PART)
                    self._digest.update(handle.read(PART))
                self._hashed += 1
        finally:
            self._hashing.release()

    def _finish(self, digest: str) -> None:
        """Compares what has arrived with what was wanted."""
        self._is_right = self._expected in (None, digest)
        if not self._is_right:
            self._digests.append(digest)
        if self._wanted.sha256 is None:
            with self._written():
                _make_durable(self._path)  # nothing but its length says later whether it is whole

    def _read_parts_log(self) -> None:
        """Finds out what is missing. Parts of another version do not count, nor those that a crash may have lost."""
        head = f"{self._etag} {self._wanted.bytes} {PART} {_boot()}"
        lines = self._parts_log.read_text().splitlines() if self._parts_log.exists() else []
        parts = set(range(self._parts))
        self._digest, self._hashed = self._new_digest(), 0
        if lines and lines[0] == head and self._path.exists():
            self._missing = parts - {int(line) for line in lines[1:] if line.isdigit()}
            if self._missing:
                return
        self._missing = parts
        with self._path.open("wb") as handle:
            handle.truncate(self._wanted.bytes)
        self._parts_log.write_text(head + "\n")

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """What it means that the object is not what was expected."""
        place, of_manifest = self._client.place(self._wanted.key), self._wanted.sha256 is not None
        try:
            yield
        except ObjectMissing as error:
            advice = "Run the stage that made it again." if of_manifest else "Put it back."
            raise InputMissing(f"{place} is gone. {advice}") from error
        except RangeRefused as error:
            if not of_manifest:
                raise TemporaryFailure(f"{place} was changed while it was read. Run again.") from error
            size = (self._client.head(self._wanted.key) or {}).get("ContentLength")
            raise BadInput(
                f"{place}: {size} bytes, the manifest says {self._wanted.bytes}. It was changed or damaged on the "
                "server. Run the stage that made it again, with --force."
            ) from error
        except ConditionFailed as error:
            raise TemporaryFailure(f"{place} was changed while it was read. Run again.") from error

    @contextlib.contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise from_os_error(error, place=str(self._path), writing=True) from error


def _make_durable(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _boot() -> str:
    """What changes when the machine starts anew; a process that is killed loses nothing that it has written."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""
