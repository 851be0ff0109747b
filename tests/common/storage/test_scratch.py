"""Local room for downloads and attempts: kept and shared, or private and gone."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import ConfigurationError, DiskError
from common.storage import scratch as module
from common.storage.scratch import Scratch
from tests.faults.unit import ROOT

DIGEST = {name: name * 64 for name in "abcdef"}


def put(scratch: Scratch, name: str, size: int = 1000, *, calls: list[str] | None = None) -> Path:
    def fill(folder: Path) -> None:
        if calls is not None:
            calls.append(name)
        (folder / "content").mkdir(exist_ok=True)
        (folder / "content" / "file").write_bytes(name.encode() * size)

    def check(folder: Path) -> bool:
        return (folder / "file").read_bytes() == name.encode() * size

    return scratch.entry(DIGEST[name], size=size, fill=fill, check=check)


def names(folder: Path) -> str:
    return "".join(sorted(path.name[0] for path in (folder / "objects").iterdir() if path.is_dir()))


def age(folder: Path, name: str, hours: float) -> None:
    then = time.time() - 3600 * hours
    os.utime(folder / "objects" / f"{DIGEST[name]}.entry", (then, then))


def test_what_is_there_is_not_fetched_again_by_this_process_or_the_next(tmp_path: Path) -> None:
    calls: list[str] = []
    first = Scratch(tmp_path)
    paths = {put(first, "a", calls=calls), put(first, "a", calls=calls), put(Scratch(tmp_path), "a", calls=calls)}
    assert len(paths) == 1
    assert calls == ["a"]


def test_what_somebody_has_changed_is_fetched_again(tmp_path: Path) -> None:
    calls: list[str] = []
    (put(Scratch(tmp_path), "a", calls=calls) / "file").write_bytes(b"changed")
    assert (put(Scratch(tmp_path), "a", calls=calls) / "file").read_bytes() == b"a" * 1000
    assert calls == ["a", "a"]


def test_a_disk_that_does_not_keep_what_is_written_is_named(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "content").mkdir()

    with pytest.raises(DiskError, match="not what was written"):
        Scratch(tmp_path).entry(DIGEST["a"], size=0, fill=fill, check=lambda folder: False)


def test_the_oldest_goes_when_the_limit_is_reached(tmp_path: Path) -> None:
    for hours, name in ((3, "a"), (1, "b"), (2, "c")):
        put(Scratch(tmp_path), name)
        age(tmp_path, name, hours)
    put(Scratch(tmp_path, limit=3000), "d")
    assert names(tmp_path) == "bcd"
    put(Scratch(tmp_path, limit=3000), "c")  # used again: now b is the oldest
    put(Scratch(tmp_path, limit=3000), "e")
    assert names(tmp_path) == "cde"


def test_what_a_living_process_uses_never_goes(tmp_path: Path) -> None:
    user = Scratch(tmp_path)
    put(user, "a")
    age(tmp_path, "a", 5)
    put(Scratch(tmp_path), "b")
    put(Scratch(tmp_path, limit=2000), "c")
    assert names(tmp_path) == "ac"
    keeper = Scratch(tmp_path)
    put(keeper, "c")
    with pytest.raises(DiskError, match="are needed for a download"):
        put(Scratch(tmp_path, limit=2000), "d")
    assert names(tmp_path) == "ac"
    del user
    put(Scratch(tmp_path, limit=2000), "d")
    assert names(tmp_path) == "cd"


def test_without_locks_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(Scratch(tmp_path), "a")
    monkeypatch.setattr(fcntl, "flock", no_locks)
    with pytest.raises(DiskError):
        put(Scratch(tmp_path, limit=1500), "b")
    assert put(Scratch(tmp_path), "b").is_dir()
    assert names(tmp_path) == "ab"


def no_locks(*_: object) -> None:
    raise OSError(37, os.strerror(37))


def test_without_locks_two_that_fetch_the_same_do_not_share_a_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", no_locks)
    parts: list[Path] = []

    def slow(folder: Path) -> None:
        parts.append(folder)
        put(Scratch(tmp_path), "a")  # another process is faster
        (folder / "content").mkdir()
        (folder / "content" / "file").write_bytes(b"torn")

    found = Scratch(tmp_path).entry(DIGEST["a"], size=1000, fill=slow, check=Path.is_dir)
    assert (found / "file").read_bytes() == b"a" * 1000, "what is there already may be in use"
    assert not parts[0].exists()
    assert names(tmp_path) == "a"


def test_two_that_make_room_at_once_do_not_take_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_room, gate, ended = Scratch.make_room, threading.Barrier(2), []

    def slow(self: Scratch, needed: int, *, for_entry: str) -> None:
        make_room(self, needed, for_entry=for_entry)
        with contextlib.suppress(threading.BrokenBarrierError):
            gate.wait(0.5)  # for the other one to find the same room

    def fetch(name: str) -> None:
        keep.append(scratch := Scratch(tmp_path, limit=1500))
        try:
            ended.append(put(scratch, name).name[0])
        except DiskError:
            ended.append("refused")

    keep: list[Scratch] = []
    monkeypatch.setattr(Scratch, "make_room", slow)
    threads = [threading.Thread(target=fetch, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ended.count("refused") == 1


def test_what_others_have_yet_to_fetch_is_not_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(module, "_SPARE_BYTES", 0)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=150_000))

    def fill(folder: Path) -> None:
        with pytest.raises(DiskError, match="are needed for a download"):
            put(Scratch(tmp_path), "b", 100_000)
        put(Scratch(tmp_path), "c", 40_000)
        (folder / "content").mkdir()

    Scratch(tmp_path).entry(DIGEST["a"], size=100_000, fill=fill, check=Path.is_dir)
    assert names(tmp_path) == "ac"


def test_what_a_cleaner_has_removed_is_fetched_again_by_the_one_who_uses_it(tmp_path: Path) -> None:
    scratch, calls = Scratch(tmp_path), list[str]()
    shutil.rmtree(put(scratch, "a", calls=calls))
    assert put(scratch, "a", calls=calls).is_dir()
    assert calls == ["a", "a"]
    assert names(tmp_path) == "a"


def test_what_is_damaged_while_somebody_reads_it_is_fetched_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOKS", 2)
    reader = Scratch(tmp_path)
    damaged = put(reader, "a")
    (damaged / "file").write_bytes(b"changed")
    calls: list[str] = []
    paths = {put(Scratch(tmp_path), "a", calls=calls) for _ in range(2)}
    assert [(path / "file").read_bytes() for path in paths] == [b"a" * 1000]
    assert calls == ["a"], "the second one finds what the first has fetched"
    assert damaged.is_dir()


def test_a_folder_that_it_makes_is_private_and_one_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    assert Scratch(tmp_path / "new").folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "old").mkdir(mode=0o750)
    assert Scratch(tmp_path / "old").folder.stat().st_mode & 0o777 == 0o750


@pytest.mark.parametrize(("needed", "fits"), [(10**15, False), (1000, True)])
def test_some_of_the_disk_stays_free(tmp_path: Path, needed: int, fits: bool) -> None:
    scratch = Scratch(tmp_path)
    (scratch.folder / "objects").mkdir()
    if fits:
        scratch.make_room(needed)
    else:
        with pytest.raises(DiskError, match=r"1000000\.00 GB are needed .* GB free\)\. .*set GHOST_SCRATCH"):
            scratch.make_room(needed)


def test_an_entry_larger_than_the_limit_is_refused_before_it_is_fetched(tmp_path: Path) -> None:
    calls: list[str] = []
    with pytest.raises(DiskError, match="GHOST_SCRATCH_GB=1e-06"):
        put(Scratch(tmp_path, limit=1000), "a", 1001, calls=calls)
    assert calls == []


def test_what_a_killed_download_has_left_is_continued_and_counts_as_room(tmp_path: Path) -> None:
    def die(folder: Path) -> None:
        (folder / "content").mkdir()
        (folder / "content" / "file").write_bytes(b"a" * 90_000)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Scratch(tmp_path).entry(DIGEST["a"], size=100_000, fill=die, check=Path.is_dir)
    found: list[int] = []

    def go_on(folder: Path) -> None:
        found.append((folder / "content" / "file").stat().st_size)

    Scratch(tmp_path, limit=100_000).entry(DIGEST["a"], size=100_000, fill=go_on, check=Path.is_dir)
    assert found == [90_000]
    assert [path.name for path in (tmp_path / "objects").iterdir() if path.is_dir()] == [DIGEST["a"]]


CHILD = """
import sys, time
from pathlib import Path
from common.storage.scratch import Scratch
def fill(folder):
    print("fills", flush=True)
    time.sleep(0.5)
    (folder / "content").mkdir(exist_ok=True)
