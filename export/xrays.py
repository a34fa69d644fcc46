"""The X-rays of a run, read again from the data that it was trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from edge_app.errors import DataError, ImageError
from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import to_square
from export.runs import XrayRecord


@dataclass(frozen=True)
class Xrays:
    """N X-rays: how the run lists them, squares uint8 (N, S, S), and the pictures' heights and widths."""

    records: tuple[XrayRecord, ...]
    squares: NDArray[np.uint8]
    shapes: tuple[tuple[int, int], ...]


def read_xrays(data_dir: Path, records: Sequence[XrayRecord], size_px: int, purpose: str) -> Xrays:
    """Decode X-rays and lay them into squares, as the app does.

    Args:
        data_dir: The data that the run was trained on.
        records: Which X-rays to read.
        size_px: The side S of the squares.
        purpose: What the progress bar says.

    Returns:
        The X-rays, in the order of `records`.

    Raises:
        DataError: there are none, or one is missing or cannot be decoded.
    """
    if not records:
        raise DataError(f"The run lists no X-ray for the {purpose}. Train with more X-rays.")
    squares = np.empty((len(records), size_px, size_px), np.uint8)
    shapes = []
    for index, xray in enumerate(tqdm(records, purpose, unit="image", leave=False, disable=None)):
        image = read_picture(data_dir, xray)
        squares[index] = to_square(image, size_px)
        shapes.append((image.shape[0], image.shape[1]))
    return Xrays(tuple(records), squares, tuple(shapes))


def evenly_spread(records: Sequence[XrayRecord], count: int) -> list[XrayRecord]:
    """Choose up to `count` X-rays at even distances, the first and the last among them."""
    places = np.linspace(0, len(records) - 1, min(count, len(records))).round().astype(int)
    return [records[place] for place in places]


def read_picture(data_dir: Path, record: XrayRecord) -> NDArray[np.uint8]:
    """Decode one X-ray, as the app does.

    Args:
        data_dir: The data that the run was trained on.
        record: Which X-ray to read.

    Returns:
        uint8 (H, W).

    Raises:
        DataError: it is missing or cannot be decoded.
    """
    path = data_dir / record.file
    try:
        return decode_image(path.read_bytes())
    except OSError as error:
        raise DataError(
            f"{path} cannot be read: {error.strerror}. Name with --data the folder that was trained on."
        ) from error
    except ImageError as error:
        raise DataError(
            f"{path} is not the X-ray that was trained on: {error} Restore the data."
        ) from error
