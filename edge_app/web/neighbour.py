"""Who holds the port that this app wants."""

from __future__ import annotations

import json
import socket
import ssl
from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path

from edge_app.settings import LOOPBACK, Settings

_PATIENCE_S = 1.0
_MOST_BYTES = 100_000
_LISTENING = "0A"
_PORTS_TRIED = 50


def is_fracture_edge(settings: Settings) -> bool:
    """Tell whether this very app answers where another copy of it would listen.

    Args:
        settings: The copy's.
    """
    try:
        with closing(_connection(settings)) as connection:
            connection.request("GET", "/health", headers={"Host": f"localhost:{settings.port}"})
            health = json.loads(connection.getresponse().read(_MOST_BYTES))
    except (OSError, ValueError, HTTPException):
        return False
    return isinstance(health, dict) and {"status", "device", "model", "decoder"} <= health.keys()


def program_at(port: int) -> str | None:
    """Name the program that listens on a port, where the system tells it.

    Args:
        port: The port.

    Returns:
        Its name and process id; None where that is not known.

    Source:
        Linux, Documentation/networking/proc_net_tcp.rst.
    """
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(each.readlink()) in sockets for each in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue  # another user's, or gone
    return None


def free_port_after(host: str, port: int) -> int | None:
    """Find a port that can be used instead.

    Args:
        host: The address to listen on.
        port: The one that is taken.
    """
    for candidate in range(port + 1, min(port + _PORTS_TRIED, 65536)):
        with socket.socket() as probe:
            try:
                probe.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return None


def _listening_inodes(port: int) -> list[str]:
    inodes = []
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        if table.exists():
            rows = [line.split() for line in table.read_text().splitlines()[1:]]
            inodes += [row[9] for row in rows if row[3] == _LISTENING and row[1].endswith(f":{port:04X}")]
    return inodes


def _connection(settings: Settings) -> HTTPConnection:
    host = LOOPBACK if settings.is_on_every_address else settings.host
    if settings.certificate is None:
        return HTTPConnection(host, settings.port, timeout=_PATIENCE_S)
    # Whose certificate it is does not matter: nothing secret is sent, and little that comes is believed.
    context = ssl._create_unverified_context()  # noqa: S323 # nosec B323 # see above
    return HTTPSConnection(host, settings.port, timeout=_PATIENCE_S, context=context)
