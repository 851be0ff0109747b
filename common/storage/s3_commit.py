"""Publishing on S3: the old manifest out, the files in, the new manifest last, by a put that only the first may win.

S3 has no lock, so two attempts at one unit can upload over each other. Digests let every reader detect that; here it
is mended before anybody reads: whoever sees that its own bytes, or somebody else's, lie under the wrong manifest takes
that manifest away and uploads again. Every attempt looks after it has written, so whatever is overwritten last is seen
by the one who did it or by the one whom it was done to. An attempt that fails once it has begun to upload takes away
whatever manifest there is, for it cannot tell any more what lies under it. (One that is killed at that moment cannot do
even that; then the digests are left.)
"""

from __future__ import annotations

import contextlib
import functools
import json
import logging
import secrets
import threading
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import EllipsisType

from common.errors import ConfigurationError, GhostError, TemporaryFailure
from common.signals import uninterrupted
from common.storage.interface import CommitConflict, StoredFile
from common.storage.parallel import in_parallel
from common.storage.s3_client import Client
from common.storage.s3_errors import ConditionFailed, NotOffered, ObjectMissing
from common.storage.s3_upload import Upload, put, upload

_LOG = logging.getLogger("ghost")
_ROUNDS = 3
_WITHDRAWAL_S = 8.0  # a failing attempt does not begin later to remove a manifest: grace periods are 10 to 30 s
_ignorant: dict[str, bool] = {}  # endpoint -> whether it ignores conditions


@dataclass(frozen=True)
class Stored:
    """What the server says of an object."""

    bytes: int
    etag: str


@dataclass(frozen=True)
class Commit:
    """One attempt's result on its way.

    Attributes:
        client: requests.
        attempt: folder that holds the files.
        base: what stands before the keys of files in the bucket: "prefix/scene/".
        files: what to publish.
        obsolete: keys to remove, without the base.
        manifest: the manifest's key in the bucket.
        content: the manifest.
        judged: the manifest that was there when it was decided to publish, or None; ... from those who did not look.
    """

    client: Client
    attempt: Path
    base: str
    files: Sequence[StoredFile]
    obsolete: Sequence[str]
    manifest: str
    content: bytes
    judged: bytes | EllipsisType | None = ...

    def publish(self) -> None:
        """Publishes.

        Raises:
            CommitConflict: another attempt was first, and its result is whole.
            TemporaryFailure: others overwrite what was written, again and again.
        """
        self._remove_judged()
        try:
            self._publish()
        except CommitConflict:
            raise  # the other one's result has just been looked at
        except BaseException:
            with uninterrupted():
                self._withdraw()
            raise

    def _remove_judged(self) -> None:
        """Removes the old manifest, but none that another attempt has published since it was decided to replace it."""
        if self.judged is ...:
            self.client.call("delete_object", self.manifest)
            return
        found = self.client.head(self.manifest)
        if found is None:
            return
        try:
            if self.judged is None or self.client.read(self.manifest) != self.judged:
                raise CommitConflict(f"{self.client.place(self.manifest)}: another attempt has just published.")
            self._delete_if(found["ETag"])
        except ObjectMissing:
            return
        except ConditionFailed as error:
            if self.client.head(self.manifest) is None:
                return  # removed by an earlier try whose answer was lost
            raise CommitConflict(f"{self.client.place(self.manifest)}: another attempt has just published.") from error

    def _withdraw(self) -> None:
        """After a failure: as well as it can be done in a moment, leaves no manifest."""
        deadline = time.monotonic() + _WITHDRAWAL_S
        while time.monotonic() < deadline:
            try:
                self.client.once("delete_object", self.manifest)
            except TemporaryFailure:
                time.sleep(0.1)
            except GhostError as error:
                _LOG.debug("%s is left as it is: %s", self.client.place(self.manifest), error)
                return
            else:
                return

    def _publish(self) -> None:
        for _ in range(_ROUNDS):
            uploads = [Upload(self.attempt / file.key, self.base + file.key, file.bytes) for file in self.files]
            upload(self.client, uploads, title=self.client.place(self.base))
            mine = {one.key: Stored(one.bytes, one.etag.strip('"')) for one in uploads}
            if not self._is_stored(mine):
                self._yield_to_other(mine)
                continue
            remove_all(self.client, [self.base + key for key in self.obsolete])
            etag = put_if_absent(self.client, self.manifest, self.content)
            if etag is None:
                self._yield_to_other(mine)
            elif self._stored(mine).items() >= mine.items():
                return
            else:
                self._take_away(etag)
        raise TemporaryFailure(
            f"{self.client.place(self.manifest)}: other attempts write the same files again and again. Run it again."
        )

    def _is_stored(self, mine: dict[str, Stored]) -> bool:
        """Whether the server has what was uploaded; if not, somebody else has uploaded, too.

        Raises:
            TemporaryFailure: it has another number of bytes.
        """
        found = self._stored(mine)
        for key, expected in mine.items():
            size = found[key].bytes if key in found else None
            if size != expected.bytes:
                raise TemporaryFailure(
                    f"{self.client.place(key)}: {size} bytes after an upload of {expected.bytes}. Run it again."
                )
        return found.items() >= mine.items()

    def _yield_to_other(self, mine: dict[str, Stored]) -> None:
        """Raises CommitConflict if the other attempt's result is whole; else takes its manifest away."""
        try:
            answer = self.client.call("head_object", self.manifest)
            theirs = _files_of(self.client.read(self.manifest))
        except ObjectMissing:
            return  # gone again
        found = self._stored({self.base + key for key in theirs} | mine.keys())
        own = {self.base + file.key: file.sha256 for file in self.files}

        def is_torn(key: str, bytes_: int, sha256: str) -> bool:
            if key not in found or found[key].bytes != bytes_:
                return True
            return key in mine and found[key] == mine[key] and own[key] != sha256  # these bytes are ours

        if theirs and not any(is_torn(self.base + key, *file) for key, file in theirs.items()):
            raise CommitConflict(f"{self.client.place(self.manifest)}: another attempt was first.")
        self._take_away(answer["ETag"])

    def _take_away(self, etag: str) -> None:
        """Removes a manifest that does not fit its files, unless it has been replaced meanwhile."""
        with contextlib.suppress(ConditionFailed, ObjectMissing):
            self._delete_if(etag)

    def _delete_if(self, etag: str) -> None:
        """Removes one version of the manifest; whatever there is where the server does not know the condition."""
        try:
            self.client.call("delete_object", self.manifest, IfMatch=etag)
        except ConfigurationError:
            self.client.call("delete_object", self.manifest)

    def _stored(self, keys: Collection[str]) -> dict[str, Stored]:
        """What the server has of some objects; one request for up to 1,000 in a folder."""
        found = {}
        for folder in sorted({key.rpartition("/")[0] for key in keys}):
            for page in self.client.listing(f"{folder}/", delimiter="/"):
                for item in page.get("Contents", ()):
                    found[item["Key"]] = Stored(item["Size"], item["ETag"].strip('"'))
        return found


