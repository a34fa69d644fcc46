"""The app's processes on this PC, and the app that answers on a port."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil

from edge_app.errors import InstallError
from edge_app.installed.home import Home
from edge_app.settings import LOOPBACK

START_S = 60.0
STOP_S = 20.0
_POLL_S = 0.1
_DETACHED_PROCESS, _NO_WINDOW = 0x00000008, 0x08000000


def health(port: int) -> dict[str, Any] | None:
    """Ask the app that listens on a port how it is; None where none does, or another program."""
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=5)
    try:
        connection.request("GET", "/health")
        answer = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    return answer if isinstance(answer, dict) and {"status", "device", "model"} <= answer.keys() else None


def of(home: Home) -> list[psutil.Process]:
    """Return the processes that run from an installation, without this one and those that called it."""
    own = {os.getpid(), *_callers()}
    return [
        process for process in psutil.process_iter() if process.pid not in own and _runs_from(home, process)
    ]


def stop(home: Home) -> int:
    """End the processes of an installation, gently first.

    Returns:
        How many there were.

    Raises:
        InstallError: one is left, or is another user's.
    """
    processes = of(home)
    for process in processes:
        _signal(process, kill=False)
    _, left = psutil.wait_procs(processes, timeout=STOP_S)
    for process in left:
        _signal(process, kill=True)
    _, left = psutil.wait_procs(left, timeout=STOP_S)
    if left:
        raise InstallError(
            f"The running app (process {left[0].pid}) cannot be stopped. Restart the PC, and try again."
        )
    return len(processes)


def start(command: Sequence[str], port: int) -> None:
    """Start the app by itself, without a console, and wait until it answers.

    Args:
        command: The program and its words.
        port: Where it will answer.

    Raises:
        InstallError: it does not answer in time; carries what it said.
    """
    options: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    if sys.platform == "win32":
        options["creationflags"] = _DETACHED_PROCESS | _NO_WINDOW
    else:
        options["start_new_session"] = True
    process = subprocess.Popen(command, cwd=Path(command[0]).anchor, **options)
    if await_answer(port, lambda: process.poll() is None):
        return
    if process.poll() is not None:
        raise InstallError(f"The app did not start. {_complaint(command)}")
    process.kill()
    raise InstallError(f"The app did not answer within {START_S:.0f} s. Restart the PC, and try again.")


def await_answer(port: int, is_starting: Callable[[], bool]) -> bool:
    """Wait until the app answers on a port, while it is starting and not too long; tell whether it does."""
    deadline_s = time.monotonic() + START_S
    while health(port) is None:
        if not is_starting() or time.monotonic() > deadline_s:
            return False
        time.sleep(_POLL_S)
    return True


def _complaint(command: Sequence[str]) -> str:
    """Start it once more, to hear why it does not start."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=START_S, check=False)
    except subprocess.TimeoutExpired:
        return "A second try started; open it again."
    return done.stderr.strip() or f"It ended with exit code {done.returncode}."


def _callers() -> list[int]:
    try:
        return [parent.pid for parent in psutil.Process().parents()]
    except psutil.Error:
        return []  # a chroot without /proc


def _runs_from(home: Home, process: psutil.Process) -> bool:
    try:
        return _program(process).is_relative_to(home.versions.resolve())
    except (psutil.Error, OSError):
        return False


if sys.platform == "win32":
    import ctypes

    _QUERY_LIMITED_INFORMATION, _LONGEST = 0x1000, 32767

    def _program(process: psutil.Process) -> Path:
        """Return a process' program, asked in the way that Wine answers as well.

        Source: Windows, QueryFullProcessImageNameW.
        """
        kernel = ctypes.windll.kernel32
        handle = kernel.OpenProcess(_QUERY_LIMITED_INFORMATION, False, process.pid)
        path, length = ctypes.create_unicode_buffer(_LONGEST), ctypes.c_ulong(_LONGEST)
        try:
            if not kernel.QueryFullProcessImageNameW(handle, 0, path, ctypes.byref(length)):
                raise ctypes.WinError()
        finally:
            kernel.CloseHandle(handle)
        return Path(path.value)

else:

    def _program(process: psutil.Process) -> Path:
        return Path(process.exe())


def _signal(process: psutil.Process, kill: bool) -> None:
    try:
        if kill:
            process.kill()
        else:
            process.terminate()
    except psutil.NoSuchProcess:
        pass
    except psutil.AccessDenied as error:
        raise InstallError(
            f"Fracture Edge runs as another user (process {process.pid}). Stop it as that user, or as "
            "administrator."
        ) from error
