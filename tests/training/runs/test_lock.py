from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from edge_app.errors import RunError
from tests.conftest import ROOT
from training.runs.rundir import open_run

HOLD = """
import sys, time
from pathlib import Path
from training.runs.rundir import open_run
with open_run(Path(sys.argv[1]), {}):
    print("held", flush=True)
    time.sleep(60)
"""


def test_run_is_free_again_when_its_process_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path / "run")]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with (
            pytest.raises(RunError, match="Another training is at work"),
            open_run(tmp_path / "run", {}),
        ):
            pass
        process.kill()
    with open_run(tmp_path / "run", {}):
        assert (tmp_path / "run" / "config.json").is_file()
