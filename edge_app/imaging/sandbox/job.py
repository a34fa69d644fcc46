"""A Windows job object: little memory, one process, and it ends with the app.

Source:
    Microsoft, Job Objects: JOBOBJECT_EXTENDED_LIMIT_INFORMATION and JOBOBJECT_BASIC_UI_RESTRICTIONS.
"""

from __future__ import annotations

import ctypes

_LIMIT_INFORMATION, _UI_RESTRICTIONS = 9, 4
_ACTIVE_PROCESS, _PROCESS_MEMORY, _DIE_ON_EXCEPTION, _KILL_ON_CLOSE = 0x8, 0x100, 0x400, 0x2000
_NO_DESKTOP_AT_ALL = 0xFF  # handles, clipboard, display settings, atoms, desktops, log-off


class _Basic(ctypes.Structure):
    _fields_ = (
        ("process_time", ctypes.c_int64),
        ("job_time", ctypes.c_int64),
        ("flags", ctypes.c_uint32),
        ("least_working_set", ctypes.c_size_t),
        ("most_working_set", ctypes.c_size_t),
        ("processes", ctypes.c_uint32),
        ("affinity", ctypes.c_size_t),
        ("priority", ctypes.c_uint32),
        ("scheduling", ctypes.c_uint32),
    )


class _Extended(ctypes.Structure):
    _fields_ = (
        ("basic", _Basic),
        ("io_counters", ctypes.c_uint64 * 6),
        ("process_memory", ctypes.c_size_t),
        ("job_memory", ctypes.c_size_t),
        ("peak_process_memory", ctypes.c_size_t),
        ("peak_job_memory", ctypes.c_size_t),
    )


class Job:
    """Holds one process until it is closed, which ends the process; so does the end of this one.

    Args:
        process_handle: The process, as Windows names it; it must not have started others.
        memory_bytes: The most memory that it may take.

    Raises:
        OSError: Windows refuses.
    """

    def __init__(self, process_handle: int, memory_bytes: int) -> None:
        self._windows = ctypes.WinDLL("kernel32", use_last_error=True)  # type: ignore[attr-defined]
        self._windows.CreateJobObjectW.restype = ctypes.c_void_p
        self._handle = ctypes.c_void_p(self._checked(self._windows.CreateJobObjectW(None, None)))
        flags = _ACTIVE_PROCESS | _PROCESS_MEMORY | _DIE_ON_EXCEPTION | _KILL_ON_CLOSE
        limits = _Extended(basic=_Basic(flags=flags, processes=1), process_memory=memory_bytes)
        try:
            self._set(_LIMIT_INFORMATION, limits)
            self._set(_UI_RESTRICTIONS, ctypes.c_uint32(_NO_DESKTOP_AT_ALL))
            held = self._windows.AssignProcessToJobObject(self._handle, ctypes.c_void_p(process_handle))
            self._checked(held)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """End the process."""
        self._windows.CloseHandle(self._handle)

    def _set(self, kind: int, value: ctypes.Structure | ctypes.c_uint32) -> None:
        size_bytes = ctypes.sizeof(value)
        self._checked(
            self._windows.SetInformationJobObject(self._handle, kind, ctypes.byref(value), size_bytes)
        )

    def _checked(self, result: int) -> int:
        if not result:
            raise ctypes.WinError(ctypes.get_last_error())  # type: ignore[attr-defined]
        return result
