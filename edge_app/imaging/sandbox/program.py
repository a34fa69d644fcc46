"""The program of the process that decodes: give up every right, then turn files into pictures.

It imports neither the model's runtime nor the web server, and whatever happens in it, the app stays up.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from edge_app import heap, secrecy
from edge_app.errors import ImageError, InvalidImage
from edge_app.imaging.sandbox import wire

if TYPE_CHECKING:
    from edge_app.imaging.picture import Picture

PACKAGE = Path(__file__).resolve().parents[2]
# A picture of the largest size, in colour with transparency, takes some 500 MiB.
MEMORY_BYTES = 700 * 1024 * 1024
OPEN_FILES = 64
_NOT_HERE = "this system has no means that the app knows"


Decode = Callable[[bytes, int], "Picture"]


def main(limit_s: float, load: Callable[[], Decode] | None = None) -> None:
    """Serve until the app closes the pipe.

    Args:
        limit_s: The longest that one file may take before this process ends itself, should the app that
            would end it be gone.
        load: Imports what decodes; by default the app's own decoders.
    """
    requests, replies = _private_pipes()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the app, which then closes the pipe
    heap.reuse_large_blocks()
    levels = [_restrict_files()]
    decode = (load or _warm_decoder)()
    levels += [_limit_resources(), _filter_calls()]
    _send(replies, wire.READY, levels)
    while (request := _receive(requests)) is not None:
        with _Deadline(limit_s):
            _answer(replies, decode, *request)


def _private_pipes() -> tuple[IO[bytes], IO[bytes]]:
    """Take the pipes out of reach of what libraries print."""
    requests = os.fdopen(os.dup(0), "rb", buffering=0)
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return requests, replies


def _warm_decoder() -> Decode:
    """Import the decoders, and run one, so that the first picture does not wait for it."""
    import numpy as np

    from edge_app.imaging.decode import decode
    from edge_app.imaging.images import encode_png

    decode(encode_png(np.zeros((64, 64), np.uint8)))
    return decode


def _answer(replies: IO[bytes], decode: Decode, data: bytes, max_pixels: int) -> None:
    from edge_app.imaging.facts import facts_of

    try:
        picture = decode(data, max_pixels)
        facts = None if picture.header is None else facts_of(picture.header)
    except ImageError as error:
        _send(replies, wire.REFUSAL, [error.code, str(error), getattr(error, "tag", "")])
    except MemoryError:
        _send(replies, wire.REFUSAL, [InvalidImage.code, "Reading the picture takes too much memory.", ""])
    else:
        kind = wire.COLOURED_PICTURE if picture.is_coloured else wire.PICTURE
        _send(replies, kind, facts, *picture.pixels.shape)
        wire.write_all(replies, picture.pixels.ravel().data.cast("B"))


def _send(replies: IO[bytes], kind: int, facts: object, height: int = 0, width: int = 0) -> None:
    text = json.dumps(facts).encode()
    wire.write_all(replies, wire.REPLY.pack(kind, len(text), height, width) + text)


def _receive(requests: IO[bytes]) -> tuple[bytes, int] | None:
    try:
        size_bytes, max_pixels = wire.REQUEST.unpack(wire.read_bytes(requests, wire.REQUEST.size))
        return wire.read_bytes(requests, size_bytes), max_pixels
    except EOFError:
        return None


class _Deadline:
    """Ends this process when a file takes too long, even if nobody is left to end it."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s

    def __enter__(self) -> None:
        self._set(self._limit_s)

    def __exit__(self, *_: object) -> None:
        self._set(0)

    def _set(self, seconds: float) -> None:
        if sys.platform != "win32":  # there the job ends with the app
            signal.setitimer(signal.ITIMER_REAL, seconds)


class _Level(NamedTuple):
    """One kind of isolation: what it is about, what it does where it is in force, else why it is not."""

    subject: str
    effect: str = ""
    obstacle: str = ""


def _restrict_files() -> _Level:
    subject = "files"
    if sys.platform != "linux":
        return _Level(subject, obstacle=_NOT_HERE)
    from edge_app.imaging.sandbox.landlock import program_folders, restrict_files

    try:
        version = restrict_files(program_folders(PACKAGE))
    except OSError as error:
        return _Level(subject, obstacle=str(error))
    return _Level(subject, f"none but the program's own, read only (Landlock {version})")


def _limit_resources() -> _Level:
    subject = "limits"
    secrecy.forbid_core_dumps()
    secrecy.keep_out_of_swap()
    if sys.platform == "win32":
        return _Level(subject)  # the app sets them by a job object, and tells whether it could
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES, MEMORY_BYTES))
    return _Level(subject, f"{MEMORY_BYTES // 1024**2} MiB of memory, no file grows, no core dump")


def _filter_calls() -> _Level:
    subject = "system calls"
    if sys.platform != "linux":
        return _Level(subject, obstacle=_NOT_HERE)
    from edge_app.imaging.sandbox.seccomp import filter_system_calls

    try:
        filter_system_calls()
    except OSError as error:
        return _Level(subject, obstacle=str(error))
    return _Level(subject, "no network, no process, none but what decoding needs (seccomp)")
