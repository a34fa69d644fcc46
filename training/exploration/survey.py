"""What a data set's files hold, measured once for all plots of an exploration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edge_app.errors import DataError
from edge_app.imaging.images import decode_image
from training.data.datasets import read_dataset
from training.data.samples import Dataset
from training.data.scan import Scan, scan_samples
from training.data.splits import duplicate_pairs

# As in a training by default, so that both find the same duplicates.
_SIZE_PX = 224
_DEPTHS = {
    "1": "black and white",
    "L": "8-bit grey",
    "LA": "8-bit grey with transparency",
    "P": "palette",
    "I;16": "16-bit grey",
    "I": "16-bit grey",
    "RGB": "8-bit colour",
    "RGBA": "8-bit colour with transparency",
}


@dataclass(frozen=True)
class Survey:
    """A data set with facts on its N readable files, in the order of `scan.samples`.

    `labels` is float32 (N,), 0 or 1; `grey_levels` float64 (N,), the mean of each picture in 0..255;
    `sizes_bytes` int64 (N,). `kinds` tells each file's format and depth. `pairs`, int64 (P, 2), are the
    duplicates by index, and `identical`, bool (P,), tells which of them are equal in every pixel.
    """

    dataset: Dataset
    scan: Scan
    labels: NDArray[np.float32]
    grey_levels: NDArray[np.float64]
    sizes_bytes: NDArray[np.int64]
    kinds: list[str]
    pairs: NDArray[np.int64]
    identical: NDArray[np.bool_]


def survey_dataset(data_dir: Path) -> Survey:
    """Read a data set and decode every file once.

    Args:
        data_dir: A folder in one of the known layouts.

    Returns:
        What was found.

    Raises:
        DataError: the folder fits no layout, or what can be read in it is not of both classes.
    """
    dataset = read_dataset(data_dir)
    scan = scan_samples(dataset.samples, _SIZE_PX, "none")
    labels = np.array([sample.fractured for sample in scan.samples], np.float32)
    if len(np.unique(labels)) < 2:
        raise DataError(
            f"Both fractured and normal X-rays are needed; the {len(labels)} that can be read in "
            f"{data_dir} are of one class."
        )
    paths = [sample.path for sample in scan.samples]
    pairs = duplicate_pairs(scan.thumbnails)
    return Survey(
        dataset=dataset,
        scan=scan,
        labels=labels,
        grey_levels=_grey_levels(scan),
        sizes_bytes=np.array([path.stat().st_size for path in paths], np.int64),
        kinds=[_kind(path) for path in paths],
        pairs=pairs,
        identical=np.array([_identical(paths[first], paths[second]) for first, second in pairs], bool),
    )


def _grey_levels(scan: Scan) -> NDArray[np.float64]:
    """Return each picture's mean, without the black that fills up its square."""
    covered = scan.shapes.min(axis=1) / scan.shapes.max(axis=1)
    return scan.thumbnails.mean(axis=(1, 2)) / covered


def _kind(path: Path) -> str:
    with Image.open(path) as picture:
        return f"{picture.format}, {_DEPTHS.get(picture.mode, picture.mode)}"


def _identical(first: Path, second: Path) -> bool:
    return np.array_equal(decode_image(first.read_bytes()), decode_image(second.read_bytes()))
