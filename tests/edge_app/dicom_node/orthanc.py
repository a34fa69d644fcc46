"""A real archive: Orthanc, as Debian packs it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from edge_app.node_settings import Peer, WebAddress
from tests.conftest import require
from tests.edge_app.dicom_node.conftest import wait_for
from tests.edge_app.web.test_server import free_port

LOGIN = ("clinic", "horse battery")


class Orthanc:
    """A running Orthanc: its address and its DICOM port."""

    def __init__(self, http_port: int, dicom_port: int) -> None:
        self.peer = Peer("ORTHANC", "127.0.0.1", dicom_port)
        self._address = f"http://127.0.0.1:{http_port}"
        self.web = WebAddress(f"{self._address}/dicom-web", LOGIN)

    def get(self, path: str) -> Any:
        return requests.get(self._address + path, auth=LOGIN, timeout=30).json()

    def file(self, instance: str) -> bytes:
        return requests.get(f"{self._address}/instances/{instance}/file", auth=LOGIN, timeout=30).content

    def post(self, path: str, data: bytes) -> Any:
        answer = requests.post(self._address + path, data=data, auth=LOGIN, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def series_of(self, study: str) -> dict[str, list[str]]:
        """Return the instances of a study by modality."""
        series = self.get(f"/studies/{study}/series")
        found: dict[str, list[str]] = {}
        for each in series:
            found.setdefault(each["MainDicomTags"]["Modality"], []).extend(each["Instances"])
        return found


@contextmanager
def running_orthanc(
    folder: Path, node_port: int, title: str = "FRACTURE_EDGE", **more: Any
) -> Iterator[Orthanc]:
    """Run one that knows a node; `more` goes into its settings."""
    http_port, dicom_port = free_port(), free_port()
    settings = {
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "AuthenticationEnabled": True,
        "RegisteredUsers": dict([LOGIN]),
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {"fracture": [title, "127.0.0.1", node_port]},
        **more,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    with (folder / "log").open("wb") as log:
        command = [require("Orthanc", "orthanc"), str(path)]
        with subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process:
            try:
                orthanc = Orthanc(http_port, dicom_port)
                wait_for(lambda: _answers(orthanc))
                yield orthanc
            finally:
                process.terminate()


def _answers(orthanc: Orthanc) -> bool:
    with suppress(requests.ConnectionError):
        return bool(orthanc.get("/system"))
    return False
