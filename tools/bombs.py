"""Small files that ask for much, and what they take: `python -m tools.bombs`."""

from __future__ import annotations

import io
import struct
import sys
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np
import psutil
from imagecodecs import jpeg2k_encode
from PIL import Image
from pydicom import uid
from pydicom.encaps import encapsulate

from edge_app.errors import ImageError
from edge_app.imaging.child import ChildDecoder
from tools.drawn_dicom import drawn_dicom
from tools.drawn_tiff import DEFLATE, tiled_tiff

UNFOLDED_BYTES = 80_000_000
PICTURE, REFUSED = "picture", "refused"
_SIDE_PX = 64
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_UNDEFINED = 0xFFFFFFFF
_VIEW_CODES = (0x0054, 0x0220)


class Cost(NamedTuple):
    """What a file took: the most resident memory, seconds on a processor, and what became of it."""

    peak_mib: float
    processor_s: float
    outcome: str


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *more: bytes) -> bytes:
    """Write a PNG, whatever its rows are.

    Args:
        width: In pixels.
        height: In pixels.
        depth: Bits of a sample.
        colour: PNG's colour type.
        rows: The rows, each with its filter.
        more: Further chunks.

    Returns:
        The file's bytes.
    """
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = _chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + b"".join(more) + pixels + _chunk(b"IEND", b"")


def pixels_beyond_the_limit() -> bytes:
    """Announce 900 million pixels in a PNG."""
    return png(30_000, 30_000, 8, 0, bytes(1000))


def colour_at_the_limit() -> bytes:
    """Fill a PNG of the largest size with colour and transparency."""
    return png(8000, 4000, 8, 6, bytes(4000 * (1 + 4 * 8000)))


def deep_grey_at_the_limit() -> bytes:
    """Fill a PNG of the largest size with 16-bit grey."""
    return png(8000, 4000, 16, 0, bytes(4000 * (1 + 2 * 8000)))


def rows_without_end() -> bytes:
    """Put 80 MB of rows into a PNG of 64 x 64 pixels."""
    return png(64, 64, 8, 0, bytes(UNFOLDED_BYTES))


def text_that_unfolds() -> bytes:
    """Hide 80 MB of text in a PNG."""
    text = _chunk(b"zTXt", b"note\0\0" + zlib.compress(bytes(UNFOLDED_BYTES)))
    return png(64, 64, 8, 0, bytes(64 * 65), text)


def profile_that_unfolds() -> bytes:
    """Hide a colour profile of 80 MB in a PNG."""
    profile = _chunk(b"iCCP", b"name\0\0" + zlib.compress(bytes(UNFOLDED_BYTES)))
    return png(64, 64, 8, 0, bytes(64 * 65), profile)


def jpeg_of_the_largest_size() -> bytes:
    """Announce the most pixels that a JPEG can."""
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
    """Put a hundred frames into a GIF."""
    return _frames("GIF")


def moving_picture() -> bytes:
    """Put a hundred frames into a WebP."""
    return _frames("WEBP")


def many_pages() -> bytes:
    """Put a hundred pages into a TIFF."""
    return _frames("TIFF")


def one_tile_everywhere() -> bytes:
    """Refer to one tile from every place of a TIFF of 31 million pixels."""
    return tiled_tiff((5600, 5600), (256, 256), [zlib.compress(bytes(256 * 256))], DEFLATE)


def tile_that_unfolds() -> bytes:
    """Let a tile of 64 x 64 pixels unfold to 80 MB."""
    return tiled_tiff((_SIDE_PX, _SIDE_PX), (64, 64), [zlib.compress(bytes(UNFOLDED_BYTES))], DEFLATE)


def tile_of_the_largest_size() -> bytes:
    """Cover a TIFF of 64 x 64 pixels with one tile of four thousand million."""
    return tiled_tiff((_SIDE_PX, _SIDE_PX), (65_520, 65_520), [zlib.compress(bytes(1000))], DEFLATE)


def smallest_tiles() -> bytes:
    """Cut a TIFF of 31 million pixels into 122,500 tiles."""
    return tiled_tiff((5600, 5600), (16, 16), [zlib.compress(bytes(16 * 16))], DEFLATE)


def directory_that_leads_to_itself() -> bytes:
    """Name as a TIFF's next page the same page again."""
    data = tiled_tiff((_SIDE_PX, _SIDE_PX), (64, 64), [bytes(_SIDE_PX**2)])
    return data[:-4] + data[4:8]


def nested_sequences() -> bytes:
    """Nest 20,000 sequences in a DICOM file."""
    depth, item = 20_000, _tag(_ITEM, _UNDEFINED)
    return _with(depth * (_element(_UNDEFINED) + item) + depth * (_tag(_ITEM_END) + _tag(_SEQUENCE_END)))


def items_without_end() -> bytes:
    """Put 450,000 empty items into a sequence of a DICOM file."""
    return _with(_element(_UNDEFINED) + 450_000 * _tag(_ITEM) + _tag(_SEQUENCE_END))


def items_of_a_told_length() -> bytes:
    """Put as many into a sequence that tells its length."""
    return _with(_element(450_000 * 8) + 450_000 * _tag(_ITEM))


def elements_without_end() -> bytes:
    """Put 350,000 elements into a DICOM file."""
    return _with(350_000 * struct.pack("<HH2sH2s", 0x0009, 0x1001, b"LO", 2, b"ab"))


def sequence_longer_than_the_file() -> bytes:
    """Tell a length of 2 GiB for a sequence of a DICOM file."""
    return _with(_element(0x7FFFFFFF))


