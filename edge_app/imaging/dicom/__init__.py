"""DICOM bytes to a Picture: dataset, tags, stored values, display, header."""

from __future__ import annotations

from edge_app.imaging.dicom.dataset import check_values, open_dataset, refusing_broken
from edge_app.imaging.dicom.display import display
from edge_app.imaging.dicom.header import read_header
from edge_app.imaging.dicom.stored import stored_values
from edge_app.imaging.dicom.tags import check_kind, read_encoding
from edge_app.imaging.picture import Picture


def read_dicom(data: bytes, max_pixels: int, min_side_px: int) -> Picture:
    """Read one X-ray picture from a DICOM file.

    Args:
        data: The file's bytes.
        max_pixels: The largest rows times columns that is decoded.
        min_side_px: The fewest rows or columns.

    Returns:
        The picture as a viewer would display it, and what its header says.

    Raises:
        ImageError: the file holds no such picture, or contradicts itself; the message says why.
    """
    with refusing_broken():
        dataset, syntax, file_sop_class = open_dataset(data)
        check_kind(dataset, file_sop_class)
        check_values(dataset)
        encoding = read_encoding(dataset, max_pixels, min_side_px)
        pixels, windows = display(dataset, stored_values(dataset, syntax, encoding), encoding)
        return Picture(pixels, read_header(dataset, windows))
