"""A node of the toy model, and senders: dcmtk's programs."""

from __future__ import annotations

import gc
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests

from edge_app.arrivals import ArrivedStudy
from edge_app.dicom_node.node import Node
from edge_app.node_settings import NodeSettings, Peer
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.lanes import Lanes
from edge_app.web.store import ResultStore
from export.proof.drawn import draw_xray
from tests.conftest import require
from tests.dicom_files import xray_file
from tests.edge_app.web.test_server import free_port
from tools import orthanc
from tools.orthanc import Orthanc

WHITE, BLACK = (np.full((64, 64), level, np.uint8) for level in (255, 0))
SENDER = Peer("STORESCU", "127.0.0.1")
STUDY = "1.2.826.0.1.3680043.8.498.2"


def xray(number: int, pixels: np.ndarray = WHITE, **attributes: Any) -> bytes:
    """Return the file of an X-ray with its own identifier."""
    return xray_file(pixels, SOPInstanceUID=f"1.2.826.0.1.3680043.8.498.1.{number}", **attributes)


def wait_for(condition: Callable[[], Any], limit_s: float = 60.0) -> Any:
    """Return what the condition gives once that is true."""
    end_s = time.monotonic() + limit_s
    while not (result := condition()):
        assert time.monotonic() < end_s, "it did not come about in time"
        time.sleep(0.02)
    return result


@contextmanager
def running_node(predictor: Predictor, settings: Settings | None = None, **node: Any) -> Iterator[Node]:
    """Run a node on a free port; `node` replaces its settings."""
    lanes, store = Lanes(), ResultStore(64 * 1024 * 1024, 900)
    lanes.start()
    values = {"port": free_port(), "allowed": (SENDER,), "study_idle_s": 0.3, **node}
    running = Node(settings or Settings(), NodeSettings(**values), predictor, store, lanes.add_turn)
    try:
        yield running
    finally:
        running.close()
        lanes.shutdown()


@pytest.fixture
def node(toy_predictor: Predictor) -> Iterator[Node]:
    with running_node(toy_predictor) as running:
        yield running


@pytest.fixture
def collected() -> Iterator[None]:
    """Collect what a test left, so that what that warns of counts for this test and no later one."""
    yield
    gc.collect()


def send(node: Node, tmp_path: Path, *files: bytes, **how: Any) -> subprocess.CompletedProcess[str]:
    """Send files to a node in one association, as dcmtk does."""
    return send_to(node.settings.port, tmp_path, *files, **how)


def send_to(
    port: int,
    tmp_path: Path,
    *files: bytes,
    title: str = "STORESCU",
    called: str = "FRACTURE_EDGE",
    words: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Send files to a port in one association, as dcmtk does; `words` are options of its program."""
    folder = tmp_path / "sent"
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.dcm" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    patience = ("-ta", "300", "-td", "300")  # seconds; 30 for an association is little on a busy machine
    command = [require("storescu", "dcmtk"), "-v", "-aet", title, "-aec", called, "-R", *patience, *words]
    return subprocess.run(
        [*command, "127.0.0.1", str(port), *map(str, paths)], capture_output=True, text=True
    )


def whole_study(node: Node, views: int = 1) -> ArrivedStudy:
    """Return the only study, once it is whole with so many views."""

    def find() -> ArrivedStudy | None:
        studies = node.studies()
        is_there = len(studies) == 1 and studies[0].is_whole and len(studies[0].views) == views
        return studies[0] if is_there else None

    return wait_for(find, 60)


def three_views() -> list[bytes]:
    """Return drawn X-rays of one study."""
    return [
        xray(n, draw_xray(n, fractured=n < 3), PatientName="Drawn^Xray", PatientBirthDate="19700101")
        for n in (1, 2, 3)
    ]


def is_sent(node: Node) -> bool:
    """Tell whether the answers to the only study are in the archive."""
    delivery = node.studies()[0].delivery
    return delivery is not None and delivery.state == "sent"


@contextmanager
def running_orthanc(
    folder: Path, node_port: int, title: str = "FRACTURE_EDGE", **more: Any
) -> Iterator[Orthanc]:
    """Run an Orthanc that knows a node on this computer, or skip the test."""
    require("Orthanc", "orthanc")
    with orthanc.running_orthanc(folder, Peer(title, "127.0.0.1", node_port), **more) as running:
        yield running


def post(
    address: str, *files: bytes, study: str = "", kind: str = "application/dicom"
) -> requests.Response:
    """Send files as STOW-RS has it."""
    body = b"".join(b"--XY\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in files)
    headers = {"Content-Type": f'multipart/related; type="{kind}"; boundary=XY'}
    return requests.post(
        f"{address}/dicom-web/studies{study}", data=body + b"--XY--\r\n", headers=headers, timeout=60
    )
