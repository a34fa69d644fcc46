"""The FracAtlas layout: `images/`, `dataset.csv` and, where fractures were boxed, `boxes.csv`."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from edge_app.errors import DataError
from edge_app.model.pointing import Box
from training.data.layouts.tables import flag, fraction, read_rows, text
from training.data.samples import Dataset, Sample, files_in, is_image

EXPECTED = (
    "FracAtlas: images/, dataset.csv (image_id, fractured, hand, leg, hip, shoulder, hardware) and, for "
    "fracture boxes, boxes.csv (image_id, x, y, width, height)"
)
_PARTS = ("hand", "leg", "hip", "shoulder")
_NAME = re.compile(r"IMG(\d+)\.jpg")


def fits(data_dir: Path) -> bool:
    """Tell whether a folder has this layout."""
    return (data_dir / "dataset.csv").is_file() and (data_dir / "images").is_dir()


def read(data_dir: Path) -> Dataset:
    """Read a folder in this layout.

    Args:
        data_dir: The folder. Images may stand in folders inside `images/`.

    Returns:
        One sample a row of `dataset.csv`, ordered by number; parts and hardware as told there. Where it
        has a column `csv_fractured`, disagreements with `fractured` are remarked upon.

    Raises:
        DataError: a table is not as expected.
    """
    table, boxes_path = data_dir / "dataset.csv", data_dir / "boxes.csv"
    boxes = _read_boxes(boxes_path) if boxes_path.is_file() else {}
    paths = _images(data_dir / "images")
    rows = read_rows(table)
    samples = [_sample(row, table, data_dir, paths, boxes) for row in rows]
    strangers = boxes.keys() - {sample.image_id for sample in samples}
    if strangers:
        raise DataError(f"{boxes_path} names {min(strangers)}, which {table.name} does not list.")
    return Dataset(
        data_dir=data_dir,
        layout="FracAtlas",
        name=data_dir.resolve().name,
        positive="fracture",
        sha256=_fingerprint(table, boxes_path),
        samples=tuple(sorted(samples, key=lambda sample: sample.number or 0)),
        remarks=tuple(_remarks(rows, paths, bool(boxes))),
    )


def _sample(
    row: dict[str, str],
    table: Path,
    data_dir: Path,
    paths: dict[str, Path],
    boxes: dict[str, tuple[Box, ...]],
) -> Sample:
    image_id = text(row, "image_id", table)
    name = _NAME.fullmatch(image_id)
    if name is None:
        raise DataError(f"Expected image ids like IMG0000019.jpg in {table}, found {image_id}.")
    return Sample(
        image_id=image_id,
        path=paths.get(image_id, data_dir / "images" / image_id),
        fractured=flag(row, "fractured", table),
        number=int(name[1]),
        body_parts=tuple(part for part in _PARTS if flag(row, part, table)),
        hardware=flag(row, "hardware", table),
        boxes=boxes.get(image_id, ()),
    )


def _read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    boxes: dict[str, tuple[Box, ...]] = {}
    for row in read_rows(path):
        image_id = text(row, "image_id", path)
        box = Box(*(fraction(row, column, path) for column in ("x", "y", "width", "height")))
        boxes[image_id] = (*boxes.get(image_id, ()), box)
    return boxes


def _images(folder: Path) -> dict[str, Path]:
    paths: dict[str, Path] = {}
    for path in filter(is_image, files_in(folder)):
        if path.name in paths:
            raise DataError(f"{path} and {paths[path.name]} have the same name. Keep one of them.")
        paths[path.name] = path
    return paths


def _remarks(rows: list[dict[str, str]], paths: Mapping[str, Path], boxed: bool) -> list[str]:
    disagreeing = [
        row["image_id"] for row in rows if row.get("csv_fractured", row["fractured"]) != row["fractured"]
    ]
    remarks = []
    if disagreeing:
        remarks.append(
            f"{len(disagreeing)} labels differ between the columns fractured, which counts, and "
            f"csv_fractured: {', '.join(disagreeing)}."
        )
    strangers = sorted(paths.keys() - {row["image_id"] for row in rows})
    if strangers:
        remarks.append(
            f"{len(strangers)} images are not listed in dataset.csv and are passed over, the first is "
            f"{strangers[0]}."
        )
    if not boxed:
        remarks.append(
            "There is no boxes.csv (image_id, x, y, width, height as fractions of the picture), so nothing "
            "can teach or judge where to look."
        )
    return remarks


def _fingerprint(*tables: Path) -> str:
    digest = hashlib.sha256()
    for table in tables:
        if table.is_file():
            digest.update(table.read_bytes())
    return digest.hexdigest()
