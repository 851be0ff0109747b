"""How far a long transfer has come: a line in the log now and then, none for short ones."""

from __future__ import annotations

import logging
import threading
import time

_LOG = logging.getLogger("ghost")
_EVERY_S = 10.0


class TransferLog:
    """Counts the bytes of one transfer, from many threads.

    Args:
        title: what is done: "downloading s3://bucket/take/cam01".
        total: bytes that there will be.
    """

    def __init__(self, title: str, *, total: int) -> None:
        self._title, self._total, self._done = title, total, 0
        self._started = self._told = time.monotonic()
        self._lock = threading.Lock()

    def add(self, count: int) -> None:
        """So many bytes more have passed."""
        with self._lock:
            self._done += count
            now = time.monotonic()
            if now - self._told < _EVERY_S:
                return
            self._told = now
            rate = max(1.0, self._done / (now - self._started))  # all that has ended may have been empty
        left = max(0, self._total - self._done) / rate
        _LOG.info(
            "%s: %.2f of %.2f GB at %.0f MB/s, about %.0f s left",
            self._title,
            self._done / 1e9,
            self._total / 1e9,
            rate / 1e6,
            left,
        )