Scratch(Path(sys.argv[1])).entry("a" * 64, size=0, fill=fill, check=Path.is_dir)
print("has it", flush=True)
"""


def test_of_processes_that_want_the_same_one_fetches_it_and_the_others_wait(tmp_path: Path) -> None:
    command = [sys.executable, "-c", CHILD, str(tmp_path)]
    children = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = [child.communicate(timeout=60)[0].split("\n") for child in children]
    assert sorted(said) == [["fills", "has it", ""], *[["has it", ""]] * 3]


PRIVATE = """
import os, signal, sys, time
from common.command import run_command
import click
from common.storage.scratch import Scratch
def work():
    scratch = Scratch()
    with scratch.attempt("x") as folder:
        (folder / "file").write_text("x")
        sys.stdout.write(str(scratch.folder) + "\\n"); sys.stdout.flush()
        if sys.argv[1] == "fork" and os.fork() == 0:
            assert Scratch().folder != scratch.folder
            sys.exit(0)
        if sys.argv[1] in ("wait", "kill"):
            signal.pause()
run_command(click.Command("x", callback=work), [])
"""


@pytest.mark.parametrize(
    ("how", "number", "code", "stays"),
    [
        ("end", None, 0, False),
        ("fork", None, 0, False),
        ("wait", signal.SIGTERM, 143, False),
        ("kill", signal.SIGKILL, -9, True),
    ],
)
def test_a_private_folder_goes_with_its_process_or_with_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, number: signal.Signals | None, code: int, stays: bool
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", PRIVATE, how]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        folder = Path(child.stdout.readline().strip())
        assert folder.parent == tmp_path
        if number is not None:
            child.send_signal(number)
        assert child.wait(30) == code
    assert folder.exists() is stays
    monkeypatch.setattr(module.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(module.tempfile, "tempdir", str(tmp_path))
    next_one = Scratch().folder
    assert list(tmp_path.iterdir()) == [next_one]
    assert next_one.stat().st_mode & 0o077 == 0, "others may not look into it"


def test_attempts_of_the_dead_are_swept_and_those_at_work_are_not(tmp_path: Path) -> None:
    scratch = Scratch(tmp_path)
    dead = tmp_path / "attempts" / "s.dead"
    dead.mkdir(parents=True)
    (dead / ".alive").touch()
    young = dead.with_name("s.being_made")
    young.mkdir()
    with scratch.attempt("s") as first, Scratch(tmp_path).attempt("s") as second:
        assert sorted((tmp_path / "attempts").iterdir()) == sorted([first, second, young])
        scratch.sweep()
        assert first.exists()
    assert list((tmp_path / "attempts").iterdir()) == [young]


@pytest.mark.parametrize("value", ["x", "-1", "1e3", "nan", "1,5"])
def test_a_limit_that_makes_no_sense_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("GHOST_SCRATCH_GB", value)
    with pytest.raises(ConfigurationError, match="GHOST_SCRATCH_GB"):
        Scratch.from_environment()


def test_the_environment_names_folder_and_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GHOST_SCRATCH", str(tmp_path / "new" / "folder"))
    monkeypatch.setenv("GHOST_SCRATCH_GB", "0.000002")
    scratch = Scratch.from_environment()
    assert scratch is Scratch.from_environment(), "all storages of a process share it"
    put(scratch, "a", 1500)
    with pytest.raises(DiskError):
        put(scratch, "b", 1000)
    assert names(tmp_path / "new" / "folder") == "a"


def test_a_scratch_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    act: Callable[[], Path] = lambda: put(Scratch(tmp_path / "file" / "x"), "a")  # noqa: E731
    with pytest.raises(DiskError, match=str(tmp_path / "file")):
        act()
