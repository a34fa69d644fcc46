"""What JPEG streams say about themselves: how large the picture is, and where it ends."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

_START = b"\xff\xd8"
_END = b"\xff\xd9"
_SCAN = 0xDA
# In a scan's coded data FF is followed by 00, or by the number of a restart, or by more FF.
_MARKER = re.compile(rb"\xff([^\x00\xd0-\xd7\xff])")
# Frame headers: every SOF but the markers of tables (C4, C8, CC), and that of JPEG-LS.
_FRAMES = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_SEQUENTIAL_FRAMES = (0xC0, 0xC1)
_JPEG_2000_START = b"\xff\x4f\xff\x51"
_TILE_PART = 0xFF90
_SHORTEST_PART_BYTES = 14
_PROBE = b"\x5a" * 64


class FrameSize(NamedTuple):
    """What a stream says about its picture, before any pixel is decoded."""

    rows: int
    columns: int
    components: int
    bits: int


def end_of(data: bytes) -> int | None:
    """Find where the first picture ends; another may follow, as in an MPO file.

    Args:
        data: Bytes that start with a JPEG picture.

    Returns:
        The offset after its end marker, or after everything where none comes; None where another picture
        starts before.

    Source:
        ISO/IEC 10918-1, annex B.
    """
    for code, offset in _markers(data):
        if code == _END[1]:
            return offset + 2
        if code == _START[1]:
            return None
    return len(data)


def size_of(data: bytes) -> FrameSize | None:
    """Read the frame header of a JPEG or JPEG-LS picture.

    Args:
        data: Bytes that start with the picture.

    Returns:
        Its size, or None where there is no frame header.

    Source:
        ISO/IEC 10918-1, section B.2.2; ISO/IEC 14495-1, annex C.2.2.
    """
    for _, offset in _frames(data):
        if len(data) >= offset + 10:
            bits, rows, columns, components = struct.unpack_from(">BHHB", data, offset + 4)
            return FrameSize(rows, columns, components, bits)
    return None


def is_sequential(data: bytes) -> bool:
    """Tell whether a JPEG picture is baseline or extended sequential, with Huffman coding.

    Args:
        data: Bytes that start with the picture.

    Source:
        ISO/IEC 10918-1, table B.1.
    """
    return next((code in _SEQUENTIAL_FRAMES for code, _ in _frames(data)), False)


def size_of_jpeg_2000(data: bytes) -> FrameSize | None:
    """Read the size marker of a JPEG 2000 codestream.

    Args:
        data: Bytes that start with the codestream.

    Returns:
        Its size, or None where it does not start as such.

    Source:
        ISO/IEC 15444-1, section A.5.1.
    """
    if not data.startswith(_JPEG_2000_START) or len(data) < 43:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", data, 8)
    components, depth = struct.unpack_from(">HB", data, 40)
    return FrameSize(bottom - top, right - left, components, (depth & 0x7F) + 1)


def has_all_tiles(data: bytes) -> bool:
    """Tell whether a JPEG 2000 codestream holds every tile that it announces.

    Args:
        data: A codestream whose size `size_of_jpeg_2000` could read.

    Source:
        ISO/IEC 15444-1, sections A.4.2, A.5.1 and B.3.
    """
    right, bottom, _, _, width, height, left, top = struct.unpack_from(">8I", data, 8)
    if not width or not height:
        return False
    announced = -(-(right - left) // width) * -(-(bottom - top) // height)
    return announced == len(set(_tiles(data)))


def has_end(data: bytes) -> bool:
    """Tell whether bytes end with the end marker."""
    return data.endswith(_END)


def probed(data: bytes) -> bytes:
    """Put a few bytes before the end marker: where something is missing, they change the picture.

    Args:
        data: One picture that ends with its end marker.

    Returns:
        The same picture with bytes that a decoder passes over if the picture is whole.
    """
    coded = data[: -len(_END)].rstrip(b"\xff")  # FF may be repeated before a marker
    return coded + _PROBE + _END


def _markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield each marker's code and offset after the start of the picture."""
    marker = _MARKER.search(data, len(_START))
    while marker:
        code, offset = marker[1][0], marker.start()
        yield code, offset
        has_length = code not in (_START[1], _END[1], 0x01) and len(data) >= offset + 4
        length = struct.unpack_from(">H", data, offset + 2)[0] if has_length else 0
        marker = _MARKER.search(data, offset + 2 + length)


def _frames(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the code and offset of each frame header."""
    return ((code, offset) for code, offset in _markers(data) if code in _FRAMES)


def _tiles(data: bytes) -> Iterator[int]:
    """Yield the number of the tile to which each part of a JPEG 2000 codestream belongs."""
    at = len(_START)
    while at + _SHORTEST_PART_BYTES <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        step = length + 2
        if marker == _TILE_PART:
            tile, step = struct.unpack_from(">HI", data, at + 4)
            yield tile
            if step < _SHORTEST_PART_BYTES:  # 0: to the end of the stream
                return
        at += step
