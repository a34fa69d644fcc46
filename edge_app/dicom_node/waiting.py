"""Pictures that were received and wait to be judged: bounded in bytes, in turn between senders."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from edge_app.arrivals import Source
from edge_app.errors import NoRoom
from edge_app.turns import Sender, Turn

ROOM_BYTES = 256 * 1024 * 1024
TURNS = 2  # of one sender at once: one picture is decoded while another is judged
PATIENCE_S = 20.0  # of senders by C-STORE: shorter than the time after which senders give up


class Received(NamedTuple):
    """A picture that waits: the study that it belongs to, its identifier there, and its bytes."""

    study_id: str
    sop_uid: str
    data: bytes


@dataclass
class _Line:
    """A sender's pictures, and how many of its turns wait or run."""

    pictures: deque[Received] = field(default_factory=deque)
    waiting: int = 0
    running: int = 0

    def begin_turn(self) -> bool:
        """Count a turn where a picture needs one and the sender may have one more."""
        needs_one = len(self.pictures) > self.waiting and self.waiting + self.running < TURNS
        self.waiting += needs_one
        return needs_one


class WaitingRoom:
    """Lets pictures wait, a few turns at once for each sender; safe to share between threads.

    A sender whose picture finds no room waits with it: so a thousand pictures pass through a bounded
    memory, and none is refused while judging goes on.

    Args:
        judge: What to do with a picture whose turn has come.
        add_turn: Lets a turn wait beside those of other senders.
        room_bytes: The most that all pictures may take that wait or are being judged.
    """

    def __init__(
        self,
        judge: Callable[[Received], None],
        add_turn: Callable[[Turn], None],
        room_bytes: int = ROOM_BYTES,
    ) -> None:
        self._judge = judge
        self._add_turn = add_turn
        self._free_bytes = room_bytes
        self._has_room = threading.Condition()
        self._lines: dict[Source, _Line] = {}

    def take_room(self, size_bytes: int, patience_s: float) -> None:
        """Set room aside for a picture; waits for it.

        Args:
            size_bytes: How much.
            patience_s: How long its sender is let wait, in seconds.

        Raises:
            NoRoom: there was none all that time.
        """
        with self._has_room:
            if not self._has_room.wait_for(lambda: size_bytes <= self._free_bytes, patience_s):
                raise NoRoom("Many pictures are waiting already. Send this one again later.")
            self._free_bytes -= size_bytes

    def give_room(self, size_bytes: int) -> None:
        """Give back room that was set aside."""
        with self._has_room:
            self._free_bytes += size_bytes
            self._has_room.notify_all()

    def add(self, source: Source, received: Received) -> None:
        """Let a picture wait for which room was set aside.

        Args:
            source: Who sent it.
            received: The picture.
        """
        with self._has_room:
            line = self._lines.setdefault(source, _Line())
            line.pictures.append(received)
            begins = line.begin_turn()
        if begins:
            self._add_turn(_SourceTurn(self, source))

    def serve(self, source: Source) -> None:
        """Judge the first picture of a sender, and let its next one wait for a turn.

        Args:
            source: The sender.
        """
        with self._has_room:
            line = self._lines[source]
            line.waiting -= 1
            line.running += 1
            received = line.pictures.popleft()
        try:
            self._judge(received)
        finally:
            self.give_room(len(received.data))
            if self._ends_turn(source, line):
                self._add_turn(_SourceTurn(self, source))

    def _ends_turn(self, source: Source, line: _Line) -> bool:
        """End a turn; tells whether another begins."""
        with self._has_room:
            line.running -= 1
            if not (line.pictures or line.running or line.waiting):
                del self._lines[source]
            return line.begin_turn()


class _SourceTurn:
    """The turn of a sender, for one of its pictures."""

    def __init__(self, room: WaitingRoom, source: Source) -> None:
        self.sender = Sender(source.address, source.ae_title, "DICOM")
        self.ticket = ""
        self._room = room
        self._source = source

    def service(self) -> None:
        self._room.serve(self._source)

    def cancel(self) -> None:
        """Drop it: the program ends, and with it everything that waits."""
