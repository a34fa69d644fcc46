"""Decoders in a process of their own: bytes in through a pipe; size, pixels and header facts out."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.alarm import Alarm
from edge_app.errors import DecoderError, ImageError, InvalidImage, TagError
from edge_app.imaging.facts import header_from
from edge_app.imaging.images import MAX_PIXELS
from edge_app.imaging.picture import DicomHeader, Picture
from edge_app.imaging.sandbox import wire
from edge_app.imaging.sandbox.job import Job
from edge_app.imaging.sandbox.program import MEMORY_BYTES

LIMIT_S = 10.0
# A busy PC, as right after it was switched on, may take long; one that cannot start it fails at once.
START_LIMIT_S = 120.0
# By which the process' own limit is longer: the app ends it first, and knows why.
_MARGIN_S = 1.0
# The program lies in no folder that an isolated Python would look in, so the app's own path goes along.
PROGRAM = (
    "import sys; sys.path[:] = sys.argv[2:]; "
    "from edge_app.imaging.sandbox.program import main; main(float(sys.argv[1]))"
)
_MAX_MESSAGE_CHARACTERS = 500
_PIPE_BYTES = 1024 * 1024
_TOO_SLOW = (
    "Reading the picture took longer than {limit_s:g} seconds, so it was given up. "
    "Copy or export it again from the X-ray system and send that file."
)
_BROKE_DOWN = (
    "The picture broke the program that reads pictures, so nothing in it was judged. "
    "Copy or export it again from the X-ray system and send that file."
)
_DID_NOT_START = "The process that reads pictures did not start. Install the app again."
_STARTED_TOO_LATE = (
    "The process that reads pictures did not start within {limit_s:g} seconds: this computer is busy. "
    "Close other programs, or wait, and send the picture again."
)

logger = logging.getLogger(__name__)


class Hold(Protocol):
    """Bounds a process from outside, and ends it when it is closed."""

    def close(self) -> None:
        """End the process."""


def job_of(process: subprocess.Popen[bytes]) -> Hold:
    """Put a process into a Windows job object."""
    return Job(int(process._handle), MEMORY_BYTES)  # type: ignore[attr-defined]


class ChildDecoder:
    """Decodes one picture at a time in a warm process that may do nothing else.

    When a file takes too long or breaks the process, that process is ended, a new one started, and the
    file is refused. Call it as any `Decoder`.

    Args:
        max_pixels: The largest height times width that is decoded.
        limit_s: The longest that one file may take.
        start_limit_s: The longest that the process may take to start.
        program: What the process runs, as Python code; its arguments are a limit just above `limit_s`, at
            which it ends itself, and the import path.
        hold: Bounds the process from outside, on Windows by a job object; where it raises OSError, the
            process decodes without, and `isolation` says so.

    Raises:
        DecoderError: the process cannot be started.
    """

    def __init__(
        self,
        max_pixels: int = MAX_PIXELS,
        limit_s: float = LIMIT_S,
        start_limit_s: float = START_LIMIT_S,
        program: str = PROGRAM,
        hold: Callable[[subprocess.Popen[bytes]], Hold] | None = job_of
        if sys.platform == "win32"
        else None,
    ) -> None:
        self._max_pixels = max_pixels
        self._limit_s = limit_s
        self._start_limit_s = start_limit_s
        self._program = program
        self._turn = threading.Lock()
        self._watch = threading.Lock()
        self._is_watched = self._is_late = self._is_closed = False
        self._hold = hold
        self._alarm = Alarm(self._give_up)
        self._start()

    def __call__(self, data: bytes) -> Picture:
        """Decode a file.

        Args:
            data: The file's bytes.

        Returns:
            The picture as a viewer would display it.

        Raises:
            ImageError: the bytes give no picture that can be judged; the message says why.
            DecoderError: the process that reads pictures cannot be started again.
        """
        with self._turn:
            self._await_ready()
            try:
                with self._time_limit(self._limit_s):
                    return self._ask(data)
            except (EOFError, OSError, _Nonsense) as error:
                message = _TOO_SLOW if self._is_late else _BROKE_DOWN
                self._restart()
                raise InvalidImage(message.format(limit_s=self._limit_s)) from error

    @property
    def isolation(self) -> wire.Isolation:
        """What keeps the process in; waits until it has started."""
        with self._turn:
            self._await_ready()
            return self._isolation

    @property
    def process_id(self) -> int:
        """The process that decodes now."""
        return self._process.pid

    def close(self) -> None:
        """End the process, and refuse the file that it works on, if any."""
        self._is_closed = True
        self._process.kill()
        with self._turn:
            self._end()

    def _ask(self, data: bytes) -> Picture:
        wire.write_all(self._requests, wire.REQUEST.pack(len(data), self._max_pixels))
        wire.write_all(self._requests, data)
        reply, untrusted_facts = self._read_reply()
        if reply.kind == wire.REFUSAL:
            raise _refusal(untrusted_facts)
        if reply.kind not in (wire.PICTURE, wire.COLOURED_PICTURE):
            raise _Nonsense
        header = None if untrusted_facts is None else _header(untrusted_facts)
        pixels = self._read_pixels(reply.height, reply.width)
        return Picture(pixels, header, is_coloured=reply.kind == wire.COLOURED_PICTURE)

    def _read_reply(self) -> tuple[wire.Reply, Any]:
        """Read the head of an answer and its facts, which nothing may be believed of."""
        reply = wire.Reply(*wire.REPLY.unpack(wire.read_bytes(self._replies, wire.REPLY.size)))
        if reply.facts_bytes > wire.MAX_FACTS_BYTES:
            raise _Nonsense
        untrusted_text = wire.read_bytes(self._replies, reply.facts_bytes)
        try:
            return reply, json.loads(untrusted_text)
        except (ValueError, RecursionError) as error:
            raise _Nonsense from error

    def _read_pixels(self, untrusted_height: int, untrusted_width: int) -> NDArray[np.uint8]:
        """Read pixels, once their number is known to be allowed; any grey level is."""
        if not 0 < untrusted_height * untrusted_width <= self._max_pixels:
            raise _Nonsense
        pixels = np.empty((untrusted_height, untrusted_width), np.uint8)
        wire.read_exactly(self._replies, pixels.data.cast("B"))
        return pixels

    def _start(self) -> None:
        self._is_late = False
        self._is_ready = False
        try:
            self._process = _spawn(self._program, self._limit_s + _MARGIN_S)
        except OSError as error:
            raise DecoderError(f"The process that reads pictures cannot be started: {error}.") from error
        self._requests, self._replies = _pipes(self._process)
        self._held, self._outer_level = _take_hold(self._hold, self._process)

    def _await_ready(self) -> None:
        if self._is_ready and self._process.poll() is None:
            return
        if self._is_ready:  # it was ended between two pictures, as by a system short of memory
            self._restart()
        try:
            with self._time_limit(self._start_limit_s):
                reply, told = self._read_reply()
        except (EOFError, OSError, _Nonsense) as error:
            message = _STARTED_TOO_LATE if self._is_late else _DID_NOT_START
            self._restart()
            raise DecoderError(message.format(limit_s=self._start_limit_s)) from error
        self._isolation = _isolation([*told, *self._outer_level])
        self._is_ready = reply.kind == wire.READY

    def _restart(self) -> None:
        if self._is_closed:
            raise DecoderError("The app is being closed. Send the picture again when it runs.")
        logger.warning("The process that reads pictures was ended and started again.")
        self._end()
        self._start()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()
        self._requests.close()
        self._replies.close()
        if self._held is not None:
            self._held.close()

    @contextmanager
    def _time_limit(self, seconds: float) -> Iterator[None]:
        """End the process when what is within takes too long."""
        self._is_watched = True
        self._alarm.set(time.monotonic() + seconds)
        try:
            yield
        finally:
            with self._watch:
                self._is_watched = False
            self._alarm.set(None)

    def _give_up(self) -> None:
        with self._watch:  # so that an alarm that comes too late does not end the work on the next file
            if self._is_watched:
                self._is_late = True
                self._process.kill()


class _Nonsense(Exception):
    """The process answered something that no honest one would."""


def _spawn(program: str, limit_s: float) -> subprocess.Popen[bytes]:
    """Start the process, with nothing of this one's environment but what Windows cannot start without."""
    kept = {name: os.environ[name] for name in ("SYSTEMROOT", "LD_LIBRARY_PATH") if name in os.environ}
    # In a virtual environment on Windows, the executable would start another one, which a job forbids.
    python = getattr(sys, "_base_executable", sys.executable) if sys.platform == "win32" else sys.executable
    folders = [str(Path(__file__).parents[2]), *(str(Path(each).absolute()) for each in sys.path)]
    return subprocess.Popen(
        [python, "-I", "-B", "-c", program, str(limit_s), *folders],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env={**kept, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
    )


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise DecoderError("The process that reads pictures has no pipes.")
    if sys.platform == "linux":
        import fcntl

        for pipe in (process.stdin, process.stdout):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)  # a picture takes fewer turns
    return process.stdin, process.stdout


