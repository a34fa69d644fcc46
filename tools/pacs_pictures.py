"""Take the pictures of docs/PACS.md: `python -m tools.pacs_pictures docs` with drawn X-rays."""

from __future__ import annotations

import io
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from playwright.sync_api import Page
from pydicom import dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.sop_class import DigitalXRayImageStorageForPresentation  # type: ignore[attr-defined]

from edge_app.dicom_node.node import Node
from edge_app.node_settings import NodeSettings, Peer
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.lanes import Lanes
from edge_app.web.server import make_server
from edge_app.web.store import ResultStore
from export.proof.drawn import draw_xray
from tools.browser import find_chromium, open_page
from tools.drawn_dicom import drawn_dicom
from tools.orthanc import TITLE, Orthanc, dicomweb_plugin, running_orthanc
from tools.ports import free_port

PORT = 5078
MACHINE = Peer("XRAY_ROOM", "127.0.0.1")
LIMIT_S = 120.0
WIDTH_PX = 1180


def xray(patient: int, number: int, is_fractured: bool) -> bytes:
    """Draw a view of a patient's study, as a DICOM file."""
    image = draw_xray(10 * patient + number, fractured=is_fractured)
    study = f"1.2.826.0.1.3680043.8.498.77.{patient}"
    return drawn_dicom(
        ExplicitVRLittleEndian,
        image.tobytes(),
        image.shape,
        StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1",
        SOPInstanceUID=f"{study}.1.{number}",
        PatientName=f"Drawn^Picture {patient}",
        PatientID=f"D-{patient:03}",
        StudyDate="20260105",
        StudyDescription="Hand",
    )


def send(port: int, title: str, *files: bytes) -> None:
    """Send files as an X-ray machine of that title does; who is turned away sends nothing."""
    machine = AE(ae_title=title)
    machine.add_requested_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)
    association = machine.associate("127.0.0.1", port, ae_title="FRACTURE_EDGE")
    if association.is_established:
        for data in files:
            association.send_c_store(dcmread(io.BytesIO(data)))
        association.release()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    end_s = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > end_s:
            raise TimeoutError("The chain did not come so far.")
        time.sleep(0.1)


@contextmanager
def chain(predictor: Predictor, settings: NodeSettings) -> Iterator[Node]:
    """Serve the page of a node on `PORT`."""
    app_settings, lanes, store = Settings(port=PORT), Lanes(), ResultStore(64 * 1024 * 1024, 900)
    with closing(Node(app_settings, settings, predictor, store, lanes.add_turn)) as node:
        server = make_server(
            create_app(app_settings, predictor, store=store, arrivals=node), app_settings, lanes
        )
        threading.Thread(target=server.run, daemon=True).start()
        yield node
        server.close()


def are_whole(node: Node, count: int) -> bool:
    """Tell whether so many studies are whole."""
    studies = node.studies()
    return len(studies) == count and all(study.is_whole for study in studies)


def receive_several(node: Node, port: int) -> None:
    """Let studies come in, a late picture among them, and a stranger call."""
    send(port, MACHINE.ae_title, xray(1, 1, False), xray(1, 2, False))
    send(port, MACHINE.ae_title, xray(2, 1, False))
    send(port, "OLD_CR", xray(3, 1, True))
    wait_for(lambda: are_whole(node, 2))
    send(port, MACHINE.ae_title, xray(2, 2, True))
    send(port, MACHINE.ae_title, xray(4, 1, True), xray(4, 2, True), xray(4, 3, False))
    wait_for(lambda: are_whole(node, 3))
    wait_for(lambda: all(study.delivery and study.delivery.attempts for study in node.studies()))


def shoot(path: Path, height_px: int, act: Callable[[Page], None]) -> None:
    """Test the archive on the page of arrivals, do something there, and save what is seen."""
    with open_page(f"http://localhost:{PORT}/arrivals?test=archive", WIDTH_PX, height_px) as page:
        act(page)
        page.screenshot(path=path)


def search(page: Page) -> None:
    """Look for a patient in the archive."""
    page.fill("#patient", "drawn")
    page.locator("#library button").first.click()
    page.locator("#library li").first.wait_for()


def take_arrivals(folder: Path, predictor: Predictor) -> None:
    """Show what came while the archive is away."""
    port = free_port()
    settings = NodeSettings(
        port, allowed=(MACHINE,), archive=Peer("PACS", "127.0.0.1", free_port()), study_idle_s=1
    )
    with chain(predictor, settings) as node:
        receive_several(node, port)
        shoot(folder / "pacs-arrivals.png", 890, lambda _page: None)


def take_library(folder: Path, predictor: Predictor) -> None:
    """Bring a study in from Orthanc, and show the capture that it gets back."""
    plugin, port = dicomweb_plugin(), free_port()
    web = {"Plugins": [str(plugin)], "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}
    with (
        tempfile.TemporaryDirectory() as archive_dir,
        running_orthanc(Path(archive_dir), Peer("FRACTURE_EDGE", "127.0.0.1", port), **web) as orthanc,
    ):
        study = orthanc.upload([xray(4, 1, True), xray(4, 2, True)])
        orthanc.upload([xray(1, 1, False)])
        settings = NodeSettings(
            port,
            allowed=(Peer(TITLE, "127.0.0.1"),),
            archive=orthanc.peer,
            library=orthanc.web,
            study_idle_s=1,
        )
        with chain(predictor, settings) as node:
            orthanc.post("/modalities/fracture/echo", b"{}")
            node.bring_in("1.2.826.0.1.3680043.8.498.77.4")
            wait_for(lambda: are_whole(node, 1) and is_sent(node))
            shoot(folder / "pacs-library.png", 680, search)
            (folder / "pacs-capture.png").write_bytes(first_capture(orthanc, study))


def is_sent(node: Node) -> bool:
    """Tell whether the answers to the only study are in the archive."""
    delivery = node.studies()[0].delivery
    return delivery is not None and delivery.state == "sent"


def first_capture(orthanc: Orthanc, study: str) -> bytes:
    """Return the picture, as Orthanc draws it, of the first Secondary Capture in a study."""
    captures = sorted(orthanc.series_of(study)["OT"])
    return orthanc.content(f"/instances/{captures[0]}/preview")


def main(arguments: Sequence[str] | None = None) -> int:
    """Take the pictures into a folder."""
    (folder,) = map(Path, sys.argv[1:] if arguments is None else arguments)
    if find_chromium() is None or shutil.which("Orthanc") is None or dicomweb_plugin() is None:
        sys.stderr.write("Needed on Debian or Ubuntu: apt install chromium orthanc orthanc-dicomweb\n")
        return 1
    predictor = Predictor(Settings().bundle_dir, device="cpu")
    take_arrivals(folder, predictor)
    take_library(folder, predictor)
    return 0


if __name__ == "__main__":
    sys.exit(main())
