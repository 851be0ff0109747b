"""Brings the files of a lock file to disk: download, verify, read, convert, verify, publish.

An archive is opened only after its digest was found right, and only the named members are read. A file
appears under its name complete and verified, or not at all; several processes may fetch at once, one works
and the others wait.
"""

from __future__ import annotations

import logging
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import sha256
from itertools import groupby
from pathlib import Path

from common import fingerprint
from common.errors import ModelUnavailable, TemporaryFailure, from_os_error
from common.storage.local import write_atomically
from common.weights import registries
from common.weights.exclusive import ATTEMPT, exclusively
from common.weights.lock import Archive, Lock, LockedFile
from common.weights.store import is_verified

_LOG = logging.getLogger("ghost.weights")

Download = Callable[[Archive, Path], Path]
"""Gets an archive into an empty folder and returns its path."""


def fetch_files(
    lock: Lock, files: Sequence[LockedFile], folder: Path, *, download: Download | None = None
) -> list[Path]:
    """Makes sure that `files` lie below `folder`, verified.

    Args:
        lock: where the files stand.
        files: those wanted.
        folder: created if need be; temporary files are kept in it as well.
        download: how to get an archive; the registries' clients unless a test says otherwise.

    Returns:
        The path of every file, in the order of `files`.

    Raises:
        TemporaryFailure: the network failed, or an archive came damaged.
        ModelUnavailable: no client, no such package, or a conversion that gave something else.
        DiskError: the folder cannot be written, or is full.
    """
    download = download or partial(registries.download, npm_client=lock.npm_client)
    try:
        if not all(is_verified(file, folder) for file in files):
            with exclusively(folder):
                # Another process may have been first while this one waited.
                missing = [file for file in files if not is_verified(file, folder)]
                for archive, wanted in groupby(_by_archive(missing), key=lambda file: file.archive):
                    _fetch_archive(archive, list(wanted), folder, download)
    except OSError as error:
        raise from_os_error(error) from error
    return [folder / file.file for file in files]


def _by_archive(files: Sequence[LockedFile]) -> list[LockedFile]:
    return sorted(files, key=lambda file: str(file.archive))


def _fetch_archive(archive: Archive, files: Sequence[LockedFile], folder: Path, download: Download) -> None:
    _LOG.info("fetching %s (%.0f MB)", archive, archive.size / 1e6)
    with tempfile.TemporaryDirectory(dir=folder, prefix=ATTEMPT) as attempt:
        path = download(archive, Path(attempt))
        found = fingerprint.of_file(path)
        if found != archive.sha256:
            raise TemporaryFailure(
                f"{archive}: sha256 {found[:16]}... instead of {archive.sha256[:16]}...: a damaged download, "
                "or not the package that was locked. Nothing of it was used. Run again."
            )
        for file in files:
            content = _convert(file, _read_members(path, file.members))
            found = sha256(content).hexdigest()
            if found != file.sha256:
                raise ModelUnavailable(_unexpected(file, found))
            write_atomically(folder / file.file, content)
            _LOG.info("%s: verified", folder / file.file)


def _read_members(archive: Path, members: Sequence[str]) -> list[bytes]:
    """The content of members of a .tgz or .whl. Nothing is unpacked to disk, so their names lead nowhere."""
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                return [wheel.read(member) for member in members]
        wanted: dict[str, bytes] = {}
        with tarfile.open(archive) as tarball:
            for entry in tarball:
                if entry.name in members:
                    stream = tarball.extractfile(entry)
                    wanted[entry.name] = stream.read() if stream else b""
        return [wanted[member] for member in members]
    except (KeyError, zipfile.BadZipFile, tarfile.TarError) as error:
        raise ModelUnavailable(f"{archive.name}: {error}. The lock file does not describe this package.") from error


def _convert(file: LockedFile, members: Sequence[bytes]) -> bytes:
    if file.conversion is None:
        return members[0]
    from common.weights.tfjs_to_onnx import convert

    _LOG.info("converting %s to ONNX", file.name)
    topology, weights = members
    return convert(topology, weights, name=file.name)


def _unexpected(file: LockedFile, found: str) -> str:
    problem = f"{file.name}: sha256 {found[:16]}... instead of {file.sha256[:16]}..."
    if file.conversion is None:
        return f"{problem}: the lock file contradicts itself. Restore it from the repository."
    from importlib.metadata import version

    return (
        f"{problem} after its conversion with onnx {version('onnx')}. "
        "Install the versions that requirements/ pins, then run again."
    )
