"""Class folders: `data/{train,validation,test}/{fractured,normal}`, or the two classes alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_app.errors import DataError
from training.data.samples import Dataset, Sample, files_in, fingerprint, is_image

EXPECTED = "class folders: {train,validation,test}/{fractured,normal}, or fractured and normal alone"
SIDES = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
CLASSES = {"fractured": True, "normal": False}


def fits(data_dir: Path) -> bool:
    """Tell whether a folder has this layout."""
    return any(True for _ in _class_dirs(data_dir))


def read(data_dir: Path) -> Dataset:
    """Read a folder in this layout.

    Args:
        data_dir: The folder. Images may stand in folders inside a class.

    Returns:
        One sample an image, ordered by path; nothing is known of patients, parts, hardware or boxes. Images
        elsewhere in the folder, and other files, are remarked upon.

    Raises:
        DataError: classes stand both in sides' folders and beside them.
    """
    class_dirs = list(_class_dirs(data_dir))
    sides = {side for side, _, _ in class_dirs}
    if "" in sides and len(sides) > 1:
        raise DataError(
            f"{data_dir} holds folders of the classes both by themselves and inside sides. Move all X-rays "
            "into sides, or none."
        )
    samples = [
        Sample(path.relative_to(data_dir).as_posix(), path, fractured, side)
        for side, fractured, class_dir in class_dirs
        for path in files_in(class_dir)
        if is_image(path)
    ]
    return Dataset(
        data_dir=data_dir,
        layout="class folders",
        name=data_dir.resolve().name,
        positive="fracture",
        sha256=fingerprint(samples),
        samples=tuple(samples),
        remarks=tuple(_remarks(data_dir, {sample.path for sample in samples})),
    )


def _remarks(data_dir: Path, taken: set[Path]) -> Iterator[str]:
    others = [path for path in files_in(data_dir) if path not in taken]
    images = [path for path in others if is_image(path)]
    if images:
        yield (
            f"{len(images)} images stand outside the folders of the classes and are passed over, the first "
            f"is {images[0].relative_to(data_dir)}."
        )
    if len(others) > len(images):
        yield f"{len(others) - len(images)} files are no JPEG or PNG by their names and are passed over."


def _class_dirs(data_dir: Path) -> Iterator[tuple[str, bool, Path]]:
    for folder, side in {**SIDES, "": ""}.items():
        for name, fractured in CLASSES.items():
            class_dir = data_dir / folder / name
            if class_dir.is_dir():
                yield side, fractured, class_dir
