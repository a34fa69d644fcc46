"""The one way from untrusted bytes to a Picture."""

from __future__ import annotations

from collections.abc import Callable

from edge_app.imaging.images import MAX_PIXELS, decode_image
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
    return Picture(decode_image(data, max_pixels))