def put_if_absent(client: Client, key: str, content: bytes) -> str | None:
    """Writes an object unless there is one; its ETag, None if somebody else's was there.

    Some servers ignore the condition. Then it is read back, which leaves a gap of milliseconds for two to believe that
    they were first.
    """
    if client.endpoint not in _ignorant:
        _ignorant[client.endpoint] = _ignores_conditions(client, key.rpartition("/")[0])
        if _ignorant[client.endpoint]:
            _warn(client)
    plain = functools.partial(put, client, key, content)
    conditional = functools.partial(plain, IfNoneMatch="*")
    try:
        etag = plain() if _ignorant[client.endpoint] else conditional()
    except ConditionFailed:
        return _etag_if(client, key, content)  # an earlier try may have succeeded although its answer was lost
    return _etag_if(client, key, content) if _ignorant[client.endpoint] else etag


def _ignores_conditions(client: Client, folder: str) -> bool:
    """Asks the server for what it must refuse: the same conditional put twice, of an object that nobody else knows."""
    key = f"{folder}/.probe-{secrets.token_hex(8)}".lstrip("/")
    try:
        put(client, key, b"", IfNoneMatch="*")
        put(client, key, b"", IfNoneMatch="*")
    except ConditionFailed:
        return False
    except NotOffered:
        return True
    finally:
        with contextlib.suppress(TemporaryFailure):
            client.call("delete_object", key)
    return True


def _etag_if(client: Client, key: str, content: bytes) -> str | None:
    """The ETag of an object if it has this content."""
    try:
        found = client.call("head_object", key)
        return str(found["ETag"]) if client.read(key) == content else None
    except ObjectMissing:
        return None


def _warn(client: Client) -> None:
    _LOG.warning(
        "%s ignores conditional puts. Do not run the same unit twice at the same time: mixed results would be "
        "detected, but not prevented.",
        client.endpoint,
    )


def _files_of(manifest: bytes) -> dict[str, tuple[int, str]]:
    """Size and digest of the files that a manifest lists; none if it is not readable."""
    try:
        files = json.loads(manifest)["files"]
        return {str(file["key"]): (int(file["bytes"]), str(file["sha256"])) for file in files}
    except (ValueError, TypeError, KeyError):
        return {}


def remove_all(client: Client, keys: Sequence[str]) -> None:
    """Removes objects, one request each: not every server takes many in one."""

    def remove(key: str, stop: threading.Event) -> None:
        client.call("delete_object", key, stop=stop)

    in_parallel((functools.partial(remove, key) for key in keys), threads=min(len(keys), client.settings.threads))
