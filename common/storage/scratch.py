"""Local room for what stages read from and write to a remote place: downloads, and the folders of attempts.

With $GHOST_SCRATCH the room is shared between processes and kept: what one has downloaded, the next finds, and a
download that was killed is continued. It is bounded, and what was not used for longest goes first, but nothing goes
that a living process was given: each entry has a file that its users hold under a shared lock. Without the variable
every process has a private folder, gone with it; those of processes that were killed are swept by later ones.

    FOLDER/objects/<digest>/…      an entry, complete; <digest>-2 where that is damaged, but still being read
    FOLDER/objects/<digest>.entry  its size, and its lock
    FOLDER/objects/<digest>.part/  an entry in the making; .part.<random> where there are no locks
    FOLDER/room.lock               held while room is made and taken
    FOLDER/attempts/<label>.<random>/.alive
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import fcntl
import functools
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from common.errors import ConfigurationError, DiskError, TemporaryFailure, from_os_error
from common.signals import uninterrupted
from common.storage.living import stay_alive, sweep
from common.storage.locks import is_unsupported, try_lock_if_any, wait_for_lock

_LOG = logging.getLogger("ghost")
FOLDER = "GHOST_SCRATCH"
LIMIT = "GHOST_SCRATCH_GB"
_PRIVATE = "ghost-scratch-"
_ROOM = "room.lock"
_SPARE_SHARE, _SPARE_BYTES = 0.05, 2 * 10**9  # of the disk, whichever is less, stays free for others
_PATIENCE_S = 6 * 3600.0  # for another process that downloads the same: a take is tens of gigabytes
_TELL_EVERY_S = 60.0
_PAUSE_S = 0.05
_LOOKS = 100  # so often, a pause apart, an entry is looked at that only readers hold, before it is given up
_FILLINGS = 3  # another process may remove the entry before it is ours


class Scratch:
    """Room below one folder.

    Args:
        folder: where; None for a private one.
        limit: bytes that entries may take together; None for as much as leaves the disk some room.
    """

    def __init__(self, folder: Path | None = None, *, limit: int | None = None) -> None:
        self._shared, self._limit = folder, limit
        self._private: tuple[int, Path, IO[bytes]] | None = None
        self._given: dict[str, tuple[Path, weakref.finalize[..., Scratch]]] = {}

    @staticmethod
    def from_environment() -> Scratch:
        """The room that $GHOST_SCRATCH and $GHOST_SCRATCH_GB describe. Raises ConfigurationError."""
        folder, limit = os.environ.get(FOLDER, "").strip(), os.environ.get(LIMIT, "").strip()
        if limit and not re.fullmatch(r"[0-9]+(\.[0-9]+)?", limit):
            raise ConfigurationError(f"{LIMIT}={limit!r}: expected a number of gigabytes, such as 200.")
        # A link stays as it is, but another working directory must not mean another place.
        return _room(Path(folder).absolute() if folder else None, int(float(limit) * 1e9) if limit else None)

    @property
    def folder(self) -> Path:
        """Where it is; made if it is not there yet."""
        if self._shared is not None:
            with _writing(self._shared):
                self._shared.mkdir(mode=0o700, parents=True, exist_ok=True)  # recordings of people
            return self._shared
        if self._private is None or self._private[0] != os.getpid():  # a forked child has its own
            self._private, self._given = _make_private(), {}
        return self._private[1]

    def entry(self, digest: str, *, size: int, fill: Callable[[Path], None], check: Callable[[Path], bool]) -> Path:
        """The folder with the content that a digest stands for; nobody removes it while this process lives.

        Args:
            digest: hexadecimal; stands for the content for ever.
            size: bytes of the content.
            fill: puts the content below a folder, which holds what an earlier call has left when it was killed. It
                leaves the result in "content" there.
            check: whether a folder that was filled earlier holds what it should.

        Raises:
            DiskError: it does not fit.
        """
        folder, given = self.folder, self._given.get(digest)
        if given is not None:
            target, let_go = given
            if target.is_dir():
                return target
            let_go()  # somebody has removed it: our own lock must not keep us from filling it
            del self._given[digest]
        objects = folder / "objects"
        with _writing(objects):
            objects.mkdir(exist_ok=True)
            handle, number = None, 0
            while handle is None:
                number += 1
                target = objects / (digest if number == 1 else f"{digest}-{number}")
                handle = self._hold(target, size=size, fill=fill, check=check)
        with contextlib.suppress(PermissionError):  # somebody else's
            os.utime(_entry_of(target))
        with handle:
            # The same lock under a number of its own: it holds as long as this object lives.
            let_go = weakref.finalize(self, os.close, os.dup(handle.fileno()))
        self._given[digest] = target, let_go
        return target

    def _hold(
        self, target: Path, *, size: int, fill: Callable[[Path], None], check: Callable[[Path], bool]
    ) -> IO[bytes] | None:
        """The shared lock of a whole entry; None if it is damaged and somebody is still reading it."""
        fillings = looks = 0
        while True:
            handle = _open_entry(_entry_of(target), shared=True)
            if handle is not None and target.is_dir() and check(target):
                return handle
            if handle is not None:
                handle.close()
            if fillings == _FILLINGS:
                raise DiskError(f"{target}: what is read is not what was written. Set {FOLDER} to another disk.")
            handle = _open_entry(_entry_of(target), shared=False)
            if handle is None:  # readers of what has just been filled, or of what is damaged; they may go on for days
                if looks == _LOOKS:
                    return None
                looks += 1
                time.sleep(_PAUSE_S)
                continue
            fillings += 1
            try:
                self._fill(target, handle, size=size, fill=fill, check=check)
            finally:
                handle.close()  # from exclusive to shared there is no step that nobody can come between

    def _fill(
        self, target: Path, handle: IO[bytes], *, size: int, fill: Callable[[Path], None], check: Callable[[Path], bool]
    ) -> None:
        if target.is_dir():
            if check(target):
                return  # by the one whom we have waited for
            _discard(target)
        is_alone = try_lock_if_any(handle)  # it is ours already, unless there are none here
        part = target.with_name(f"{target.name}.part" + ("" if is_alone else f".{secrets.token_hex(6)}"))
        with (self.folder / _ROOM).open("ab") as room:
            wait_for_lock(room)  # or two would find the same room, each before the other has taken it
            self.make_room(size - _allocated(part), for_entry=target.name)
            handle.seek(0)
            handle.truncate()
            handle.write(str(size).encode())
            handle.flush()
        part.mkdir(exist_ok=True)
        try:
            fill(part)
            (part / "content").rename(target)
        except OSError as error:
            if is_alone or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
        finally:
            if not is_alone:
                shutil.rmtree(part, ignore_errors=True)  # nobody would ever find it again
        if is_alone:
            _discard(part)

    def make_room(self, needed: int, *, for_entry: str = "") -> None:
        """Removes entries, those unused for longest first, until so many bytes fit.

        Raises:
            DiskError: they do not, whatever is removed.
        """
        objects, free_ones = self.folder / "objects", _Unused(self.folder / "objects", for_entry)
        while (short := self._short_of(needed, for_entry)) > 0:
            if not free_ones.remove_oldest():
                usage = shutil.disk_usage(objects)
                raise DiskError(
                    f"{self.folder}: {needed / 1e9:.2f} GB are needed for a download, {short / 1e9:.2f} GB more than "
                    f"there is room for ({usage.free / 1e9:.2f} GB free"
                    + (f", {LIMIT}={self._limit / 1e9:g}" if self._limit is not None else "")
                    + f"). Free some space, or set {FOLDER} to a folder on a larger disk."
                )

    def _short_of(self, needed: int, for_entry: str) -> int:
        usage = shutil.disk_usage(self.folder)
        spare = min(_SPARE_BYTES, int(_SPARE_SHARE * usage.total))
        entries = [path for path in _entries(self.folder / "objects") if path.stem != for_entry]
        short = needed + spare + sum(map(_reserved, entries)) - usage.free if needed > 0 else 0
        if self._limit is not None:
            others = sum(map(_size_of, entries))
            present = _allocated(self.folder / "objects" / f"{for_entry}.part") if for_entry else 0
            short = max(short, others + present + needed - self._limit)
        return short

    @contextlib.contextmanager
    def attempt(self, label: str) -> Iterator[Path]:
        """A private folder, gone afterwards; those of dead attempts go, too."""
        parent = self.folder / "attempts"
        folder, alive = parent / f"{label}.{secrets.token_hex(6)}", None
        try:
            with _writing(folder):
                parent.mkdir(exist_ok=True)
                self.sweep()
                folder.mkdir()
                alive = stay_alive(folder)
            yield folder
        finally:
            with uninterrupted():
                if alive is not None:
                    alive.close()
                shutil.rmtree(folder, ignore_errors=True)

    def sweep(self) -> None:
        """Removes the attempts of processes that are dead."""
        if self._shared is not None:
            sweep(self._shared / "attempts", "*")


@functools.cache
def _room(folder: Path | None, limit: int | None) -> Scratch:
    """One for all storages of a process: they share what they have downloaded."""
    return Scratch(folder, limit=limit)


class _Unused:
    """The entries that nobody uses, oldest first."""

    def __init__(self, objects: Path, but: str) -> None:
        dated = []
        for path in _entries(objects):
            with contextlib.suppress(FileNotFoundError):
                dated.append((path.stat().st_mtime, path))
        self._paths = [path for _, path in sorted(dated) if path.stem != but]

    def remove_oldest(self) -> bool:
        """Whether one could be removed."""
        while self._paths:
            entry = self._paths.pop(0)
            with contextlib.suppress(FileNotFoundError, PermissionError), entry.open("r+b") as handle:
                if try_lock_if_any(handle) and _is_same(handle, entry):
                    for folder in (entry.with_suffix(""), *entry.parent.glob(f"{entry.stem}.part*")):
                        if folder.is_dir() and folder.suffix != ".gone":
                            _discard(folder)
                    entry.unlink()
                    return True
        return False


def _entries(objects: Path) -> list[Path]:
    return list(objects.glob("*.entry"))


def _size_of(entry: Path) -> int:
    try:
        return int(entry.read_bytes() or b"0")
    except (FileNotFoundError, PermissionError, ValueError):
        return 0


def _reserved(entry: Path) -> int:
    """Bytes that an entry in the making has yet to take on the disk."""
    if entry.with_suffix("").is_dir():
        return 0
    return max(0, _size_of(entry) - sum(map(_allocated, entry.parent.glob(f"{entry.stem}.part*"))))


def _entry_of(target: Path) -> Path:
    return target.with_name(f"{target.name}.entry")


def _allocated(folder: Path) -> int:
    """Bytes that the files below a folder take on the disk: those of a partial download have holes."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            total += 512 * path.lstat().st_blocks
    return total


