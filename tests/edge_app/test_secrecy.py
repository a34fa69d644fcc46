from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks Linux what is in force")
TELL = """
import ctypes, re, resource
from pathlib import Path
from edge_app import secrecy
"""


def told(code: str) -> str:
    command = [sys.executable, "-c", TELL + code]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_crash_writes_no_memory_to_a_file_or_to_a_crash_reporter() -> None:
    code = "print(resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3))"
    assert told(code).endswith(" 1")
    assert told("secrecy.forbid_core_dumps()\n" + code) == "(0, 0) 0"


def test_memory_is_not_locked_where_little_may_be() -> None:
    code = "resource.setrlimit(resource.RLIMIT_MEMLOCK, (65536, 65536)); print(secrecy.keep_out_of_swap())"
    assert told(code) == "False"


def test_memory_is_locked_where_all_may_be() -> None:
    code = """
try:
    resource.setrlimit(resource.RLIMIT_MEMLOCK, (-1, -1))
except (ValueError, OSError):
    print("may not")
else:
    print(secrecy.keep_out_of_swap(), len(bytearray(10_000_000)) > 0)
    print(int(re.search(r"VmLck:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) > 10_000)
"""
    answer = told(code)
    if answer == "may not":
        pytest.skip("this user may not lift the limit on locked memory")
    assert answer.split() == ["True", "True", "True"]
