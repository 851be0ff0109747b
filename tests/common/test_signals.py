import os
import signal
from collections.abc import Iterator

import pytest

from common.errors import Terminated
from common.signals import signals_as_errors, uninterrupted


@pytest.fixture(autouse=True)
def as_in_a_terminal() -> Iterator[None]:
    """Nothing is ignored, even if the tests run in the background or under nohup."""
    numbers = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)
    before = {number: signal.signal(number, signal.SIG_DFL) for number in numbers}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_becomes_an_error(number: int) -> None:
    with pytest.raises(Terminated, match=f"stopped by {signal.Signals(number).name}"), signals_as_errors():
        os.kill(os.getpid(), number)


def test_a_second_signal_does_not_interrupt_the_sweeping() -> None:
    swept = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGTERM)
            os.kill(os.getpid(), signal.SIGINT)
            swept.append("all")

    with pytest.raises(Terminated), signals_as_errors():
        work()
    assert swept == ["all"]


def test_sweeping_may_hold_signals_back_after_one_was_raised() -> None:
    swept = []

    def work() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            with uninterrupted():
                swept.append("first")
            swept.append("second")

    with pytest.raises(Terminated), signals_as_errors():
        work()
    assert swept == ["first", "second"]


def test_work_that_must_not_be_cut_in_half_is_finished_first() -> None:
    steps = []

    def work() -> None:
        with uninterrupted():
            with uninterrupted():
                os.kill(os.getpid(), signal.SIGTERM)
                steps.append("inner")
            steps.append("outer")
        steps.append("after")

    with pytest.raises(Terminated), signals_as_errors():
        work()
    assert steps == ["inner", "outer"]


def test_handlers_are_put_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with signals_as_errors():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_later_run_in_the_same_process_can_be_stopped_as_well() -> None:
    for _ in range(2):
        with pytest.raises(Terminated), signals_as_errors():
            os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_the_process_was_started_to_ignore_stays_ignored(number: int) -> None:
    """So nohup means what it says."""
    signal.signal(number, signal.SIG_IGN)
    with signals_as_errors():
        os.kill(os.getpid(), number)
    assert signal.getsignal(number) is signal.SIG_IGN
