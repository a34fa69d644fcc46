"""How the C library hands out memory: kept small, where it is glibc's."""

from __future__ import annotations

import ctypes
import sys

# Source: glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_MIB = 1024 * 1024


def share_one_heap() -> None:
    """Let all threads allocate from one heap; else each has its own and holds on to what it frees there."""
    if _is_glibc():
        ctypes.CDLL(None).mallopt(_M_ARENA_MAX, 1)


def reuse_large_blocks() -> None:
    """Take pictures from the heap; else the system clears fresh pages for each, which costs time."""
    if _is_glibc():
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, 32 * _MIB)
        ctypes.CDLL(None).mallopt(_M_TRIM_THRESHOLD, 64 * _MIB)


def give_back() -> None:
    """Return to the system what was freed, as after loading a model, which takes more than running it."""
    if _is_glibc():
        ctypes.CDLL(None).malloc_trim(0)


def _is_glibc() -> bool:
    return sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim")
