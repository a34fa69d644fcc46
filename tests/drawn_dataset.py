"""Small data sets of drawn pictures, in the layouts that training reads."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from PIL import Image

from export.proof.drawn import draw_xray

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


def write_drawn_mura(root: Path) -> Path:
    """Write a tree in the MURA layout: two views a study, 30 patients to train on and 6 to test on."""
    for patient in range(1, 37):
        side = "train" if patient <= 30 else "valid"
        part = ("XR_WRIST", "XR_ELBOW", "XR_HAND")[patient % 3 - 1]
        label = "positive" if patient % 2 else "negative"
        study = root / side / part / f"patient{patient:05d}" / f"study1_{label}"
        study.mkdir(parents=True)
        for view in (1, 2):
            _unlike_others(10 * patient + view, label == "positive").save(study / f"image{view}.png")
    return root


def write_drawn_class_folders(data_dir: Path, sides: tuple[str, ...]) -> Path:
    """Write eight pictures of each class to `fractured` and `normal` in every side's folder."""
    for place, side in enumerate(sides):
        for fractured, name in ((True, "fractured"), (False, "normal")):
            class_dir = data_dir / side / name
            class_dir.mkdir(parents=True)
            for index in range(8):
                seed = 100 * place + 10 * index + fractured
                _unlike_others(seed, fractured).save(class_dir / f"{seed:03d}.png")
    return data_dir


def _unlike_others(seed: int, fractured: bool) -> Image.Image:
    """Draw an X-ray that no other resembles: limbs of one kind would count as near duplicates."""
    generator = np.random.default_rng(seed)
    patches = np.kron(generator.integers(0, 100, (6, 6), np.uint8), np.ones((19, 16), np.uint8))
    return Image.fromarray(draw_xray(seed, 114, 96, fractured) // 2 + patches)


def _write(path: Path, columns: tuple[str, ...], rows: list[list[object]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
