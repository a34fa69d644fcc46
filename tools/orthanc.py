"""Run a real archive, Orthanc as Debian packs it, for tests and pictures."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import requests

from edge_app.node_settings import Peer, WebAddress
from tools.ports import free_port

LOGIN = ("clinic", "horse battery")
TITLE = "ORTHANC"
START_S = 60.0
_PLUGINS = Path("/usr/lib/orthanc")


class Orthanc:
    """A running Orthanc: how DICOM and DICOMweb reach it, and its own calls."""

    def __init__(self, http_port: int, dicom_port: int) -> None:
        self.peer = Peer(TITLE, "127.0.0.1", dicom_port)
        self._address = f"http://127.0.0.1:{http_port}"
        self.web = WebAddress(f"{self._address}/dicom-web", LOGIN)

    def get(self, path: str) -> Any:
        """Return what a call answers, read from JSON."""
        return requests.get(self._address + path, auth=LOGIN, timeout=30).json()

    def content(self, path: str) -> bytes:
        """Return what a call answers, as bytes."""
        return requests.get(self._address + path, auth=LOGIN, timeout=30).content

    def post(self, path: str, data: bytes) -> Any:
        """Send bytes; returns the answer, read from JSON."""
        answer = requests.post(self._address + path, data=data, auth=LOGIN, timeout=60)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, files: list[bytes]) -> str:
        """Put the files of a study into it; returns its name for the study."""
        (study,) = {self.post("/instances", data)["ParentStudy"] for data in files}
        return str(study)

    def series_of(self, study: str) -> dict[str, list[str]]:
        """Return the instances of a study by modality."""
        found: dict[str, list[str]] = {}
        for each in self.get(f"/studies/{study}/series"):
            found.setdefault(each["MainDicomTags"]["Modality"], []).extend(each["Instances"])
        return found


def dicomweb_plugin() -> Path | None:
    """Return Orthanc's plug-in for DICOMweb; None where Debian's package is not installed."""
    return next(iter(sorted(_PLUGINS.glob("libOrthancDicomWeb.so*"), reverse=True)), None)


@contextmanager
def running_orthanc(folder: Path, node: Peer, **more: Any) -> Iterator[Orthanc]:
    """Run one that knows a node.

    Args:
        folder: Where it may write.
        node: The only one that it lets call, and that it can send to, as `fracture`.
        more: Goes into its settings.

    Yields:
        It, once it answers.
    """
    http_port, dicom_port = free_port(), free_port()
    settings = {
        "HttpPort": http_port,
        "DicomPort": dicom_port,
        "DicomAet": TITLE,
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "storage"),
        "AuthenticationEnabled": True,
        "RegisteredUsers": dict([LOGIN]),
        "DicomAlwaysAllowEcho": False,
        "DicomAlwaysAllowStore": False,
        "DicomModalities": {"fracture": list(node)},
        **more,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings))
    command = [shutil.which("Orthanc") or "Orthanc", str(path)]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, cwd=folder, stdout=log, stderr=log) as process,
    ):
        try:
            orthanc = Orthanc(http_port, dicom_port)
            _wait_until_it_answers(orthanc)
            yield orthanc
        finally:
            process.terminate()


def _wait_until_it_answers(orthanc: Orthanc) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        with suppress(requests.ConnectionError):
            orthanc.get("/system")
            return
        time.sleep(0.1)
    raise TimeoutError(f"Orthanc did not answer within {START_S:g} s; its log says why.")
