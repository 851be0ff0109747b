"""What is being measured, on stderr, while figures go to stdout."""

from __future__ import annotations

import sys
import time

_START = time.perf_counter()


def say(text: str) -> None:
    """Prints a line with the minutes and seconds since the program began."""
    minutes, seconds = divmod(int(time.perf_counter() - _START), 60)
    print(f"{minutes:3d}:{seconds:02d}  {text}", file=sys.stderr, flush=True)
