"""Landlock: from here on this process opens no file but the program's own, and those for reading only.

Source:
    Linux, Documentation/userspace-api/landlock.rst, and include/uapi/linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every processor
_VERSION_FLAG = 1
_PATH_BENEATH = 1
_PR_SET_NO_NEW_PRIVS = 38
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
# How many rights on files each version of the interface knows; handling one that is unknown is an error.
_FILE_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 4: 15}
_LATEST_FILE_RIGHTS = 16
_NETWORK_SINCE, _SCOPES_SINCE = 4, 6
_BIND_AND_CONNECT_TCP = 0b11
_ABSTRACT_SOCKETS_AND_SIGNALS = 0b11


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("rights", ctypes.c_uint64), ("folder", ctypes.c_int32))


def restrict_files(readable: Iterable[Path]) -> int:
    """Give up every file but those beneath some folders, which may be read; and TCP where that is known.

    Threads that run already keep their rights: call it before any is started.

    Args:
        readable: Folders whose files may be read; those that do not exist are passed over.

    Returns:
        The version of Landlock that is in force.

    Raises:
        OSError: this kernel has no Landlock.
    """
    version = _call(_CREATE_RULESET, None, 0, _VERSION_FLAG)
    rules = _Ruleset(
        files=(1 << _FILE_RIGHTS_BY_VERSION.get(version, _LATEST_FILE_RIGHTS)) - 1,
        network=_BIND_AND_CONNECT_TCP if version >= _NETWORK_SINCE else 0,
        scopes=_ABSTRACT_SOCKETS_AND_SIGNALS if version >= _SCOPES_SINCE else 0,
    )
    ruleset = _call(_CREATE_RULESET, ctypes.byref(rules), ctypes.sizeof(rules), 0)
    try:
        for folder in readable:
            _let_read(ruleset, folder)
        forbid_new_privileges()
        _call(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def forbid_new_privileges() -> None:
    """Promise the kernel never to gain rights again, which it asks of those who restrict themselves."""
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "no_new_privs was refused")


def program_folders(package: Path) -> list[Path]:
    """Return where the code lies that a decoder may still have to import.

    Args:
        package: The app's own package.

    Returns:
        The package, Python's libraries and the system's.
    """
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    installed = [Path(sysconfig.get_path(name)) for name in names]
    listed = [Path(each) for each in sys.path if Path(each).name in ("site-packages", "dist-packages")]
    system = [Path(each) for each in ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")]
    return [package, *installed, *listed, *system]


def _let_read(ruleset: int, folder: Path) -> None:
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return  # what is not there need not be read
    try:
        beneath = _Beneath(rights=_READ_FILE | _READ_DIR, folder=descriptor)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(beneath), 0)
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: object) -> int:
    result: int = ctypes.CDLL(None, use_errno=True).syscall(number, *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"Landlock: {os.strerror(code)}")
    return result
