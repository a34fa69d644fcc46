from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

COUNT = "import os, edge_app, numpy; print(len(os.listdir('/proc/self/task')))"


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted in /proc")
def test_numpy_starts_no_threads_beside_the_models() -> None:
    done = subprocess.run(
        [sys.executable, "-c", COUNT], cwd=ROOT, env={}, capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
