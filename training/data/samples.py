"""One labelled X-ray, and a table of them: what every data set layout is read into."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from edge_app.model.pointing import Box

_SUFFIXES = {".jpg", ".jpeg", ".png"}


@dataclass(frozen=True)
class Sample:
    """One labelled X-ray; what a data set does not tell stays empty.

    `image_id` is unique in its data set. `fractured` is the positive label: a fracture, or what else the
    data set calls positive. `side` is "train", "validation" or "test" where the data set has sides.
    `patient` and `study` are unique names. `number` is the place in the order in which the hospital's
    images were exported: neighbours are often the same patient. `hardware` tells of plates and screws.
    """

    image_id: str
    path: Path
    fractured: bool
    side: str = ""
    patient: str = ""
    study: str = ""
    number: int | None = None
    body_parts: tuple[str, ...] = ()
    hardware: bool | None = None
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """A data set as it was found.

    `data_dir` is the folder that was read; every image stands in it. `layout` is "MURA", "class folders" or
    "FracAtlas", `positive` what its positive label means, `sha256` a fingerprint of its table. `remarks`
    are sentences on what is odd about it.
    """

    data_dir: Path
    layout: str
    name: str
    positive: str
    sha256: str
    samples: tuple[Sample, ...]
    remarks: tuple[str, ...] = ()

    def tells_patients(self) -> bool:
        """Tell whether X-rays of one patient can be kept together, by name or by number."""
        return all(sample.patient or sample.number is not None for sample in self.samples)


def files_in(folder: Path) -> list[Path]:
    """Return every file in a folder and in those inside it, links followed, in order."""
    walked = os.walk(folder, followlinks=True)
    return sorted(Path(where) / name for where, _, names in walked for name in names)


def is_image(path: Path) -> bool:
    """Tell by its name whether a file is an X-ray; `._image1.png` is a leftover of macOS."""
    return path.suffix.lower() in _SUFFIXES and not path.name.startswith(".")


def fingerprint(samples: Iterable[Sample]) -> str:
    """Return a SHA-256 over what tells data sets and their versions apart: paths, labels, file sizes."""
    digest = hashlib.sha256()
    for sample in samples:
        size_bytes = sample.path.stat().st_size if sample.path.is_file() else -1
        digest.update(f"{sample.image_id}\t{sample.fractured}\t{size_bytes}\n".encode())
    return digest.hexdigest()
