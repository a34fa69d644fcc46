"""The frames between the app and the process that decodes: whole numbers, short JSON, grey pixels."""

from __future__ import annotations

import struct
from typing import IO, NamedTuple

REQUEST = struct.Struct("<QQ")  # bytes of the file, most pixels
REPLY = struct.Struct("<BIII")  # kind, bytes of JSON, height, width
READY, PICTURE, REFUSAL, COLOURED_PICTURE = range(4)
MAX_FACTS_BYTES = 64 * 1024


class Isolation(NamedTuple):
    """What keeps the process in, and what this computer lacks for it, each in words."""

    in_force: tuple[str, ...]
    missing: tuple[str, ...] = ()


class Reply(NamedTuple):
    """The head of an answer: what follows it, in bytes and in pixels."""

    kind: int
    facts_bytes: int
    height: int
    width: int


def read_exactly(pipe: IO[bytes], buffer: memoryview) -> None:
    """Fill a buffer from a pipe.

    Args:
        pipe: Where the bytes come from, unbuffered.
        buffer: What to fill.

    Raises:
        EOFError: the other side is gone.
    """
    filled = 0
    while filled < len(buffer):
        count = pipe.readinto(buffer[filled:])  # type: ignore[attr-defined]
        if not count:
            raise EOFError
        filled += count


def read_bytes(pipe: IO[bytes], size_bytes: int) -> bytes:
    """Read some bytes from a pipe.

    Args:
        pipe: Where they come from, unbuffered.
        size_bytes: How many.

    Returns:
        Just so many.

    Raises:
        EOFError: the other side is gone.
    """
    buffer = bytearray(size_bytes)
    read_exactly(pipe, memoryview(buffer))
    return bytes(buffer)


def write_all(pipe: IO[bytes], data: bytes | memoryview) -> None:
    """Write all of some bytes into a pipe.

    Args:
        pipe: Where they go, unbuffered.
        data: What to write.

    Raises:
        OSError: the other side is gone.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]
