import gc
import threading
import weakref
from collections.abc import Iterator

import pytest

from common.ahead import Ahead


def threads() -> int:
    return sum(thread.name.startswith("ghost-ahead") and thread.is_alive() for thread in threading.enumerate())


@pytest.mark.parametrize("depth", [1, 3, 50])
def test_gives_the_same_items_in_the_same_order(depth: int) -> None:
    with Ahead(range(20), depth) as items:
        assert list(items) == list(range(20))


def test_asks_for_items_in_another_thread() -> None:
    with Ahead((threading.current_thread().name for _ in range(2)), 1) as names:
        assert all(name.startswith("ghost-ahead") for name in names)


def test_an_error_comes_after_the_items_that_were_made_before_it() -> None:
    def broken() -> Iterator[int]:
        yield 1
        yield 2
        raise LookupError("the third is lost")

    items = Ahead(broken(), 10)
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(LookupError, match="third"):
        next(items)
    assert threads() == 0
    assert list(items) == [], "nothing comes after an error"


def test_an_error_that_nobody_came_to_is_not_raised() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise LookupError

    with Ahead(broken(), 10) as items:
        assert next(items) == 1


def test_no_more_than_the_depth_is_made_in_advance() -> None:
    made = []
    third = threading.Event()

    def counting() -> Iterator[int]:
        for number in range(100):
            made.append(number)
            if number == 3:
                third.set()
            yield number

    with Ahead(counting(), 3) as items:
        next(items)
        assert third.wait(10), "three more are made while nobody asks"
        # The thread is idle now: all that it was asked for are numbers 0 to 3.
        assert made == [0, 1, 2, 3]
        next(items)
    assert len(made) <= 5


def test_closing_ends_the_thread_and_closes_the_generator() -> None:
    closed = []

    def endless() -> Iterator[int]:
        try:
            while True:
                yield 0
        finally:
            closed.append(threading.current_thread().name)

    items = Ahead(endless(), 2)
    next(items)
    items.close()
    items.close()
    assert threads() == 0
    assert [name.startswith("ghost-ahead") for name in closed] == [True]
    assert list(items) == []


def test_closing_waits_for_one_item_and_makes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    second, go_on = threading.Event(), threading.Event()

    def slow() -> Iterator[int]:
        made.append(0)
        yield 0
        second.set()
        assert go_on.wait(10)
        made.append(1)
        yield 1
        made.append(2)
        yield 2

    items = Ahead(slow(), 3)
    assert second.wait(10)
    shut_down = items._pool.shutdown

    def shut_down_later() -> None:
        go_on.set()
        shut_down()

    monkeypatch.setattr(items._pool, "shutdown", shut_down_later)
    items.close()
    assert made == [0, 1]
    assert threads() == 0


def test_the_end_leaves_no_thread_behind_even_if_nobody_closes() -> None:
    assert list(Ahead(range(5), 2)) == [0, 1, 2, 3, 4]
    assert threads() == 0


def test_items_are_not_held_on_to() -> None:
    class Frame:
        pass

    alive: weakref.WeakSet[Frame] = weakref.WeakSet()

    def frames() -> Iterator[Frame]:
        for _ in range(50):
            frame = Frame()
            alive.add(frame)
            yield frame

    with Ahead(frames(), 4) as items:
        for _ in items:
            gc.collect()
            assert len(alive) <= 7, f"{len(alive)} frames are held"


def test_a_depth_below_one_is_refused() -> None:
    with pytest.raises(ValueError, match="got 0"):
        Ahead([1], 0)
