from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from http.server import BaseHTTPRequestHandler, HTTPServer
from itertools import takewhile
from pathlib import Path

import psutil
import pytest

from edge_app.installed.__main__ import NOT_RUNNING, main
from edge_app.installed.home import Home, replace_file
from tests.conftest import ROOT, require
from tests.edge_app.installed.test_certificate import deployed
from tests.edge_app.installed.test_processes import Healthy, serving
from tests.edge_app.web.test_server import free_port

# No account of this machine has it, as a service's user under systemd.
NOBODY = 61_018
# Imported as root, since this repository may lie where nobody else reads.
AS_NOBODY = f"""
import os, sys
import edge_app.__main__
from edge_app.installed.__main__ import main
os.setgid({NOBODY})
os.setuid({NOBODY})
os.environ.pop("HOME", None)
sys.exit(main(sys.argv[1:]))
"""
root_alone = pytest.mark.skipif(
    sys.platform == "win32" or os.geteuid() != 0, reason="root alone becomes another user"
)


def as_nobody(*words: str) -> subprocess.CompletedProcess[str]:
    """Run the installed command as a user who has nothing."""
    command = [sys.executable, "-c", AS_NOBODY, *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@root_alone
def test_user_without_a_home_folder_can_serve() -> None:
    ended = as_nobody("serve", "--prefix", "/nowhere")
    assert ended.returncode == 9
    assert ended.stderr == "Fracture Edge is not installed in /nowhere. Install it from the stick.\n"


@root_alone
def test_app_that_another_user_started_cannot_be_stopped() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)  # pytest's own folders are closed to other users
        program = Path(folder) / "versions" / "1.2.3" / "sleep"
        program.parent.mkdir(parents=True)
        shutil.copy(require("sleep", "coreutils"), program)
        with subprocess.Popen([program, "600"]) as app:
            ended = as_nobody("stop", "--prefix", folder)
            assert app.poll() is None
            app.kill()
    assert ended.returncode == 9
    assert ended.stderr == (
        f"Fracture Edge runs as another user (process {app.pid}). Stop it as that user, or as "
        "administrator.\n"
    )


@pytest.mark.parametrize("port", ["0", "80", "65536", "-1", "http"])
@pytest.mark.parametrize("word", ["install", "serve"])
def test_port_that_cannot_be_listened_on_is_told(
    word: str, port: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([word, f"--port={port}"])
    assert ended.value.code == 2
    assert f"expected a number from 1024 to 65535, got {port}" in capsys.readouterr().err


def test_app_of_another_user_that_runs_on_is_not_told_to_be_stopped(
    toy_bundle: Path, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    home = deployed(tmp_path, toy_bundle, port=free_ports[0])
    with serving(HTTPServer(("127.0.0.1", free_ports[0]), Healthy)):
        told = said_by(home, "stop", 9)
    assert "runs on, as another user" in told
    assert "Stopped; 0 process(es) ended." in said_by(home, "stop", 0)


def test_installed_port_that_another_program_took_is_told_with_how_to_change_it(
    toy_bundle: Path, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    home = deployed(tmp_path, toy_bundle, port=free_ports[0])
    with serving(HTTPServer(("127.0.0.1", free_ports[0]), BaseHTTPRequestHandler)):
        told = said_by(home, "serve", 9)
    assert told == (
        f"Port {free_ports[0]} is used by another program. End that, or install Fracture Edge again from "
        "the stick with --port N (Windows: /PORT=N).\n"
    )


def test_command_is_named_by_its_whole_path_where_the_path_does_not_lead_to_it(
    toy_bundle: Path, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    home = deployed(tmp_path, toy_bundle, port=free_ports[0])
    told = said_by(home, "status", NOT_RUNNING, PATH="/nowhere")
    assert f'Start it with: "{home.command}" open' in told
    replace_file(home.command, b"#!/bin/sh", 0o755)
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "fracture-edge").symlink_to(home.command)
    told = said_by(home, "status", NOT_RUNNING, PATH=str(tmp_path / "bin"))
    assert "Start it with: fracture-edge open" in told


def test_path_that_the_console_has_no_letters_for_is_told_all_the_same(
    toy_bundle: Path, tmp_path: Path, free_ports: tuple[int, int]
) -> None:
    home = deployed(tmp_path / "Łódź", toy_bundle, port=free_ports[0])
    told = said_by(home, "status", NOT_RUNNING, PYTHONIOENCODING="cp1252")
    assert r"\u0141ód\u017a" in told
    assert "Logging error" not in told


def said_by(home: Home, word: str, code: int, **environment: str) -> str:
    """Return what the command says, which ends with an exit code."""
    command = [sys.executable, "-m", "edge_app.installed", word, "--prefix", str(home.path)]
    env, pipe, both = {**os.environ, **environment}, subprocess.PIPE, subprocess.STDOUT
    ended = subprocess.run(command, cwd=ROOT, env=env, stdout=pipe, stderr=both, check=False)
    told = ended.stdout.decode(environment.get("PYTHONIOENCODING", "utf-8"))
    assert ended.returncode == code, told
    return told


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
