"""Throw many X-rays at the DICOM node: `python -m tools.dicom_load`. Counts losses, seconds, memory."""

from __future__ import annotations

import argparse
import re
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import NamedTuple
from urllib.request import urlopen

import cv2
import numpy as np
import psutil
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian, generate_uid
from pynetdicom import AE

from export.proof.drawn import draw_xray
from tools.ports import free_port
from tools.running_app import ROOT, running_app

BUNDLE = ROOT / "models" / "default"
TITLE = "LOAD"
SIDE_PX = 1024
LIMIT_S = 900.0
_JUDGED = re.compile(r"/heatmap\.png")


class Figures(NamedTuple):
    """What came of it: pictures sent, accepted and judged; seconds; the app's memory in MiB."""

    sent: int
    accepted: int
    judged: int
    received_s: float
    judged_s: float
    resting_mib: float
    peak_mib: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code: 0 when nothing was lost, else 1.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.dicom_load", description=__doc__)
    parser.add_argument("--pictures", type=int, default=1000, help="in all")
    parser.add_argument("--associations", type=int, default=1, help="at once")
    parser.add_argument("--side", type=int, default=SIDE_PX, help="of a picture, in pixels of 16 bits")
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    options = parser.parse_args(arguments)
    figures = measure(options.pictures, options.associations, options.side, options.bundle)
    for name, value in figures._asdict().items():
        sys.stdout.write(f"{name}: {value:.0f}\n")
    return 0 if figures.sent == figures.accepted == figures.judged else 1


def measure(pictures: int, associations: int, side_px: int, bundle: Path) -> Figures:
    """Send pictures to an app of its own, and watch it.

    Args:
        pictures: How many in all.
        associations: Over how many connections at once.
        side_px: The side of a picture of 16 bits.
        bundle: The model.

    Returns:
        What came of it.
    """
    with _running(bundle) as (process, page, port), _watching(process) as memory:
        resting = memory[-1]
        begin_s = time.monotonic()
        shares = [pictures // associations + (n < pictures % associations) for n in range(associations)]
        with ThreadPoolExecutor(associations) as senders:
            accepted = sum(senders.map(lambda share: _send(port, share, side_px), shares))
        received_s = time.monotonic() - begin_s
        judged = _wait_until_judged(page, accepted)
        judged_s = time.monotonic() - begin_s
        return Figures(pictures, accepted, judged, received_s, judged_s, resting, max(memory))


@contextmanager
def _running(bundle: Path) -> Iterator[tuple[psutil.Process, str, int]]:
    port = free_port()
    node = ("--study-idle", "1", "--dicom", str(port), "--allow", f"{TITLE}@127.0.0.1")
    with running_app(bundle, *node) as (process_id, address):
        yield psutil.Process(process_id), f"{address}/arrivals", port


@contextmanager
def _watching(process: psutil.Process) -> Iterator[list[float]]:
    """Note the resident memory of the app and its decoder, in MiB, ten times a second."""
    memory = [_resident_mib(process)]
    is_over = threading.Event()

    def watch() -> None:
        while not is_over.wait(0.1):
            memory.append(_resident_mib(process))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield memory
    finally:
        is_over.set()
        watcher.join()


def _resident_mib(process: psutil.Process) -> float:
    return float(
        sum(each.memory_info().rss for each in (process, *process.children(recursive=True))) / 1024**2
    )


def _send(port: int, count: int, side_px: int) -> int:
    """Send pictures of one study in one association; returns how many were accepted."""
    caller = AE(ae_title=TITLE)
    caller.acse_timeout = caller.dimse_timeout = caller.network_timeout = LIMIT_S
    caller.add_requested_context(DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian)
    association = caller.associate("127.0.0.1", port, ae_title="FRACTURE_EDGE")
    if not association.is_established:
        return 0
    study = generate_uid()
    accepted = 0
    for number in range(count):
        if not association.is_established:  # it broke off: the rest is lost, which the figures tell
            return accepted
        accepted += association.send_c_store(_picture(study, number, side_px)).get("Status") == 0
    association.release()
    return accepted


def _picture(study: str, number: int, side_px: int) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = DigitalXRayImageStorageForPresentation, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, f"{study[:60]}.1"
    dataset.Modality, dataset.PatientID = "DX", "load"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Rows = dataset.Columns = side_px
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 16, 12, 11
    dataset.PixelRepresentation, dataset.PixelData = 0, _pixels(number % 10, side_px)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


@cache
def _pixels(number: int, side_px: int) -> bytes:
    drawn = draw_xray(number, fractured=number % 2 == 0)
    return (cv2.resize(drawn, (side_px, side_px)).astype(np.uint16) * 16).tobytes()


def _wait_until_judged(page: str, expected: int) -> int:
    """Look at the page until it shows so many answers; returns how many it shows at last."""
    end_s = time.monotonic() + LIMIT_S
    while True:
        with urlopen(page, timeout=60) as answer:  # noqa: S310 # nosec B310 # this computer's own page
            judged = len(_JUDGED.findall(answer.read().decode()))
        if judged >= expected or time.monotonic() > end_s:
            return judged
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main())
