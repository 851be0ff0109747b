from __future__ import annotations

from types import SimpleNamespace

import pytest

from common.errors import DiskError, Terminated
from workflows.local import LocalRun


class _Output:
    def __init__(self, error: Exception) -> None:
        self.error = error

    def write(self, key: str, content: bytes) -> None:
        raise self.error


def _write_log(error: Exception) -> None:
    run = SimpleNamespace(request=SimpleNamespace(output=_Output(error)))
    unit = SimpleNamespace(stage=SimpleNamespace(name="frames"), video="cam01", scene="take", title="frames take/cam01")
    LocalRun._write_log(run, unit, ["a line"])  # type: ignore[arg-type]  # what it touches, and no more


def test_a_signal_that_arrives_while_a_log_is_written_ends_the_run():
    with pytest.raises(Terminated):
        _write_log(Terminated("stopped by SIGTERM"))


def test_a_log_that_cannot_be_written_is_a_warning(caplog: pytest.LogCaptureFixture):
    _write_log(DiskError("no space left"))
    assert "could not be kept: no space left" in caplog.text
