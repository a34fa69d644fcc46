from __future__ import annotations

import os
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import psutil
import pytest

from tests.conftest import ROOT
from tests.edge_app.installed.test_certificate import deployed
from tests.edge_app.web.test_server import free_port

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


def listening_ports(prefix: Path, *words: str) -> set[int]:
    """Run the installed app; return the ports on which it listens once it is ready."""
    command = [sys.executable, "-m", "edge_app.installed", "serve", "--prefix", str(prefix), *words]
    pipe, both = subprocess.PIPE, subprocess.STDOUT
    with subprocess.Popen(command, cwd=ROOT, stdout=pipe, stderr=both, text=True) as process:
        try:
            last = "It receives DICOM pictures" if "--dicom" in words else "Fracture Edge is ready"
            said = list(takewhile(lambda line: not line.startswith(last), process.stdout))
            assert process.poll() is None, said
            connections = psutil.Process(process.pid).net_connections("inet")
            return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}
        finally:
            process.terminate()


@pytest.mark.slow
def test_installed_app_has_a_dicom_port_only_where_it_is_asked_for(
    toy_bundle: Path, tmp_path: Path
) -> None:
    home, page, dicom = deployed(tmp_path, toy_bundle), free_port(), free_port()
    assert listening_ports(home.path, "--port", str(page)) == {page}
    node = ("--dicom", str(dicom), "--allow", "ROOM@127.0.0.1")
    assert listening_ports(home.path, "--port", str(page), *node) == {page, dicom}
