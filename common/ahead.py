"""Runs an iterator in a thread of its own, a bounded number of items ahead of whoever uses them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Generic, TypeVar, cast

Item = TypeVar("Item")

_END = object()


class Ahead(Generic[Item]):
    """An iterator over items that a thread makes in advance. To be closed, best by `with`; at its end it closes itself.

    What the iterable raises is raised here, after all items that came before it.
    """

    def __init__(self, items: Iterable[Item], depth: int) -> None:
        """Starts the thread.

        Args:
            items: asked for items in the thread alone; a generator is closed there, too.
            depth: items made and not yet asked for, at most; the one that is being made counts.
        """
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, got {depth}")
        self._iterator = iter(items)
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ghost-ahead")
        self._made: deque[Future[object]] = deque()
        self._open = True
        for _ in range(depth):
            self._make_another()

    def __iter__(self) -> Iterator[Item]:
        return self

    def __next__(self) -> Item:
        if not self._made:
            raise StopIteration
        made = self._made.popleft()
        error = made.exception()
        if error is not None:
            self.close()
            raise error
        item = made.result()
        if item is _END:
            self.close()
            raise StopIteration
        self._make_another()
        return cast(Item, item)

    def __enter__(self) -> Ahead[Item]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends the thread once the item that it is making is made, and waits for that; may be called twice."""
        if not self._open:
            return
        self._open = False
        for waiting in self._made:
            waiting.cancel()
        self._made.clear()
        close = getattr(self._iterator, "close", None)
        closed = None if close is None else self._pool.submit(close)
        self._pool.shutdown()
        if closed is not None:
            closed.result()

    def _make_another(self) -> None:
        self._made.append(self._pool.submit(next, self._iterator, _END))
