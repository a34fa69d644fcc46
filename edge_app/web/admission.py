"""Who and how much is let in, decided when a request's headers are there and before its body comes."""

from __future__ import annotations

import threading
from collections.abc import Mapping

from edge_app.errors import Busy, EdgeError, PasswordRefused, RequestRefused, TooManyGuesses
from edge_app.web.lanes import Lanes
from edge_app.web.password_file import PasswordFile
from edge_app.web.security import Caller, check_caller

RETRY_AFTER_S = 5
OPEN_PATHS = ("/health", "/ready")  # for watchdogs; they tell nothing of a patient
_TOO_MUCH_AT_ONCE = "Many pictures are arriving at once. Wait some seconds and send this one again."


class OpenBodies:
    """Bounds the bytes of all bodies that are being received or answered; safe to share between threads.

    Args:
        max_bytes: The most that they may hold together.
    """

    def __init__(self, max_bytes: int) -> None:
        self._free_bytes = max_bytes
        self._lock = threading.Lock()

    def has_room_for(self, size_bytes: int) -> bool:
        """Tell whether a body of this size could be held now."""
        return size_bytes <= self._free_bytes

    def take(self, size_bytes: int) -> bool:
        """Set bytes aside.

        Args:
            size_bytes: How many have come.

        Returns:
            Whether there was room; without it none are set aside.
        """
        with self._lock:
            if not self.has_room_for(size_bytes):
                return False
            self._free_bytes -= size_bytes
            return True

    def give_back(self, size_bytes: int) -> None:
        """Free bytes that were set aside."""
        with self._lock:
            self._free_bytes += size_bytes


class Admission:
    """Judges a request by its headers.

    Args:
        hostnames: The exact names under which the app may be called.
        max_open_bytes: The most that all open bodies may hold together.
        lanes: Where pictures wait.
        password: What checks passwords, where they are asked for.
    """

    def __init__(
        self,
        hostnames: frozenset[str],
        max_open_bytes: int,
        lanes: Lanes,
        password: PasswordFile | None = None,
    ) -> None:
        self.bodies = OpenBodies(max_open_bytes)
        self._hostnames = hostnames
        self._lanes = lanes
        self._password = password

    def refusal(
        self, caller: Caller, content_bytes: int, authorization: str | None, address: str
    ) -> EdgeError | None:
        """Tell why a request must not send its body, if so.

        Args:
            caller: Who asks for what.
            content_bytes: The announced size of the body.
            authorization: The value of its `Authorization` header.
            address: The network address that it comes from.

        Returns:
            The reason, or None.
        """
        try:
            check_caller(caller, self._hostnames)
            if self._password is not None and caller.path not in OPEN_PATHS:
                self._password.check(authorization, address)
            if caller.method == "POST":
                self._lanes.require_room()
        except (RequestRefused, PasswordRefused, TooManyGuesses, Busy) as refused:
            return refused
        return None if self.bodies.has_room_for(content_bytes) else too_much_at_once()


def too_much_at_once() -> Busy:
    """Return the refusal of a body for which there is no room now."""
    return Busy(_TOO_MUCH_AT_ONCE, RETRY_AFTER_S)


def caller_of(command: str, path: str, scheme: str, headers: Mapping[str, str]) -> Caller:
    """Read who calls from a request as Waitress parsed it.

    Args:
        command: The method.
        path: The path, unquoted.
        scheme: `http` or `https`.
        headers: Values by name, in capitals with underscores.
    """
    return Caller(
        method=command,
        path=path,
        scheme=scheme,
        host=headers.get("HOST", ""),
        origin=headers.get("ORIGIN"),
        fetch_site=headers.get("SEC_FETCH_SITE"),
    )
