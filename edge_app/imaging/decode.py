"""The one way from untrusted bytes to a Picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from edge_app.imaging.images import MAX_PIXELS, MIN_SIDE_PX, decode_image, is_coloured
from edge_app.imaging.picture import Picture

Decoder = Callable[[bytes], Picture]


def decode(data: bytes, max_pixels: int = MAX_PIXELS) -> Picture:
    """Decode a file, whatever its name, by its content.

    Args:
        data: The file's bytes.
        max_pixels: The largest height times width that is decoded.

    Returns:
        The picture as a viewer would display it.

    Raises:
        ImageError: the bytes give no picture that can be judged; the message says why.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the libraries' warnings quote what they read
        return _decode(data, max_pixels)


def _decode(data: bytes, max_pixels: int) -> Picture:
    if is_dicom(data):
        # Loaded with the first DICOM file: it would double the time that the app takes to start.
        from edge_app.imaging.dicom import read_dicom

        return read_dicom(data, max_pixels, MIN_SIDE_PX)
    return Picture(decode_image(data, max_pixels), is_coloured=is_coloured(data))


def is_dicom(data: bytes) -> bool:
    """Tell a DICOM file by its prefix, even where its preamble makes it look like another format.

    Source:
        DICOM PS3.10, section 7.1: 128 bytes that mean nothing, then DICM.
    """
    return data[128:132] == b"DICM"
