"""Network addresses: of those that may send, and this computer's own."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from contextlib import suppress

from edge_app.arrivals import Source
from edge_app.errors import SettingsError
from edge_app.node_settings import Peer


def lookup(peers: Iterable[Peer]) -> frozenset[Source]:
    """Return the allow-list with addresses in the place of names.

    Args:
        peers: Who may send.

    Raises:
        SettingsError: the host of one is not known.
    """
    return frozenset(Source(peer.ae_title, address) for peer in peers for address in _addresses_of(peer))


def plain_address(address: str) -> str:
    """Return an IPv4 address that is written as an IPv6 one in its own form."""
    return address.removeprefix("::ffff:")


def own_address(host: str) -> str:
    """Return the address by which a host sees this computer; nothing is sent. Empty where there is no way.

    Args:
        host: The other's name or address.
    """
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 9))  # of a datagram socket: it only chooses the way
        return str(probe.getsockname()[0])
    return ""


def _addresses_of(peer: Peer) -> set[str]:
    with suppress(OSError):
        return {plain_address(str(found[4][0])) for found in socket.getaddrinfo(peer.host, None)}
    raise SettingsError(f"--allow {peer}: no computer is known as {peer.host}. Give its address instead.")
