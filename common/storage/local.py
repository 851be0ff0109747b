"""Scenes in a folder of a local or shared file system.

The order of the steps in `commit` is what makes a killed stage leave either a whole result or none: measured, leaving
the old manifest in place while files are replaced let 49 of 100 kills end with a manifest that did not match its files.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

from common.errors import BadInput, DiskError, InputMissing, UsageError, from_os_error
from common.signals import uninterrupted
from common.storage.interface import StoredFile
from common.storage.locks import try_lock, try_lock_if_any, wait_for_lock

_ATTEMPTS = "_manifests/attempts"
_SWEEPING = "_manifests/.attempts.lock"  # held while attempts are made or swept
_ALIVE = ".alive"  # held under lock by the process that owns the attempt; the kernel lets go when it dies
_MANIFEST = ".manifest"
_ASIDE = ".aside"  # where the files of the old result wait for the end of the attempt
_MANY_FILES = 16  # from here on one syncfs is cheaper than an fsync per file (json_data has a file per frame)


class LocalStorage:
    """A folder as storage. Creates nothing until something is written."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    @property
    def uri(self) -> str:
        """The folder."""
        return str(self.root)

    def _path(self, key: str) -> Path:
        parts = key.split("/")
        if key.startswith("/") or ".." in parts or "\0" in key:
            raise UsageError(f"{key!r} leads out of {self.root}.")
        return self.root.joinpath(*parts)

    def _refuse_links(self, folders: Collection[Path]) -> None:
        """Raises DiskError where a folder inside a scene is a link: what lies behind it is not ours to change.

        The root and the scenes themselves may be links.
        """
        inside = {up for folder in folders for up in (folder, *folder.parents) if up.is_relative_to(self.root)}
        for folder in sorted(inside):
            if len(folder.relative_to(self.root).parts) > 1 and folder.is_symlink():
                raise DiskError(
                    f"{folder} is a link to another folder, and nothing is written or removed through it. "
                    "Remove the link, or choose another output folder."
                )

    def read(self, key: str) -> bytes | None:
        """The content of a file, or None."""
        try:
            return self._path(key).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def write(self, key: str, content: bytes) -> None:
        """Replaces a file atomically. What a kill leaves of it lies among the attempts and is swept like one."""
        path, (scene, _, rest) = self._path(key), key.partition("/")
        if not rest:  # directly in the root: of no scene
            with _writing(path):
                write_atomically(path, content)
            return
        self._refuse_links([path.parent])
        with self.attempt(scene, "write") as folder, _writing(path):
            _write_durably(folder / "content", content)
            try:
                _move(folder / "content", path)
            except FileNotFoundError:  # somebody removed the folder, empty as it was, in between
                _move(folder / "content", path)
            with contextlib.suppress(FileNotFoundError):  # or does so now, with all that is in it
                sync_folder(path.parent)

    def remove(self, key: str) -> None:
        """Removes a file if it exists."""
        path = self._path(key)
        if os.path.lexists(path):  # a read-only file system refuses even to remove what is not there
            self._refuse_links([path.parent])
            with _writing(path):
                path.unlink(missing_ok=True)
                sync_folder(path.parent)

    def remove_folder(self, folder: str) -> None:
        """Removes a folder with all that is in it, and those above it, inside of the scene, that this leaves empty."""
        path = self._path(folder.rstrip("/"))
        self._refuse_links([path])
        with _writing(path), contextlib.suppress(FileNotFoundError):  # somebody else may be removing it too
            shutil.rmtree(path)
        scene = len(self.root.parts) + 1
        for above in path.parents:
            if len(above.parts) <= scene or not _remove_if_empty(above):
                break

    def size(self, key: str) -> int | None:
        """Bytes of a file, or None."""
        try:
            status = self._path(key).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def sizes(self, folder: str) -> dict[str, int]:
        """Bytes of all files directly in a folder, by key."""
        base = folder.rstrip("/")
        found = {}
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(self._path(base)) as entries:
            for entry in entries:
                with contextlib.suppress(FileNotFoundError):  # a dangling link, or removed just now
                    status = entry.stat()
                    if stat.S_ISREG(status.st_mode):
                        found[f"{base}/{entry.name}"] = status.st_size
        return found

    def list(self, prefix: str) -> list[str]:
        """Keys directly below a folder, sorted; folders end in "/"."""
        folder = self._path(prefix.rstrip("/")) if prefix else self.root
        base = prefix.rstrip("/") + "/" if prefix else ""
        try:
            with os.scandir(folder) as entries:
                return sorted(f"{base}{entry.name}{'/' if entry.is_dir() else ''}" for entry in entries)
        except FileNotFoundError:
            return []
        except NotADirectoryError as error:
            raise InputMissing(f"{folder} is a file; a folder is expected.") from error

    def occupied(self, place: str) -> tuple[str, ...]:
        """What lies where results are to be published."""
        path, base = self._path(place.rstrip("/")), place.rstrip("/")
        if not place.endswith("/"):
            self._refuse_links([path.parent])
            if path.is_dir():
                raise DiskError(f"{path} is a folder; a file of this name is to be written. Move it away.")
            return (base,) if os.path.lexists(path) else ()
        self._refuse_links([path])
        if not path.is_dir():
            return ()
        found: set[str] = set()
        with _writing(path):
            for folder, folders, files in os.walk(path, onerror=_raise):
                self._refuse_links([Path(folder, name) for name in folders])
                inside = Path(folder).relative_to(path)
                found |= {f"{base}/{(inside / name).as_posix()}" for name in files if not name.startswith(".")}
        return tuple(sorted(found))

    def set_aside(self, moves: Mapping[str, str]) -> None:
        """Renames files."""
        paths = [(self._path(key), self._path(new)) for key, new in moves.items()]
        folders = {path.parent for pair in paths for path in pair}
        self._refuse_links(folders)
        for source, target in paths:
            with _writing(target):
                target.parent.mkdir(parents=True, exist_ok=True)
                source.rename(target)
        for folder in self._with_parents(folders):
            with _writing(folder):
                sync_folder(folder)

    def localize(self, key: str, files: Sequence[StoredFile] = ()) -> Path:
        """The file or folder itself."""
        return self._path(key.rstrip("/"))

    def open(self, key: str) -> BinaryIO:
        """The file, for reading parts of it."""
        path = self._path(key)
        try:
            if not stat.S_ISREG(path.stat().st_mode):  # opening a pipe would wait for ever
                raise BadInput(f"{path.name}: not a regular file. Copy the recording to a file.")
            return path.open("rb")
        except OSError as error:
            raise from_os_error(error, place=str(path)) from error

    @contextlib.contextmanager
    def attempt(self, scene: str, label: str) -> Iterator[Path]:
        """A private folder inside the scene, so that publishing is a rename on one file system."""
        parent = self._path(scene) / _ATTEMPTS
        self._refuse_links([parent])
        folder = parent / f"{label}.{secrets.token_hex(6)}"
        alive = None
        try:
            with _writing(folder):
                parent.mkdir(parents=True, exist_ok=True)
                # Under one lock, so that an attempt whose owner has not locked it yet does not look dead to a sweeper.
                with _locked(self._path(f"{scene}/{_SWEEPING}")) as is_locked:
                    if is_locked:
                        _sweep(parent)
                    folder.mkdir()
                    alive = (folder / _ALIVE).open("wb")
                    if is_locked:
                        try_lock(alive)
            yield folder
        finally:
            with uninterrupted():
                if alive is not None:
                    alive.close()  # before the folder goes: NFS keeps open files under another name in it
                shutil.rmtree(folder, ignore_errors=True)

    def sweep(self, scene: str) -> None:
        """Removes the attempts of dead processes."""
        parent = self._path(scene) / _ATTEMPTS
        if parent.is_dir() and any(parent.iterdir()):
            self._refuse_links([parent])
            with _locked(self._path(f"{scene}/{_SWEEPING}")) as is_locked, _writing(parent):
                if is_locked:
                    _sweep(parent)

    @contextlib.contextmanager
    def lock(self, key: str) -> Iterator[None]:
        """An exclusive lock on a file beside the manifest."""
        with _locked(self._path(key)):
            yield

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
        """Publishes an attempt; see the module's docstring for why in this order.

        All that needs room on the disk is done before the old result is touched. Old files are moved into the attempt
        and go with it: to move 20,000 files onto others took 9 to 39 s where this takes 1 s (ext4), and all that time
        there would be no result.
        """
        target, aside = self._path(manifest), attempt / _ASIDE
        moves = [(attempt / file.key, self._path(f"{scene}/{file.key}")) for file in files]
        old = [destination for _, destination in moves] + [self._path(f"{scene}/{key}") for key in obsolete]
        folders = {destination.parent for _, destination in moves} | {target.parent, aside}
        self._refuse_links({path.parent for path in old} | folders)
        with _writing(target):
            for folder in folders:
                folder.mkdir(parents=True, exist_ok=True)
            _sync_files(attempt, [source for source, _ in moves])
            _write_durably(attempt / _MANIFEST, content)
            with uninterrupted():
                self.remove(manifest)
                for number, path in enumerate(old):
                    with contextlib.suppress(FileNotFoundError):
                        path.rename(aside / str(number))
                for source, destination in moves:
                    source.rename(destination)
                for folder in self._with_parents(folders):
                    sync_folder(folder)
                (attempt / _MANIFEST).replace(target)
                sync_folder(target.parent)

    def _with_parents(self, folders: set[Path]) -> set[Path]:
        """The folders and those above them, up to the root: a new folder is a name in the one above."""
        return folders | {up for folder in folders for up in folder.parents if up.is_relative_to(self.root)}


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that readers see the old content or the new, never a part. The temporary name is unique."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        _write_durably(temporary, content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def _move(source: Path, target: Path) -> None:
    """Renames a file onto a name whose folder need not exist."""
    target.parent.mkdir(parents=True, exist_ok=True)
    source.replace(target)


