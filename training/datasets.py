"""Image folders on disk to one table of samples."""

from __future__ import annotations

import csv
import math
import re
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import DataError

TABLES = ("dataset.csv", "boxes.csv")
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
    check_layout(data_dir)
    boxes = _read_boxes(data_dir / "boxes.csv")
    samples = _read_samples(data_dir, boxes)
    strangers = boxes.keys() - {sample.image_id for sample in samples}
    if strangers:
        raise DataError(f"boxes.csv names {min(strangers)}, which dataset.csv does not list.")
    absent = [sample.image_id for sample in samples if not sample.path.is_file()]
    if absent:
        raise DataError(
            f"dataset.csv names {len(absent)} images that are not in {data_dir / 'images'}, the first "
            f"is {absent[0]}. Restore the images or remove their rows."
        )
    if len({sample.fractured for sample in samples}) < 2:
        raise DataError("Both fractured and normal X-rays are needed; dataset.csv has one class only.")
    return sorted(samples, key=lambda sample: sample.number)


def check_layout(data_dir: Path) -> None:
    """Refuse a folder that is not in the FracAtlas layout.

    Args:
        data_dir: The folder.

    Raises:
        DataError: something of the layout is missing.
    """
    missing = [name for name in ("images", *TABLES) if not (data_dir / name).exists()]
    if missing:
        raise DataError(
            f"{data_dir} does not have the FracAtlas layout: {', '.join(missing)} not found. Expected "
            "a folder with images/, dataset.csv (image_id, fractured, hand, leg, hip, shoulder, "
            "hardware) and boxes.csv (image_id, x, y, width, height)."
        )


def _read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _read_boxes(path: Path) -> dict[str, tuple[Box, ...]]:
    boxes: dict[str, tuple[Box, ...]] = {}
    for row in _read_rows(path):
        image_id = _text(row, "image_id", path)
        box = Box(*(_fraction(row, column, path) for column in ("x", "y", "width", "height")))
        boxes[image_id] = (*boxes.get(image_id, ()), box)
    return boxes


def _read_samples(data_dir: Path, boxes: dict[str, tuple[Box, ...]]) -> list[Sample]:
    path = data_dir / "dataset.csv"
    samples = []
    for row in _read_rows(path):
        image_id = _text(row, "image_id", path)
        name = _FRACATLAS_NAME.fullmatch(image_id)
        if name is None:
            raise DataError(f"Expected image ids like IMG0000019.jpg in {path}, found {image_id}.")
        sample = Sample(
            image_id=image_id,
            path=data_dir / "images" / image_id,
            fractured=_flag(row, "fractured", path),
            number=int(name[1]),
            body_parts=tuple(part for part in _FRACATLAS_PARTS if _flag(row, part, path)),
            hardware=_flag(row, "hardware", path),
            boxes=boxes.get(image_id, ()),
        )
        samples.append(sample)
    return samples


def _text(row: dict[str, str], column: str, path: Path) -> str:
    if column not in row:
        raise DataError(f"{path} has no column {column!r}; it has {', '.join(map(str, row))}.")
    return row[column]


def _flag(row: dict[str, str], column: str, path: Path) -> bool:
    text = _text(row, column, path)
    if text not in ("0", "1"):
        raise DataError(f"{path} holds {column} {text!r}; expected 0 or 1.")
    return text == "1"


def _fraction(row: dict[str, str], column: str, path: Path) -> float:
    text = _text(row, column, path)
    try:
        value = float(text)
    except (TypeError, ValueError):
        value = math.nan
    if not 0 <= value <= 1:
        raise DataError(f"{path} holds {column} {text!r}; expected a fraction of the picture, 0 to 1.")
    return value
