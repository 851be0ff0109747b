"""Many small jobs on a few threads, for work that waits for a network."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable

Job = Callable[[threading.Event], None]
_FAREWELL_S = 5.0  # what jobs under way get to notice that they are no longer wanted


def in_parallel(jobs: Iterable[Job], *, threads: int) -> None:
    """Does all jobs. After the first failure none is begun, and that failure is raised.

    A job gets an event that is set when it is no longer wanted. The threads are daemons, so that a server that does
    not answer cannot keep a process alive that was asked to stop.
    """
    stop, results = threading.Event(), queue.SimpleQueue[BaseException | None]()
    waiting, turn = iter(jobs), threading.Lock()

    def work() -> None:
        try:
            while not stop.is_set():
                with turn:
                    job = next(waiting, None)
                if job is None:
                    break
                job(stop)
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            stop.set()
            results.put(error)
        else:
            results.put(None)

    workers = [threading.Thread(target=work, daemon=True) for _ in range(threads)]
    try:
        for worker in workers:
            worker.start()
        for _ in workers:
            error = results.get()
            if error is not None:
                raise error
    finally:
        stop.set()
        deadline = time.monotonic() + _FAREWELL_S
        for worker in workers:
            if worker.ident is not None:  # started
                worker.join(max(0.0, deadline - time.monotonic()))
