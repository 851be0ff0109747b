"""Local files to objects: in parallel, large ones in parts, and not believed before the server has said what it has."""

from __future__ import annotations

import base64
import contextlib
import functools
import hashlib
import io
import threading
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from common.errors import GhostError, TemporaryFailure, Terminated, from_os_error
from common.storage.file_part import FilePart
from common.storage.parallel import Job, in_parallel
from common.storage.s3_checksums import Evidence
from common.storage.s3_client import Client
from common.storage.s3_errors import UploadMissing
from common.storage.transfer_log import TransferLog

LARGE = 8 << 20  # from here on an object is sent in parts
_PART = 8 << 20
_PIECE = 1 << 18
_MOST_PARTS = 10_000  # S3's limit
_LARGEST_COPY = 5 * 10**9  # by one request; S3's limit is 5 GiB
_COPIED_PART = 10**9

_Body = FilePart | io.BytesIO


@dataclass
class Upload:
    """A file on its way to an object.

    Attributes:
        path: the file.
        key: the object.
        bytes: its size.
        etag: what the server calls the version that it stored; "" until it has.
    """

    path: Path
    key: str
    bytes: int
    etag: str = ""
    _id: str = ""
    _parts: dict[int, dict[str, Any]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def _part_size(self) -> int:
        return max(_PART, -(-self.bytes // _MOST_PARTS))

    @property
    def _count(self) -> int:
        return -(-self.bytes // self._part_size)

    def begin(self, client: Client, stop: threading.Event) -> None:
        """Announces a large object; nothing for a small one."""
        if self.bytes > LARGE:
            answer = client.call("create_multipart_upload", self.key, ChecksumAlgorithm="CRC32", stop=stop)
            self._id = answer["UploadId"]

    def jobs(self, client: Client, log: TransferLog) -> Iterator[Job]:
        """What is to be done then."""
        if not self._id:
            yield functools.partial(self._send_whole, client, log)
        else:
            for number in range(1, self._count + 1):
                yield functools.partial(self._send_part, client, log, number)

    def abort(self, client: Client) -> None:
        """Removes the parts of an upload that was not completed: they cost money and no listing shows them."""
        if self._id and not self.etag:
            client.once("abort_multipart_upload", self.key, UploadId=self._id)

    def _send_whole(self, client: Client, log: TransferLog, stop: threading.Event) -> None:
        with _opened(self.path, 0, self.bytes) as body:
            answer, _ = _send(client, "put_object", self.key, body, stop=stop)
            self.etag = str(answer["ETag"])
        log.add(self.bytes)

    def _send_part(self, client: Client, log: TransferLog, number: int, stop: threading.Event) -> None:
        start, about = (number - 1) * self._part_size, {"UploadId": self._id, "PartNumber": number}
        with _opened(self.path, start, self._part_size) as body:
            answer, checksum = _send(client, "upload_part", self.key, body, stop=stop, **about)
            log.add(body.seek(0, io.SEEK_END))
        with self._lock:
            self._parts[number] = {"PartNumber": number, "ETag": answer["ETag"], "ChecksumCRC32": checksum}
            is_last = len(self._parts) == self._count
        if is_last:
            self._complete(client, stop)

    def _complete(self, client: Client, stop: threading.Event) -> None:
        parts = {"Parts": [self._parts[number] for number in sorted(self._parts)]}
        try:
            answer = client.call(
                "complete_multipart_upload", self.key, UploadId=self._id, MultipartUpload=parts, stop=stop
            )
        except UploadMissing:
            # Completed by an earlier try whose answer was lost, unless it was aborted: then what lies there is older.
            answer = client.head(self.key)
            if answer is None or answer["ETag"].strip('"') != self._expected_etag():
                raise
        self.etag = str(answer["ETag"])

    def _expected_etag(self) -> str | None:
        """What S3 calls an object of these parts: the md5 of their md5s; None where it does not call parts by md5."""
        try:
            digests = b"".join(bytes.fromhex(self._parts[number]["ETag"].strip('"')) for number in sorted(self._parts))
        except ValueError:
            return None
        return f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{self._count}"


def upload(client: Client, uploads: Sequence[Upload], *, title: str) -> None:
    """Sends files; each then knows the ETag of its object. After a failure no parts are left on the server.

    Raises:
        TemporaryFailure: the server did not take one of them.
        ConfigurationError: it never will.
        DiskError: no room there.
    """
    log = TransferLog(f"uploading {title}", total=sum(one.bytes for one in uploads))
    threads = client.settings.threads
    large = [one for one in uploads if one.bytes > LARGE]
    try:
        in_parallel((functools.partial(one.begin, client) for one in large), threads=min(threads, len(large)))
        in_parallel((job for one in uploads for job in one.jobs(client, log)), threads=threads)
    except BaseException as error:
        _abort(client, large)
        if isinstance(error, UploadMissing):
            raise TemporaryFailure(str(error)) from error
        raise


def copy(client: Client, source: str, target: str, *, size: int, stop: threading.Event | None = None) -> None:
    """Copies an object on the server."""
    origin = {"Bucket": client.bucket, "Key": source}
    if size <= _LARGEST_COPY:
        client.call("copy_object", target, CopySource=origin, stop=stop)
        return
    upload_id, parts = client.call("create_multipart_upload", target, stop=stop)["UploadId"], []
    try:
        for number, start in enumerate(range(0, size, _COPIED_PART), 1):
            span = f"bytes={start}-{min(start + _COPIED_PART, size) - 1}"
            about = {"UploadId": upload_id, "PartNumber": number, "CopySource": origin, "CopySourceRange": span}
            answer = client.call("upload_part_copy", target, stop=stop, **about)
            parts.append({"PartNumber": number, "ETag": answer["CopyPartResult"]["ETag"]})
        complete = {"UploadId": upload_id, "MultipartUpload": {"Parts": parts}}
        client.call("complete_multipart_upload", target, stop=stop, **complete)
    except BaseException as error:
        with contextlib.suppress(GhostError):  # the server is gone, or the copy complete: its caller looks
            client.once("abort_multipart_upload", target, UploadId=upload_id)
        if isinstance(error, UploadMissing):
            raise TemporaryFailure(str(error)) from error
        raise


def put(client: Client, key: str, content: bytes, **condition: str) -> str:
    """Writes a small object; its ETag.

    Args:
        client: requests.
        key: the object.
        content: all of it.
        condition: such as IfNoneMatch="*".

    Raises:
        ConditionFailed: the object is not as the condition says. It may be after a try whose answer was lost.
    """
    answer, _ = _send(client, "put_object", key, io.BytesIO(content), stop=None, **condition)
    return str(answer["ETag"])


def _send(
    client: Client, operation: str, key: str, body: _Body, *, stop: threading.Event | None, **parameters: object
) -> tuple[Any, str]:
    """Sends bytes with their CRC32, which the server checks; its answer, and the CRC32.

    With sha256 the server would need a fifth more time (SeaweedFS, measured); readers check that anyway.
    """
    body.seek(0)
    crc = 0
    while piece := body.read(_PIECE):
        crc = zlib.crc32(piece, crc)
    checksum, evidence = base64.b64encode(crc.to_bytes(4, "big")).decode(), Evidence(client.place(key))

    def content() -> bytes:
        body.seek(0)
        return body.read()

    def attempt() -> Any:  # noqa: ANN401
        body.seek(0)
        answer = client.once(operation, key, Body=body, ChecksumCRC32=checksum, **parameters)
        evidence.check(answer, content, name="ChecksumCRC32", checksum=checksum)
        return answer

    return client.repeat(attempt, stop=stop), checksum


@contextlib.contextmanager
def _opened(path: Path, start: int, size: int) -> Iterator[FilePart]:
    try:
        with FilePart(path, start, size) as part:
            yield part
    except OSError as error:
        raise from_os_error(error, place=str(path)) from error


def _abort(client: Client, uploads: Sequence[Upload]) -> None:
    for one in uploads:
        try:
            one.abort(client)
        except UploadMissing:
            continue  # aborted by somebody else, or complete
        except Terminated:
            raise
        except GhostError:
            return  # the server is gone; a later attempt sweeps what is left there