def sync_folder(folder: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _raise(error: OSError) -> None:
    raise error


def _remove_if_empty(folder: Path) -> bool:
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        if error.errno != errno.ENOENT:
            raise from_os_error(error, place=str(folder), writing=True) from error
    return True


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as handle:
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _sync_files(folder: Path, paths: Sequence[Path]) -> None:
    """Makes the content of files durable: one call for the whole file system where there are many of them."""
    if len(paths) > _MANY_FILES and _sync_file_system(folder):
        return
    for path in paths:
        with path.open("rb") as handle:
            os.fsync(handle.fileno())


def _sync_file_system(folder: Path) -> bool:
    """Linux syncfs(2), which Python does not wrap; False where it cannot be had."""
    import ctypes  # a tenth of what `--help` may take

    try:
        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return bool(syncfs(descriptor) == 0)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns what the operating system refuses into a DiskError or a TemporaryFailure that names a path."""
    try:
        yield
    except OSError as error:
        raise from_os_error(error, place=str(path), writing=True) from error


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[bool]:
    """Holds a lock file; False if the file system has no locks."""
    with contextlib.ExitStack() as stack:
        with _writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            handle = stack.enter_context(path.open("ab"))
            is_locked = wait_for_lock(handle)
        yield is_locked


def _sweep(parent: Path) -> None:
    """Removes attempts whose process is dead: nobody holds their lock any more."""
    for folder in parent.iterdir():
        if _is_dead(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_dead(folder: Path) -> bool:
    try:
        with (folder / _ALIVE).open("r+b") as alive:
            return try_lock_if_any(alive)
    except FileNotFoundError:
        return True  # killed before it had a lock, or about to be gone
    except NotADirectoryError:
        return False
