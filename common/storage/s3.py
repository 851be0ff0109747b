"""Scenes below a prefix of a bucket: objects s3://bucket/prefix/<scene>/… instead of files.

Stages see local copies, which are checked when they are fetched; results are uploaded as a whole.
"""

from __future__ import annotations

import contextlib
import datetime
import functools
import hashlib
import json
import logging
import re
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import EllipsisType
from typing import BinaryIO

from common.errors import GhostError, InputMissing, TemporaryFailure, Terminated, UsageError
from common.storage.interface import StoredFile
from common.storage.parallel import in_parallel
from common.storage.s3_checksums import md5_of
from common.storage.s3_client import Client, Settings
from common.storage.s3_commit import Commit, remove_all
from common.storage.s3_download import Wanted, download
from common.storage.s3_errors import ObjectMissing
from common.storage.s3_reader import open_object
from common.storage.s3_upload import copy, put
from common.storage.scratch import Scratch

_LOG = logging.getLogger("ghost")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PREFIX_PART = re.compile(r"[A-Za-z0-9!_.*'()=+@,-]+")  # what S3's guide calls safe, and = + @ , of dates and tables
_LONGEST_PREFIX = 500  # keys have 1,024 bytes at most
_FORGOTTEN = datetime.timedelta(days=1)  # an upload older than that belongs to nobody any more


