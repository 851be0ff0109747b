"""glibc maps a large block again after one was freed only if it was told to."""

from __future__ import annotations

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
    done = subprocess.run([sys.executable, "-c", _PROGRAM, how], capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc moves its threshold")
def test_large_blocks_are_mapped_again_after_one_was_freed() -> None:
    assert mapped_again("apart") == "True"
    assert mapped_again("as it comes") == "False"
