from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT
from training.runs.lock import take_lock

HOLD = """
import sys, time
from training.runs.lock import take_lock
file = open(sys.argv[1], "a")
print(take_lock(file), flush=True)
time.sleep(60)
"""


def is_free(path: Path) -> bool:
    with path.open("a") as file:
        return take_lock(file)


def test_lock_is_free_again_when_its_file_is_closed(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("a") as file:
        assert take_lock(file)
        assert not is_free(tmp_path / "lock")
    assert is_free(tmp_path / "lock")


def test_lock_is_free_again_when_its_process_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        assert not is_free(tmp_path / "lock")
        process.kill()
    assert is_free(tmp_path / "lock")