class S3Storage:
    """A prefix of a bucket as storage. Asks nothing of the server until it is used.

    Args:
        root: s3://bucket/prefix; the prefix may be left out.
        settings: how requests are made; from the environment if not given.
        scratch: where downloads and attempts lie; from the environment if not given.

    Raises:
        UsageError: a root that is not of this form.
        ConfigurationError: a setting in the environment that makes no sense.
    """

    def __init__(self, root: str, *, settings: Settings | None = None, scratch: Scratch | None = None) -> None:
        bucket, self._prefix = _parse(root)
        self._client = Client(bucket, settings or Settings.from_environment())
        self._scratch = scratch or Scratch.from_environment()
        self._judged: dict[str, bytes | None] | None = None  # what was read first of each key since `lock`

    @property
    def uri(self) -> str:
        """The root, without a slash at its end."""
        return self._client.place(self._prefix).rstrip("/")

    def _key(self, key: str) -> str:
        """The key in the bucket. Raises UsageError for one that would not lie below the prefix."""
        parts = key.rstrip("/").split("/") if key.strip("/") else []
        if key.startswith("/") or "\0" in key or any(part in ("", ".", "..") for part in parts):
            raise UsageError(f"{key!r} leads out of {self.uri}.")
        return self._prefix + "/".join(parts)

    def _folder(self, key: str) -> str:
        """What all keys in a folder begin with."""
        full = self._key(key)
        return full + "/" if full and not full.endswith("/") else full

    def read(self, key: str) -> bytes | None:
        """The content of a small object, or None."""
        try:
            content = self._client.read(self._key(key))
        except ObjectMissing:
            content = None
        if self._judged is not None:
            self._judged.setdefault(key, content)
        return content

    def write(self, key: str, content: bytes) -> None:
        """Replaces a small object: S3 shows all of it or none."""
        put(self._client, self._key(key), content)

    def remove(self, key: str) -> None:
        """Removes an object if it exists."""
        self._client.call("delete_object", self._key(key))

    def remove_folder(self, folder: str) -> None:
        """Removes all objects below a folder."""
        pages = self._client.listing(self._folder(folder))
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        if keys:
            remove_all(self._client, keys)

    def size(self, key: str) -> int | None:
        """Bytes of an object, or None."""
        found = self._client.head(self._key(key))
        return None if found is None else int(found["ContentLength"])

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all objects directly in a folder, by key."""
        pages = self._client.listing(self._folder(folder), delimiter="/")
        found = {item["Key"][len(self._prefix) :]: item["Size"] for page in pages for item in page.get("Contents", ())}
        return {key: size for key, size in found.items() if not key.endswith("/")}  # markers of empty folders

    def list(self, prefix: str) -> list[str]:
        """Keys directly below a folder, sorted; folders end in "/"."""
        folder, found = self._folder(prefix), set()
        for page in self._client.listing(folder, delimiter="/"):
            found |= {item["Key"] for item in page.get("Contents", ())}
            found |= {item["Prefix"] for item in page.get("CommonPrefixes", ())}
        names = {key for key in found if key[len(folder) :].strip("/")}
        return sorted(key[len(self._prefix) :] for key in names)

    def occupied(self, place: str) -> tuple[str, ...]:
        """What lies where results are to be published. An object and a folder of one name do not disturb each other."""
        if not place.endswith("/"):
            return (place,) if self.size(place) is not None else ()
        pages = self._client.listing(self._folder(place))
        keys = [item["Key"][len(self._prefix) :] for page in pages for item in page.get("Contents", ())]
        return tuple(sorted(key for key in keys if not key.rpartition("/")[2].startswith(".") and key[-1] != "/"))

    def set_aside(self, moves: Mapping[str, str]) -> None:
        """Renames objects: copies them on the server, and removes them once the copies are there."""
        sizes = self._sizes_of(moves)
        for key in moves.keys() - sizes.keys():
            raise TemporaryFailure(f"{self.uri}/{key} has just been removed by somebody else. Run again.")

        def move(key: str, stop: threading.Event) -> None:
            copy(self._client, self._key(key), self._key(moves[key]), size=sizes[key], stop=stop)

        threads = min(len(moves), self._client.settings.threads)
        in_parallel((functools.partial(move, key) for key in moves), threads=threads)
        copied = self._sizes_of(moves.values())
        for key, new in moves.items():
            if copied.get(new) != sizes[key]:
                raise TemporaryFailure(f"{self.uri}/{new} is not the copy that it should be. Run again.")
        remove_all(self._client, [self._key(key) for key in moves])

    def _sizes_of(self, keys: Iterable[str]) -> dict[str, int]:
        """Bytes of those objects that are there: a request for each folder, not for each object."""
        wanted = set(keys)
        folders = {key.rpartition("/")[0] for key in wanted}
        return {key: size for folder in folders for key, size in self.sizes(folder).items() if key in wanted}

    def localize(self, key: str, files: Sequence[StoredFile] = ()) -> Path:
        """A local copy of an object or a folder, verified; see Storage.localize."""
        scene, _, path = key.rstrip("/").partition("/")
        below = f"{path}/"
        chosen = [file for file in files if file.key == path or file.key.startswith(below)]
        if files or key.endswith("/"):
            parent = path.rpartition("/")[0]
            wanted = [
                Wanted(
                    self._key(f"{scene}/{file.key}"),
                    file.key[len(parent) + 1 if parent else 0 :],
                    file.bytes,
                    sha256=file.sha256,
                )
                for file in sorted(chosen, key=lambda file: file.key)
            ]
            identity = [(one.path, str(one.sha256)) for one in wanted]
        else:
            found = self._client.head(self._key(key))
            if found is None:
                raise InputMissing(f"{self.uri}/{key} is not there. Put it back.")
            etag, name = str(found["ETag"]), path.rpartition("/")[2] or scene
            wanted = [Wanted(self._key(key), name, int(found["ContentLength"]), etag=etag, md5=md5_of(found))]
            identity = [(self._client.endpoint, self._client.place(self._key(key))), (name, etag)]
        return self._fetch(wanted, identity, key) / (path.rpartition("/")[2] or scene)

    def _fetch(self, wanted: Sequence[Wanted], identity: object, key: str) -> Path:
        def fill(folder: Path) -> None:
            (folder / "content").mkdir(exist_ok=True)
            download(self._client, wanted, folder, title=f"{self.uri}/{key}")
            if key.endswith("/"):
                (folder / "content" / key.rstrip("/").rpartition("/")[2]).mkdir(exist_ok=True)  # an empty one

        digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
        size = sum(one.bytes for one in wanted)
        return self._scratch.entry(digest, size=size, fill=fill, check=lambda folder: _is_whole(folder, wanted))

    def open(self, key: str) -> BinaryIO:
        """The object, for reading parts of it."""
        return open_object(self._client, self._key(key))

    @contextlib.contextmanager
    def attempt(self, scene: str, label: str) -> Iterator[Path]:
        """A folder in the scratch space. Uploads that others have forgotten are removed by the way."""
        self._abort_forgotten_uploads(scene)
        with self._scratch.attempt(label) as folder:
            yield folder

    def sweep(self, scene: str) -> None:
        """Removes what dead attempts have left here; on the server they leave nothing but uploads (see `attempt`)."""
        self._scratch.sweep()

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """No lock: S3 has none. Who was first decides the conditional put of the manifest.

        What is read inside is remembered, so that `commit` replaces the manifest that was judged and no newer one.
        """
        _LOG.debug("%s/%s: no locks on S3; the manifest decides who was first", self.uri, key)
        before, self._judged = self._judged, {}
        try:
            yield
        finally:
            self._judged = before

    def commit(
        self,
        attempt: Path,
        scene: str,
        files: Sequence[StoredFile],
        *,
        obsolete: Sequence[str],
        manifest: str,
        content: bytes,
    ) -> None:
        """Publishes an attempt; see s3_commit.

        The old manifest goes before the first byte is sent, and there is none until the last has arrived: a place whose
        results are read while they are made anew has no result for minutes, where local folders have none for moments.
        """
        base, target = self._folder(scene), self._key(manifest)
        for key in (*(file.key for file in files), *obsolete):
            self._key(f"{scene}/{key}")
        judged: bytes | EllipsisType | None = ... if self._judged is None else self._judged.get(manifest, ...)
        Commit(self._client, attempt, base, files, obsolete, target, content, judged).publish()

    def _abort_forgotten_uploads(self, scene: str) -> None:
        """Incomplete uploads below the scene that are older than a day: they cost money, and no listing shows them."""
        try:
            answer = self._client.once("list_multipart_uploads", Prefix=self._folder(scene))
            now = datetime.datetime.now(datetime.UTC)
            for upload in answer.get("Uploads", ()):
                if now - upload["Initiated"] > _FORGOTTEN:
                    self._client.once("abort_multipart_upload", upload["Key"], UploadId=upload["UploadId"])
        except Terminated:
            raise
        except GhostError as error:  # not allowed to, not offered, not now: housekeeping does not stop the work
            _LOG.debug("incomplete uploads are not looked for: %s", error)


def _parse(root: str) -> tuple[str, str]:
    """Bucket, and what all keys begin with: "" or "prefix/"."""
    bucket, _, prefix = root.removeprefix("s3://").partition("/")
    if "@" in bucket or ":" in bucket:  # not repeated: it may be a password
        raise UsageError("s3://…: expected s3://bucket/prefix. Credentials and servers belong in the AWS_… variables.")
    if not root.startswith("s3://") or not _BUCKET.fullmatch(bucket) or ".." in bucket:
        raise UsageError(
            f"{root!r}: expected s3://bucket/prefix; a bucket's name has 3 to 63 small letters, digits, dots, dashes."
        )
    parts = prefix.rstrip("/").split("/") if prefix.strip("/") else []
    if any(not _PREFIX_PART.fullmatch(part) or part in (".", "..") for part in parts) or len(prefix) > _LONGEST_PREFIX:
        raise UsageError(f"{root!r}: the prefix may hold letters, digits and !_.*'()=+@,- between single slashes.")
    return bucket, "".join(f"{part}/" for part in parts)


def _is_whole(folder: Path, wanted: Sequence[Wanted]) -> bool:
    """Whether a folder holds what was wanted, byte for byte as far as a digest says."""
    from common import fingerprint

    for one in wanted:
        path = folder / one.path
        if not path.is_file() or path.stat().st_size != one.bytes:
            return False
        if one.sha256 is not None and fingerprint.of_file(path) != one.sha256:
            return False
    return True
