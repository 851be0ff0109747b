"""What the C library does with blocks of memory that are freed, as far as a long video is concerned."""

from __future__ import annotations

import contextlib
import ctypes

_M_MMAP_THRESHOLD = -3  # <malloc.h> of glibc
_LARGE = 16 << 20
"""Bytes. A frame of 1080p in float32 has 25 MB. At 1 MiB the small temporaries are mapped, too, which costs as much
CPU time again as the rest of a frame (tiny models, measured); at 16 MiB a third, 20 ms, where real models take seconds.
"""


def keep_large_blocks_apart() -> None:
    """Lets this process give blocks above 16 MiB back to the system as soon as they are freed.

    The first time that a large block is freed, glibc decides to keep blocks of that size (up to 32 MiB) among the small
    ones from then on (mallopt(3), "dynamic mmap threshold"). Small ones that live longer then break up the room between
    them, and a process that holds no more than before grows by half within 10,000 frames. Setting the threshold stops
    that. Other C libraries do not do this, and have no such setting.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):  # no mallopt; no C library to be had by this means
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _LARGE)
