"""TIFF files in tiles, as some scanners write them; Pillow reads them but writes strips only."""

from __future__ import annotations

import struct
from collections.abc import Sequence

UNCOMPRESSED, DEFLATE = 1, 8
_SHORT, _LONG = 3, 4
_HEADER_BYTES = 8


def tiled_tiff(
    shape: tuple[int, int], tile: tuple[int, int], tiles: Sequence[bytes], compression: int = UNCOMPRESSED
) -> bytes:
    """Write an 8-bit grey TIFF of one picture.

    Args:
        shape: The picture's height and width, in pixels.
        tile: A tile's height and width, in pixels.
        tiles: The data of each tile, row by row; where there are fewer than places, they come again.
        compression: How these data are compressed.

    Returns:
        The file's bytes.

    Source:
        TIFF 6.0, sections 2 and 15.
    """
    places = -(-shape[0] // tile[0]) * -(-shape[1] // tile[1])
    starts = [_HEADER_BYTES + sum(map(len, tiles[:n])) for n in range(len(tiles))]
    data = b"".join(tiles)
    tables = _HEADER_BYTES + len(data)
    offsets = [starts[n % len(tiles)] for n in range(places)]
    counts = [len(tiles[n % len(tiles)]) for n in range(places)]
    directory = tables + 8 * places
    entries = [
        *((256, _LONG, 1, shape[1]), (257, _LONG, 1, shape[0]), (258, _SHORT, 1, 8)),
        *((259, _SHORT, 1, compression), (262, _SHORT, 1, 1), (277, _SHORT, 1, 1)),
        *((322, _LONG, 1, tile[1]), (323, _LONG, 1, tile[0])),
        (324, _LONG, places, offsets[0] if places == 1 else tables),
        (325, _LONG, places, counts[0] if places == 1 else tables + 4 * places),
    ]
    words = struct.pack(f"<{2 * places}I", *offsets, *counts)
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    head = b"II*\0" + struct.pack("<I", directory)
    return head + data + words + struct.pack("<H", len(entries)) + packed + bytes(4)
