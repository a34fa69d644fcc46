"""The app as a person starts it, in a process of its own, for the tools that measure it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.ports import free_port

ROOT = Path(__file__).resolve().parent.parent


@contextmanager
def running_app(bundle: Path, *words: str) -> Iterator[tuple[int, str]]:
    """Run the app on a free port and the CPU until the end of the block.

    Args:
        bundle: The model.
        words: More of its command line.

    Yields:
        Its process number, and its page's address without a slash at the end, once it is ready.
    """
    port = free_port()
    options = ["--port", str(port), "--bundle", str(bundle), "--device", "cpu", *words]
    command = [sys.executable, "-m", "edge_app", *options]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            process.stderr.readline()  # written when it is ready
            yield process.pid, f"http://localhost:{port}"
        finally:
            process.kill()
