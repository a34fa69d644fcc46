"""The MURA v1.1 layout: `train/XR_WRIST/patient00001/study1_positive/image1.png`, and its tables.

Source: Rajpurkar et al., MURA: Large Dataset for Abnormality Detection in Musculoskeletal Radiographs,
arXiv 1712.06957, sections 2.1 to 2.3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from edge_app.errors import DataError
from training.data.layouts.tables import flag, read_rows, text
from training.data.samples import Dataset, Sample, files_in, fingerprint, is_image

EXPECTED = "MURA v1.1: {train,valid}/XR_WRIST/patient00001/study1_positive/image1.png"
# MURA's public validation set is what models are judged on: its hidden test set was never published.
SIDES = {"train": "train", "valid": "test"}
_IMAGE = re.compile(
    r"(?P<side>train|valid)/(?P<part>XR_[A-Z]+)/(?P<patient>patient\d+)/"
    r"(?P<study>study\d+_(?P<label>positive|negative))/[^/]+"
)


def root_of(data_dir: Path) -> Path:
    """Return the folder that holds `train` and `valid`: the given one, or MURA-v1.1 inside it."""
    inner = data_dir / "MURA-v1.1"
    return inner if inner.is_dir() else data_dir


def fits(data_dir: Path) -> bool:
    """Tell whether a folder has this layout."""
    return any(any((root_of(data_dir) / side).glob("XR_*")) for side in SIDES)


def read(data_dir: Path) -> Dataset:
    """Read a folder in this layout.

    A study's label is the one in its folder's name; it means an abnormality, not only a fracture.
    Where `train_image_paths.csv` or `valid_image_paths.csv` exists, it says which images belong.

    Args:
        data_dir: The folder MURA-v1.1, or the one that holds it.

    Returns:
        One sample an image, ordered by path. `valid` is the side "test".

    Raises:
        DataError: a path or a table is not as expected.
    """
    root = root_of(data_dir)
    samples: list[Sample] = []
    remarks: list[str] = []
    for side in SIDES:
        images = filter(is_image, files_in(root / side))
        on_disk = {path.relative_to(root).as_posix() for path in images}
        listed = _listed(root / f"{side}_image_paths.csv")
        strangers = on_disk - listed if listed is not None else set()
        if strangers:
            remarks.append(
                f"{len(strangers)} images in {side} are not in {side}_image_paths.csv and are passed "
                f"over, the first is {min(strangers)}."
            )
        samples += [_sample(root, name) for name in sorted(on_disk if listed is None else listed)]
        remarks += _disagreements(root / f"{side}_labeled_studies.csv")
    return Dataset(
        data_dir=data_dir,
        layout="MURA",
        name=root.resolve().name,
        positive="abnormality",
        sha256=fingerprint(samples),
        samples=tuple(samples),
        remarks=tuple(remarks),
    )


def _sample(root: Path, name: str) -> Sample:
    found = _IMAGE.fullmatch(name)
    if found is None:
        raise DataError(
            f"{root / name} does not fit MURA's layout; expected a path like "
            "train/XR_WRIST/patient00001/study1_positive/image1.png."
        )
    return Sample(
        image_id=name,
        path=root / name,
        fractured=found["label"] == "positive",
        side=SIDES[found["side"]],
        patient=found["patient"],
        study=f"{found['part']}/{found['patient']}/{found['study']}",
        body_parts=(found["part"].removeprefix("XR_").lower(),),
    )


def _listed(table: Path) -> set[str] | None:
    if not table.is_file():
        return None
    paths = (text(row, "path", table) for row in read_rows(table, ("path",)))
    return {path.removeprefix("MURA-v1.1/") for path in paths}


def _disagreements(table: Path) -> Iterator[str]:
    if not table.is_file():
        return
    rows = read_rows(table, ("path", "label"))
    differing = [
        text(row, "path", table)
        for row in rows
        if ("_positive" in text(row, "path", table)) != flag(row, "label", table)
    ]
    if differing:
        yield (
            f"{len(differing)} studies are labelled otherwise in {table.name} than by their folders, "
            f"which count: {', '.join(differing)}."
        )
