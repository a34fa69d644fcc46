"""Runs a program under strace and tells which files it, or a process of it, would write."""

from __future__ import annotations

import re
from pathlib import Path

CALLS = (
    "open,openat,openat2,creat,mkdir,mkdirat,mknod,mknodat,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,truncate,ftruncate,memfd_create,fallocate,copy_file_range,sendfile"
)
_OPENS = ("open", "openat", "openat2")
_LINE = re.compile(r"^(?P<process>\d+) +(?P<call>\w+)\((?P<arguments>.*)")
_WRITES = re.compile(r"\bO_(WRONLY|RDWR|CREAT|TRUNC|APPEND|TMPFILE)\b")
_HOLDS_NOTHING = ('"/dev/null"',)


def traced(strace: str, log_path: Path) -> list[str]:
    """Return the words to put before a command."""
    return [strace, "-f", "--seccomp-bpf", "-qq", "-s", "300", "-e", f"trace={CALLS}", "-o", str(log_path)]


def writes(log: str) -> list[str]:
    """Return each call in a log that would change a file, whether it was let through or not.

    Reading opens are left out, and so is what goes nowhere. A call that strace tells in two halves has its
    arguments in the first.
    """
    matches = (_LINE.match(line) for line in log.splitlines())
    calls = ((match["call"], match["arguments"]) for match in matches if match)
    return [f"{call}({arguments}" for call, arguments in calls if _changes(call, arguments)]


def _changes(call: str, arguments: str) -> bool:
    if any(path in arguments for path in _HOLDS_NOTHING):
        return False
    return call not in _OPENS or bool(_WRITES.search(arguments))