def pixels_longer_than_the_file() -> bytes:
    """Tell a length of 2 GiB for the pixels of a DICOM file."""
    data = _plain()
    return data[: -(_SIDE_PX**2) - 4] + struct.pack("<I", 0x7FFFFFFE) + bytes(_SIDE_PX**2)


def fragment_longer_than_the_file() -> bytes:
    """Tell a length of 4 GiB for a fragment of a DICOM file's pixels."""
    data = drawn_dicom(uid.JPEGBaseline8Bit, encapsulate([bytes(1000)]), (_SIDE_PX, _SIDE_PX))
    return data.replace(_tag(_ITEM, 1000), _tag(_ITEM, 0xFFFFFFF0))


def run_lengths_beyond_the_picture() -> bytes:
    """Repeat pixels for 4 MB more than a DICOM file's rows and columns have."""
    frame = struct.pack("<16I", 1, 64, *14 * [0]) + 32_000 * b"\x81\x00"
    return drawn_dicom(uid.RLELossless, encapsulate([frame]), (_SIDE_PX, _SIDE_PX))


def dataset_that_unfolds() -> bytes:
    """Deflate 140 MB of pixels in a DICOM file."""
    return drawn_dicom(uid.DeflatedExplicitVRLittleEndian, bytes(140_000_000), (5600, 5600))


def most_tiles_of_jpeg_2000() -> bytes:
    """Announce 65,000 tiles for a JPEG 2000 picture of 31 million pixels in a DICOM file."""
    frame = bytearray(jpeg2k_encode(np.zeros((_SIDE_PX, _SIDE_PX), np.uint8), 0, codecformat="j2k"))
    at = frame.index(b"\xff\x51") + 6  # the size, then the offset, of picture and of tile
    frame[at : at + 32] = struct.pack(">8I", 5600, 5600, 0, 0, 22, 22, 0, 0)
    return drawn_dicom(uid.JPEG2000Lossless, encapsulate([bytes(frame)]), (5600, 5600))


BOMBS: dict[Callable[[], bytes], str | None] = {
    pixels_beyond_the_limit: REFUSED,
    colour_at_the_limit: PICTURE,
    deep_grey_at_the_limit: PICTURE,
    rows_without_end: None,
    text_that_unfolds: None,
    profile_that_unfolds: None,
    jpeg_of_the_largest_size: REFUSED,
    many_frames: REFUSED,
    moving_picture: REFUSED,
    many_pages: REFUSED,
    one_tile_everywhere: PICTURE,
    tile_that_unfolds: None,
    tile_of_the_largest_size: None,
    smallest_tiles: PICTURE,
    directory_that_leads_to_itself: None,
    nested_sequences: REFUSED,
    items_without_end: REFUSED,
    items_of_a_told_length: REFUSED,
    elements_without_end: REFUSED,
    sequence_longer_than_the_file: REFUSED,
    pixels_longer_than_the_file: REFUSED,
    fragment_longer_than_the_file: REFUSED,
    run_lengths_beyond_the_picture: None,
    dataset_that_unfolds: REFUSED,
    most_tiles_of_jpeg_2000: REFUSED,
}


def measure(data: bytes) -> Cost:
    """Decode a file in a process of its own.

    Args:
        data: The file.

    Returns:
        What it took, the start of the process left out of the seconds; only Linux tells the memory.

    Raises:
        RuntimeError: nothing keeps the process in.
    """
    with closing(ChildDecoder()) as decoder:
        if not decoder.isolation.in_force:
            raise RuntimeError("Expected the process that decodes to be kept in by something.")
        child = psutil.Process(decoder.process_id)
        begin_s = sum(child.cpu_times()[:2])
        try:
            decoder(data)
            outcome = PICTURE
        except ImageError as error:
            outcome = error.code
        if decoder.process_id != child.pid:
            return Cost(float("nan"), float("nan"), "the process was ended")
        return Cost(_peak_mib(child.pid), sum(child.cpu_times()[:2]) - begin_s, outcome)


def main() -> int:
    """Write a table of every bomb.

    Returns:
        The exit code.
    """
    sys.stdout.write("| file | KB | MiB at most | seconds | answer |\n|---|---|---|---|---|\n")
    for make in BOMBS:
        data = make()
        cost = measure(data)
        what = (make.__doc__ or "").rstrip(".")
        numbers = f"{len(data) / 1000:.0f} | {cost.peak_mib:.0f} | {cost.processor_s:.2f}"
        sys.stdout.write(f"| {what} | {numbers} | {cost.outcome} |\n")
    return 0


def _frames(kind: str) -> bytes:
    file = io.BytesIO()
    frames = [Image.new("L", (100, 100), level) for level in range(100)]
    frames[0].save(file, kind, save_all=True, append_images=frames[1:])
    return file.getvalue()


def _plain() -> bytes:
    return drawn_dicom(uid.ExplicitVRLittleEndian, bytes(_SIDE_PX**2), (_SIDE_PX, _SIDE_PX))


def _tag(element: int, length: int = 0) -> bytes:
    return struct.pack("<HHI", 0xFFFE, element, length)


def _element(length: int) -> bytes:
    """Begin a sequence that the header is read for."""
    return struct.pack("<HH2sHI", *_VIEW_CODES, b"SQ", 0, length)


def _with(elements: bytes) -> bytes:
    """Put elements before the pixels of a DICOM file."""
    data = _plain()
    at = data.rindex(struct.pack("<HH2s", 0x7FE0, 0x0010, b"OB"))
    return data[:at] + elements + data[at:]


def _peak_mib(process_id: int) -> float:
    """Return the most resident memory that a process has had, as Linux counts it."""
    status = Path(f"/proc/{process_id}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


if __name__ == "__main__":
    sys.exit(main())
