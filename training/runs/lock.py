"""A lock on an open file, which the system frees when the file's process ends, however it ends."""

from __future__ import annotations

import sys
from typing import IO

if sys.platform == "win32":
    import msvcrt

    def _take(file: IO[str]) -> None:
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)

else:
    import fcntl

    def _take(file: IO[str]) -> None:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def take_lock(file: IO[str]) -> bool:
    """Lock a file until it is closed.

    Args:
        file: Open for writing.

    Returns:
        Whether the lock was free.
    """
    try:
        _take(file)
    except (BlockingIOError, PermissionError):  # the second is how Windows tells it
        return False
    return True
