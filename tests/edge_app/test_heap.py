from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

MEASURE = """
import threading
from edge_app import heap

def resident_mib():
    status = open("/proc/self/status").read()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024

heap.share_one_heap()
kept = []

def fill():
    pieces = [bytearray(60_000) for _ in range(2_000)]
    kept.append(pieces[-1])

thread = threading.Thread(target=fill)
thread.start()
thread.join()
before = resident_mib()
heap.give_back()
print(before - resident_mib())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only glibc is asked")
def test_what_was_freed_is_given_back() -> None:
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 50
