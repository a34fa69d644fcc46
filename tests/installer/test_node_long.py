"""The installed app as a DICOM node: off by default; with `--dicom` a study is answered."""

from __future__ import annotations

import os
import socket
import subprocess
from pathlib import Path

import psutil
import pytest

from tests.conftest import require
from tests.edge_app.dicom_node.conftest import send_to, three_views, wait_for
from tests.edge_app.web.test_server import free_port
from tests.installer.account import Account, done
from tests.installer.conftest import Built

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("FRACTURE_INSTALLERS") != "long", reason="takes long; make test-installers runs it"
    ),
]
LIMIT_S = 120
KINDS = {"SC", "SR3", "PDF"}  # as storescp begins the names of files


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def listening_ports(account: Account) -> set[int]:
    """Return the ports on which what runs as this user listens."""
    connections = [each for process in account.processes() for each in process.net_connections()]
    return {each.laddr.port for each in connections if each.status == psutil.CONN_LISTEN}


def test_installed_app_is_no_node_until_told_and_then_answers_a_study(
    account: Account, built: Built, tmp_path: Path
) -> None:
    done(account.install(built.release, "--no-service"))
    dicom_port, archive_port = free_port(), free_port()
    serve = ["serve", "--port", str(account.port)]
    with account.command(*serve):
        wait_for(account.listens, LIMIT_S)
        ports = listening_ports(account)
        account.kill_everything()
    assert ports == {account.port}

    folder = tmp_path / "archive"
    folder.mkdir()
    archive = [require("storescp", "dcmtk"), "-aet", "PACS", "-od", str(folder), "+xa", str(archive_port)]
    node = ["--dicom", str(dicom_port), "--allow", "STORESCU@127.0.0.1", "--study-idle", "1"]
    answering = [*serve, *node, "--answer-to", f"PACS@127.0.0.1:{archive_port}"]
    with subprocess.Popen(archive) as storescp, account.command(*answering):
        try:
            wait_for(lambda: listens(dicom_port), LIMIT_S)
            assert send_to(dicom_port, tmp_path, *three_views()).returncode == 0
            wait_for(lambda: {path.name.split(".")[0] for path in folder.iterdir()} >= KINDS, LIMIT_S)
        finally:
            account.kill_everything()
            storescp.terminate()
