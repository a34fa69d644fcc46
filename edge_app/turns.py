"""Who is next: turns of different senders, one after another."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import NamedTuple, Protocol


class Sender(NamedTuple):
    """Whose turn it is: an address, a program there, and the batch it names, if any."""

    address: str
    program: str
    batch: str


class Turn(Protocol):
    """A request that waits."""

    sender: Sender
    ticket: str

    def service(self) -> None:
        """Serve it."""

    def cancel(self) -> None:
        """Drop it."""


class FairQueue:
    """Hands out one turn of each sender after another; the first of a sender comes first.

    It takes the place of the queue of a Waitress dispatcher, which guards it with its own lock.
    """

    def __init__(self) -> None:
        self._waiting: OrderedDict[Sender, deque[Turn]] = OrderedDict()

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def append(self, turn: Turn) -> None:
        """Let a turn wait."""
        self._waiting.setdefault(turn.sender, deque()).append(turn)

    def popleft(self) -> Turn:
        """Take the next turn; its sender goes to the end."""
        sender, turns = self._waiting.popitem(last=False)
        turn = turns.popleft()
        if turns:
            self._waiting[sender] = turns
        return turn

    def position(self, ticket: str) -> int | None:
        """Tell how many turns will be handed out before that of a ticket; None when it does not wait."""
        copy = FairQueue()
        copy._waiting = OrderedDict((sender, deque(turns)) for sender, turns in self._waiting.items())
        for before in range(len(self)):
            if copy.popleft().ticket == ticket:
                return before
        return None
