import io
import itertools
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import progress
from common.errors import Terminated


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds it three seconds later."""
    ticks = itertools.count(0.0, 3.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(ticks))
    monkeypatch.delenv(progress.VARIABLE, raising=False)


def test_the_program_above_gets_json_lines(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(progress.VARIABLE, "json")
    assert list(progress.track("abc", total=3, label="frames", title="x")) == ["a", "b", "c"]
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events == [{"done": n, "total": 3, "label": "frames"} for n in (1, 2, 3, 3)]


def test_an_empty_work_is_over_at_once(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv(progress.VARIABLE, "json")
    assert list(progress.track([], total=0, label="frames", title="x")) == []
    assert json.loads(capsys.readouterr().out) == {"done": 0, "total": 0, "label": "frames"}


def test_events_are_not_sent_for_every_frame(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(progress.VARIABLE, "json")
    monkeypatch.setattr(progress.time, "monotonic", lambda: 1000.0)
    list(progress.track(range(5000), total=5000, label="frames", title="x"))
    assert len(capsys.readouterr().out.splitlines()) == 2, "the first and the last"


def test_a_log_gets_a_plain_line_now_and_then(
    caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.INFO, logger="ghost"):
        list(progress.track(range(10), total=10, label="frames", title="body cam01"))
    assert caplog.messages[0] == "body cam01: 4 of 10 frames, about 18 s left"
    assert len(caplog.messages) == 2
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(progress.track(range(3), total=3, label="frames", title="body cam01")) == [0, 1, 2]
    assert "body cam01" in terminal.getvalue()
    assert "100%" in terminal.getvalue()


def test_work_stops_when_nobody_listens_any_more(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(io.StringIO):
        def flush(self) -> None:
            raise BrokenPipeError

    monkeypatch.setenv(progress.VARIABLE, "json")
    monkeypatch.setattr(sys, "stdout", Gone())
    with pytest.raises(Terminated, match="is gone"):
        list(progress.track(range(3), total=3, label="frames", title="x"))


def test_a_failure_of_the_work_passes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(progress.VARIABLE, "json")

    def work() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(progress.track(work(), total=2, label="frames", title="x"))


def test_argo_is_told_how_far_the_work_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told = []
    monkeypatch.setenv(progress.ARGO_FILE, str(tmp_path / "progress"))
    for _ in progress.track(range(5), total=4, label="frames", title="x"):
        told.append((tmp_path / "progress").read_text() if (tmp_path / "progress").exists() else None)
    assert told == [None, "1/4\n", "2/4\n", "3/4\n", "4/4\n"]
    assert (tmp_path / "progress").read_text() == "4/4\n", "an estimate that was too low is no more than all"


def test_a_place_that_argo_cannot_read_is_no_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(progress.ARGO_FILE, str(tmp_path / "gone" / "progress"))
    assert list(progress.track(range(3), total=3, label="frames", title="x")) == [0, 1, 2]
