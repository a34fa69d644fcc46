"""Small files that ask for much: refused, or decoded within the limits."""

from __future__ import annotations

import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import psutil
import pytest
from PIL import Image

from edge_app.errors import ImageError, InvalidImage
from edge_app.imaging.child import LIMIT_S, ChildDecoder
from edge_app.imaging.sandbox.program import MEMORY_BYTES

pytestmark = pytest.mark.slow
UNFOLDED_BYTES = 80_000_000
DECODED, REFUSED = "picture", "refused"


@pytest.fixture(scope="module")
def decoder() -> Iterator[ChildDecoder]:
    decoder = ChildDecoder()
    assert decoder.isolation.in_force
    yield decoder
    decoder.close()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + pixels + chunk(b"IEND", b"")


def pixels_beyond_the_limit() -> bytes:
    return png(30_000, 30_000, 8, 0, bytes(1000))


def colour_at_the_limit() -> bytes:
    return png(8000, 4000, 8, 6, bytes(4000 * (1 + 4 * 8000)))


def deep_grey_at_the_limit() -> bytes:
    return png(8000, 4000, 16, 0, bytes(4000 * (1 + 2 * 8000)))


def rows_without_end() -> bytes:
    return png(64, 64, 8, 0, bytes(UNFOLDED_BYTES))


def text_that_unfolds() -> bytes:
    text = chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(UNFOLDED_BYTES)))
    return png(64, 64, 8, 0, bytes(64 * 65), text)


def profile_that_unfolds() -> bytes:
    profile = chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(UNFOLDED_BYTES)))
    return png(64, 64, 8, 0, bytes(64 * 65), profile)


def jpeg_of_the_largest_size() -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.zeros((64, 64), np.uint8)).save(file, "JPEG")
    at = file.getvalue().index(b"\xff\xc0")
    return file.getvalue()[: at + 5] + struct.pack(">HH", 65_500, 65_500) + file.getvalue()[at + 9 :]


def progressive_scans() -> bytes:
    """Repeat a scan of a progressive JPEG a thousand times: each makes the decoder go over the picture."""
    file = io.BytesIO()
    Image.fromarray(np.zeros((2000, 2000), np.uint8)).save(file, "JPEG", progressive=True)
    data = file.getvalue()
    begin = data.rindex(b"\xff\xda")
    return data[:begin] + data[begin:-2] * 1000 + data[-2:]


def many_frames() -> bytes:
    file = io.BytesIO()
    frames = [Image.new("L", (200, 200), level) for level in range(100)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    return file.getvalue()


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (pixels_beyond_the_limit, REFUSED),
        (colour_at_the_limit, DECODED),
        (deep_grey_at_the_limit, DECODED),
        (rows_without_end, None),
        (text_that_unfolds, None),
        (profile_that_unfolds, None),
        (jpeg_of_the_largest_size, REFUSED),
        (many_frames, REFUSED),
    ],
)
def test_bomb_takes_bounded_memory_and_time(
    decoder: ChildDecoder, make: Callable[[], bytes], expected: str | None
) -> None:
    data = make()
    assert len(data) < 4_000_000
    begin_s = time.monotonic()
    try:
        height, width = decoder(data).pixels.shape
        outcome = DECODED
        assert height * width <= 32_000_000
    except ImageError:
        outcome = REFUSED
    assert expected in (None, outcome)
    assert time.monotonic() - begin_s < LIMIT_S + 2
    assert psutil.Process(decoder.process_id).memory_info().rss < MEMORY_BYTES
    assert decoder(png(40, 40, 8, 0, bytes(40 * 41))).pixels.shape == (40, 40)


def test_scans_without_end_are_given_up() -> None:
    decoder = ChildDecoder(limit_s=1)
    data = progressive_scans()
    assert len(data) < 100_000
    with pytest.raises(InvalidImage, match="took longer than 1 seconds"):
        decoder(data)
    decoder.close()
