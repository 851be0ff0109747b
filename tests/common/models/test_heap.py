"""glibc maps a large block again after one was freed only if it was told to."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_PROGRAM = """
import ctypes, sys

class Mallinfo2(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in
                "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost".split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype = Mallinfo2
libc.malloc.restype = ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
if sys.argv[1] == "apart":
    from common.models.heap import keep_large_blocks_apart
    keep_large_blocks_apart()
libc.free(libc.malloc(20 << 20))
before = libc.mallinfo2().hblkhd
libc.malloc(20 << 20)
print(libc.mallinfo2().hblkhd - before >= 20 << 20)
"""


def mapped_again(how: str) -> str:
    tuned = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(tuned)}
    command = [sys.executable, "-c", _PROGRAM, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def has_mallinfo2() -> bool:
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 33)


@pytest.mark.skipif(not has_mallinfo2(), reason="only glibc has this threshold, and says since 2.33 what is mapped")
def test_large_blocks_are_mapped_again_after_one_was_freed() -> None:
    assert mapped_again("apart") == "True"
    assert mapped_again("as it comes") == "False"
