"""Image folders on disk to one table of samples."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import DataError

FRACATLAS = {
    "name": "FracAtlas",
    "citation": (
        "Abedeen, I. et al. FracAtlas: A Dataset for Fracture Classification, Localization and "
        "Segmentation of Musculoskeletal Radiographs. Scientific Data 10:521 (2023), "
        "doi 10.1038/s41597-023-02432-4"
    ),
    "licence": "CC BY 4.0",
}
_FRACATLAS_PARTS = ("hand", "leg", "hip", "shoulder")
_FRACATLAS_NAME = re.compile(r"IMG(\d+)\.jpg")


@dataclass(frozen=True)
class Box:
    """A fracture's box: top left corner and extent, as fractions of the picture's width and height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Sample:
    """One labelled X-ray.

    `number` is its place in the order in which the hospital's images were exported: neighbours are
    often the same patient.
    """

    image_id: str
    path: Path
    fractured: bool
    number: int
    body_parts: tuple[str, ...]
    hardware: bool
    boxes: tuple[Box, ...]


def read_dataset(data_dir: Path) -> list[Sample]:
    """Read a folder in the FracAtlas layout: `images/`, `dataset.csv` and `boxes.csv`.

    Args:
        data_dir: The folder.

    Returns:
        One sample a row of `dataset.csv`, ordered by number.

    Raises:
        DataError: the folder has another layout, the table names an absent image, or only one class
            occurs.
    """
    missing = [name for name in ("images", "dataset.csv", "boxes.csv") if not (data_dir / name).exists()]
    if missing:
        raise DataError(
            f"{data_dir} does not have the FracAtlas layout: {', '.join(missing)} not found. Expected "
            "a folder with images/, dataset.csv (image_id, fractured, hand, leg, hip, shoulder, "
            "hardware) and boxes.csv (image_id, x, y, width, height)."
        )
    boxes = _read_boxes(data_dir / "boxes.csv")
    rows = _read_rows(data_dir / "dataset.csv")
    samples = [_sample(row, data_dir / "images", boxes) for row in rows]
    absent = [sample.image_id for sample in samples if not sample.path.is_file()]
    if absent:
        raise DataError(
            f"dataset.csv names {len(absent)} images that are not in {data_dir / 'images'}, the first "
            f"is {absent[0]}. Restore the images or remove their rows."
        )
    if len({sample.fractured for sample in samples}) < 2:
        raise DataError("Both fractured and normal X-rays are needed; dataset.csv has one class only.")
    return sorted(samples, key=lambda sample: sample.number)


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    boxes: dict[str, tuple[Box, ...]] = {}
    for row in _read_rows(path):
        box = Box(*(float(row[column]) for column in ("x", "y", "width", "height")))
        boxes[row["image_id"]] = (*boxes.get(row["image_id"], ()), box)
    return boxes


def _sample(row: dict[str, str], image_dir: Path, boxes: dict[str, tuple[Box, ...]]) -> Sample:
    try:
        image_id = row["image_id"]
        name = _FRACATLAS_NAME.fullmatch(image_id)
        if name is None:
            raise DataError(f"Expected image ids like IMG0000019.jpg in dataset.csv, found {image_id}.")
        return Sample(
            image_id=image_id,
            path=image_dir / image_id,
            fractured=row["fractured"] == "1",
            number=int(name[1]),
            body_parts=tuple(part for part in _FRACATLAS_PARTS if row[part] == "1"),
            hardware=row["hardware"] == "1",
            boxes=boxes.get(image_id, ()),
        )
    except KeyError as error:
        raise DataError(f"dataset.csv has no column {error}.") from error
