"""The password of an app that listens beyond this computer: kept as a slow hash, guessed at seldom."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from edge_app.errors import PasswordRefused, SettingsError, TooManyGuesses

MIN_CHARACTERS = 10
# 32 MiB and some 100 ms for each guess. Source: RFC 7914; OWASP, Password Storage Cheat Sheet.
_COST, _BLOCK, _PARALLEL = 2**15, 8, 1
_MEMORY_BYTES = 64 * 1024 * 1024
_GUESSES = 5  # that are free; each further one doubles the wait
_LONGEST_WAIT_S = 900
_MAX_ADDRESSES = 1024


def hash_password(password: str) -> str:
    """Turn a password into the line that a password file holds.

    Args:
        password: At least `MIN_CHARACTERS` characters.

    Returns:
        The salt and the slow hash, as text.

    Raises:
        SettingsError: it is too short.
    """
    if len(password) < MIN_CHARACTERS:
        raise SettingsError(
            f"The password has {len(password)} characters. Expected {MIN_CHARACTERS} or more, such as "
            "three or four words."
        )
    salt = secrets.token_bytes(16)
    return f"scrypt:{salt.hex()}:{_slow_hash(password, salt).hex()}"


class PasswordFile:
    """Checks the passwords that requests bring, in HTTP's Basic form with any user name.

    The slow hash is worked out once for each password; a right one is then known by a fast, keyed hash that
    lives in memory only. Who guesses too often waits, and longer each time. Called from one thread.

    Args:
        path: A file that `python -m edge_app.password` wrote.
        clock: Seconds from any start, never running back.

    Raises:
        SettingsError: there is no such file, or it holds something else.
    """

    def __init__(self, path: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._salt, self._hash = _read(path)
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._known = b""
        self._guesses: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def check(self, authorization: str | None, address: str) -> None:
        """Let a request pass, or refuse it.

        Args:
            authorization: The value of its `Authorization` header.
            address: The network address that it comes from.

        Raises:
            PasswordRefused: it brings no password, or a wrong one.
            TooManyGuesses: too many wrong ones came from there.
        """
        password = _basic_password(authorization)
        if password is None:
            raise PasswordRefused("This computer asks for its password. Any user name will do.")
        fast_hash = hmac.digest(self._key, password.encode(), "sha256")
        if self._known and hmac.compare_digest(fast_hash, self._known):
            return
        guesser = _guesser(address)
        self._require_patience(guesser)
        if hmac.compare_digest(_slow_hash(password, self._salt), self._hash):
            self._known = fast_hash
            self._guesses.pop(guesser, None)
            return
        self._remember(guesser)
        raise PasswordRefused("This is not the password of this computer.")

    def _require_patience(self, guesser: str) -> None:
        count, since_s = self._guesses.get(guesser, (0, 0.0))
        wait_s = min(2.0 ** (count - _GUESSES), _LONGEST_WAIT_S) if count >= _GUESSES else 0.0
        left_s = since_s + wait_s - self._clock()
        if left_s > 0:
            raise TooManyGuesses("Too many wrong passwords. Wait, then try again.", int(left_s) + 1)

    def _remember(self, guesser: str) -> None:
        count, _ = self._guesses.pop(guesser, (0, 0.0))
        self._guesses[guesser] = (count + 1, self._clock())
        while len(self._guesses) > _MAX_ADDRESSES:
            self._guesses.popitem(last=False)


def _guesser(address: str) -> str:
    """Return an IPv4 address as it is, of an IPv6 one its network: a computer may have all of it.

    Source:
        RFC 4291, section 2.5.4: the first 64 bits are the network's.
    """
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv4Address) or parsed.ipv4_mapped is not None:
        return address
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


def _slow_hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode(), salt=salt, n=_COST, r=_BLOCK, p=_PARALLEL, maxmem=_MEMORY_BYTES, dklen=32
    )


def _read(path: Path) -> tuple[bytes, bytes]:
    try:
        kind, salt, slow_hash = path.read_text(encoding="ascii").strip().split(":")
        if kind != "scrypt":
            raise ValueError(kind)
        return bytes.fromhex(salt), bytes.fromhex(slow_hash)
    except (OSError, ValueError) as error:
        raise SettingsError(
            f"--password-file {path} holds no password. Write one with: python -m edge_app.password {path}"
        ) from error


def _basic_password(authorization: str | None) -> str | None:
    """Read the password of HTTP's Basic form.

    Source:
        RFC 7617, section 2.
    """
    scheme, _, credentials = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        return base64.b64decode(credentials, validate=True).decode().partition(":")[2]
    except (binascii.Error, UnicodeDecodeError):
        return None
