"""A small data set of drawn pictures in the FracAtlas layout."""

from __future__ import annotations

import csv
from pathlib import Path

from PIL import Image

from export.drawn import draw_xray

BLOCKS = 8
PER_BLOCK = 8
_COLUMNS = ("image_id", "fractured", "hand", "leg", "hip", "shoulder", "hardware")


def write_drawn_dataset(data_dir: Path) -> Path:
    """Write 64 pictures in 8 blocks of numbers, half of them with a drawn crack, one truncated."""
    (data_dir / "images").mkdir(parents=True)
    rows = []
    for index in range(BLOCKS * PER_BLOCK):
        image_id = f"IMG{50 * (index // PER_BLOCK) + 6 * (index % PER_BLOCK):07d}.jpg"
        fractured = index % 2
        picture = Image.fromarray(draw_xray(index, 113, 93, bool(fractured)))
        picture.save(data_dir / "images" / image_id, quality=95)
        rows.append([image_id, fractured, 1, 0, 0, 0, 0])
    truncated = data_dir / "images" / rows[0][0]
    truncated.write_bytes(truncated.read_bytes()[:1000])
    _write(data_dir / "dataset.csv", _COLUMNS, rows)
    boxes = [[row[0], 0.3, 0.4, 0.2, 0.1] for row in rows if row[1]]
    _write(data_dir / "boxes.csv", ("image_id", "x", "y", "width", "height"), boxes)
    return data_dir


def _write(path: Path, columns: tuple[str, ...], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
