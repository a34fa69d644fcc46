"""How long the page takes from a file to its answer and its picture: `python -m tools.drop_times`."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import cv2
import numpy as np
from playwright.sync_api import Page
from pydicom.uid import ExplicitVRLittleEndian

from export.proof.drawn import draw_xray
from tools.browser import open_page
from tools.drawn_dicom import drawn_dicom
from tools.running_app import ROOT, running_app

BUNDLE = ROOT / "models" / "default"
HEIGHT_PX, WIDTH_PX = 2880, 2304
# By the browser's own clock: a script that asks again and again sees an answer up to half a second late.
_WATCH = """() => {
    const times = window.times = {};
    const note = () => {
        for (const id of ["judged", "viewer"]) {
            if (!document.getElementById(id).hidden) times[id] ??= performance.now();
        }
    };
    const begin = () => { times.begin = performance.now(); };
    document.getElementById("file").addEventListener("change", begin, true);
    new MutationObserver(note).observe(document.body, { subtree: true, attributes: true });
}"""


class Wait(NamedTuple):
    """From the file to the words of its answer, and to its picture with the heat map; milliseconds."""

    answer_ms: float
    picture_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Args:
        arguments: The words after the program's name.

    Returns:
        The exit code, 0.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.drop_times", description=__doc__)
    parser.add_argument(
        "--times", type=int, default=7, help="each file, after a first time that does not count"
    )
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    options = parser.parse_args(arguments)
    with TemporaryDirectory() as folder:
        for name, data in drawn_files().items():
            (Path(folder) / name).write_bytes(data)
        for name, waits in measure(sorted(Path(folder).iterdir()), options.times, options.bundle).items():
            sys.stdout.write(f"{name}: {json.dumps(summary(waits))}\n")
    return 0


def drawn_files() -> dict[str, bytes]:
    """Draw one X-ray of 2304 x 2880 as a JPEG, and as a DICOM of 12 bits without compression or window."""
    drawn = cv2.resize(draw_xray(3, fractured=True), (WIDTH_PX, HEIGHT_PX))
    attributes = {"BitsAllocated": 16, "BitsStored": 12, "HighBit": 11}
    deep = (drawn.astype(np.uint16) << 4).tobytes()
    return {
        "12-bit.dcm": drawn_dicom(ExplicitVRLittleEndian, deep, drawn.shape, **attributes),
        "8-bit.jpg": cv2.imencode(".jpg", drawn)[1].tobytes(),
    }


def measure(files: Sequence[Path], times: int, bundle: Path) -> dict[str, list[Wait]]:
    """Bring files into a page of its own app, one after the other, each on a page that was just opened.

    Args:
        files: What is brought in; the app must be able to judge it.
        times: How often each, after a first time that does not count.
        bundle: The model.

    Returns:
        The waits by the files' names.
    """
    with running_app(bundle) as (_, address), open_page(address) as page:
        return {file.name: [_bring_in(page, address, file) for _ in range(times + 1)][1:] for file in files}


def summary(waits: Sequence[Wait]) -> dict[str, dict[str, int]]:
    """Return least, median and most of each wait, in whole milliseconds."""
    return {
        name: {
            "least": round(min(each)),
            "median": round(statistics.median(each)),
            "most": round(max(each)),
        }
        for name, each in zip(Wait._fields, zip(*waits, strict=True), strict=True)
    }


def _bring_in(page: Page, address: str, file: Path) -> Wait:
    page.goto(address)
    page.evaluate(_WATCH)
    page.set_input_files("#file", file)
    page.locator("#viewer").wait_for()
    begin, answer, picture = page.evaluate("[times.begin, times.judged, times.viewer]")
    return Wait(answer - begin, picture - begin)


if __name__ == "__main__":
    sys.exit(main())
