from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# No account of this machine has it, as a service's user under systemd.
NOBODY = 61_018
# Imported as root, since this repository may lie where nobody else reads.
SERVE = f"""
import os, sys
import edge_app.__main__
from edge_app.installed.__main__ import main
os.setgid({NOBODY})
os.setuid({NOBODY})
os.environ.pop("HOME", None)
sys.exit(main(["serve", "--prefix", "/nowhere"]))
"""


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="root alone becomes another user")
def test_user_without_a_home_folder_can_serve() -> None:
    command = [sys.executable, "-c", SERVE]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 9
    assert ended.stderr == "Fracture Edge is not installed in /nowhere. Install it from the stick.\n"
