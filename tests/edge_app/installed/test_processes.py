from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from edge_app.installed.processes import await_answer


class Healthy(BaseHTTPRequestHandler):
    """Answers as the app does."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps({"status": "ok", "device": "cpu", "model": "drawn"}).encode())

    def log_message(self, *words: object) -> None:
        pass


@contextmanager
def serving(server: HTTPServer) -> Iterator[None]:
    """Let a server answer meanwhile."""
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_app_that_nobody_starts_is_not_waited_for(free_ports: tuple[int, int]) -> None:
    assert not await_answer(free_ports[0], lambda: False)


def test_app_that_is_starting_is_waited_for(free_ports: tuple[int, int]) -> None:
    """The icon is clicked while the service starts: no second copy may begin beside it."""
    servers: list[HTTPServer] = []

    def is_starting() -> bool:
        if not servers:
            servers.append(HTTPServer(("127.0.0.1", free_ports[0]), Healthy))
            threading.Thread(target=servers[0].serve_forever, daemon=True).start()
        return True

    assert await_answer(free_ports[0], is_starting)
    assert len(servers) == 1
    servers[0].shutdown()
    servers[0].server_close()
