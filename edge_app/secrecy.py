"""What keeps this process' memory, and so an X-ray, from being written to a disk by the system."""

from __future__ import annotations

import ctypes
import sys

try:
    import resource
except ImportError:  # Windows has no such limits
    resource = None  # type: ignore[assignment]

# Source: Linux, include/uapi/linux/prctl.h and include/uapi/asm-generic/mman.h.
_PR_SET_DUMPABLE = 4
_LOCK_CURRENT, _LOCK_FUTURE, _LOCK_ON_FAULT = 1, 2, 4
# Source: Windows, SetErrorMode: no error box and no error report, whose file would hold memory.
_NO_ERROR_REPORTS = 0x0001 | 0x0002


def forbid_core_dumps() -> None:
    """Keep a crash from writing memory to a file, and other programs of this user from reading it."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if sys.platform == "win32":
        ctypes.windll.kernel32.SetErrorMode(_NO_ERROR_REPORTS)


def keep_out_of_swap() -> bool:
    """Lock memory into RAM where the system allows this much of it.

    A limit that is set would make later allocations fail, so memory is locked only where there is none.

    Returns:
        Whether it is locked.
    """
    if sys.platform != "linux" or resource is None:
        return False
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft != resource.RLIM_INFINITY:
        return False
    flags = _LOCK_CURRENT | _LOCK_FUTURE | _LOCK_ON_FAULT
    return bool(ctypes.CDLL(None).mlockall(flags) == 0)