def _take_hold(
    hold: Callable[[subprocess.Popen[bytes]], Hold] | None, process: subprocess.Popen[bytes]
) -> tuple[Hold | None, list[list[str]]]:
    """Bound a process from outside; return what does, and the level to tell of it."""
    if hold is None:
        return None, []
    try:
        return hold(process), [["job object", f"{MEMORY_BYTES // 1024**2} MiB of memory, one process", ""]]
    except OSError as error:
        return None, [["job object", "", f"the system refused it: {error}"]]


def _isolation(levels: list[list[str]]) -> wire.Isolation:
    return wire.Isolation(
        in_force=tuple(f"{subject}: {effect}" for subject, effect, _ in levels if effect),
        missing=tuple(f"{subject}: {obstacle}" for subject, _, obstacle in levels if obstacle),
    )


def _refusal(untrusted: Any) -> ImageError:
    """Make an error of one that the process tells; its words are shown as text, never as markup."""
    match untrusted:
        case [str(code), str(message), str(tag)] if len(message) + len(tag) <= _MAX_MESSAGE_CHARACTERS:
            for kind in _kinds_of(ImageError):
                if kind.code == code:
                    return kind(message, tag) if issubclass(kind, TagError) else kind(message)
    raise _Nonsense


def _kinds_of(error: type[ImageError]) -> Iterator[type[ImageError]]:
    yield error
    for kind in error.__subclasses__():
        yield from _kinds_of(kind)


def _header(untrusted: Any) -> DicomHeader:
    try:
        return header_from(untrusted)
    except (TypeError, ValueError, KeyError) as error:
        raise _Nonsense from error