def _discard(folder: Path) -> None:
    """Removes a folder so that a kill half-way leaves none of its name."""
    grave = folder.with_name(f"{folder.name}.{secrets.token_hex(6)}.gone")
    folder.rename(grave)
    for leftover in folder.parent.glob("*.gone"):
        shutil.rmtree(leftover, ignore_errors=True)


def _open_entry(entry: Path, *, shared: bool) -> IO[bytes] | None:
    """The entry's file under lock, as soon as it can be had; made if it is not there.

    None if there are readers where the exclusive lock was asked for: one waits for somebody who fills it, not for them.
    """
    started = told = time.monotonic()
    while True:
        handle = entry.open("a+b")
        while not _is_locked(handle, shared=shared):
            now = time.monotonic()
            if now - started > _PATIENCE_S:
                handle.close()
                raise TemporaryFailure(f"{entry}: another process has been downloading this for hours. Try again.")
            if now - told > _TELL_EVERY_S:
                told = now
                _LOG.info("waiting for another process that downloads the same: %s", entry)
            if not shared and _is_locked(handle, shared=True):
                handle.close()
                return None
            time.sleep(_PAUSE_S)
        if _is_same(handle, entry):
            return handle
        handle.close()  # evicted meanwhile


def _is_locked(handle: IO[bytes], *, shared: bool) -> bool:
    """Whether the lock could be had at once. Where there are no locks everybody has them."""
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if not is_unsupported(error):
            raise
    return True


def _is_same(handle: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _make_private() -> tuple[int, Path, IO[bytes]]:
    """A folder that goes with this process."""
    place = Path(tempfile.gettempdir())
    with _writing(place):
        sweep(place, f"{_PRIVATE}*")
        folder = Path(tempfile.mkdtemp(prefix=_PRIVATE))
        alive, owner = stay_alive(folder), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            alive.close()
            shutil.rmtree(folder, ignore_errors=True)

    atexit.register(remove)
    return owner, folder, alive


@contextlib.contextmanager
def _writing(place: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise from_os_error(error, place=str(place), writing=True) from error
