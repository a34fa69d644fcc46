"""Messages of DICOM's upper layer (PDUs), bounded in bytes and in time while they come."""

from __future__ import annotations

import socket
import time
import weakref
from collections.abc import Callable
from typing import Any

# Of one message. What negotiates an association of 128 kinds of pictures takes a tenth of it; pictures come
# in fragments of 16 KiB, as this node asks for.
MAX_MESSAGE_BYTES = 1024 * 1024


def bound_messages(association: Any, limit_s: float, tell: Callable[[], None]) -> None:
    """Cut an association off whose message is larger than any, or comes too slowly.

    The library takes what a message's head announces, up to 4 GiB, from whoever connects, before it looks
    who that is; and it waits for each piece anew.

    Args:
        association: Whose transport connection has just been opened.
        limit_s: Within how many seconds a message must have come.
        tell: Called when a message is too large.

    Source:
        DICOM PS3.8, section 9.3.1: four bytes of a PDU's head tell its length.
    """
    transport = association.dul.socket

    def receive(size_bytes: int) -> bytearray:
        connection = transport.socket
        if size_bytes > MAX_MESSAGE_BYTES:
            tell()
            connection.close()
            raise ConnectionAbortedError
        data = _read(connection, size_bytes, limit_s)
        if len(data) < size_bytes:
            connection.close()  # its other end is gone
        return data

    transport.recv = receive
    weakref.finalize(transport, transport.socket.close)  # some the library leaves to the garbage collector


def _read(connection: socket.socket, size_bytes: int, limit_s: float) -> bytearray:
    """Read as much as comes; a connection that breaks, or is too late, is closed."""
    end_s, patience_s, data = time.monotonic() + limit_s, connection.gettimeout(), bytearray()
    try:
        while len(data) < size_bytes:
            connection.settimeout(max(end_s - time.monotonic(), 0.001))
            piece = connection.recv(size_bytes - len(data))
            if not piece:
                break
            data += piece
        connection.settimeout(patience_s)
    except OSError:
        connection.close()
        raise
    return data
