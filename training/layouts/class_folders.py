"""Class folders: `data/{train,validation,test}/{fractured,normal}`, or the two classes alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from training.samples import Dataset, Sample, fingerprint, is_image

EXPECTED = "class folders: {train,validation,test}/{fractured,normal}, or fractured and normal alone"
SIDES = ("train", "validation", "test")
CLASSES = {"fractured": True, "normal": False}


def fits(data_dir: Path) -> bool:
    """Tell whether a folder has this layout."""
    return any(True for _ in _class_dirs(data_dir))


def read(data_dir: Path) -> Dataset:
    """Read a folder in this layout.

    Args:
        data_dir: The folder. Images may stand in folders inside a class.

    Returns:
        One sample an image, ordered by path; nothing is known of patients, parts, hardware or boxes.
    """
    samples = []
    others = 0
    for side, fractured, class_dir in _class_dirs(data_dir):
        files = sorted(path for path in class_dir.rglob("*") if path.is_file())
        images = [path for path in files if is_image(path)]
        others += len(files) - len(images)
        samples += [Sample(path.relative_to(data_dir).as_posix(), path, fractured, side) for path in images]
    remarks = [f"{others} files are no JPEG or PNG by their names and are passed over."] if others else []
    return Dataset(
        layout="class folders",
        name=data_dir.resolve().name,
        positive="fracture",
        sha256=fingerprint(samples),
        samples=tuple(samples),
        remarks=tuple(remarks),
    )


def _class_dirs(data_dir: Path) -> Iterator[tuple[str, bool, Path]]:
    for side in (*SIDES, ""):
        for name, fractured in CLASSES.items():
            class_dir = data_dir / side / name
            if class_dir.is_dir():
                yield side, fractured, class_dir
