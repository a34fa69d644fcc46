"""The real program over a real socket: uploads, many clients, start, memory, idling."""

from __future__ import annotations

import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path

import psutil
from PIL import Image

from export.proof.drawn import draw_xray
from tools.bench.contenders import THREADS
from tools.bench.worker import timed

HOST = "127.0.0.1"
START_LIMIT_S = 60.0
UPLOADS = 3
MEGABYTE = 1_000_000
_BOUNDARY = "fracture-edge-bench"


class App:
    """The app in a process of its own; `started_s` tells how long it took until it was healthy.

    Args:
        bundle_dir: The model bundle.

    Raises:
        RuntimeError: it did not start.
    """

    def __init__(self, bundle_dir: Path) -> None:
        self._port = _free_port()
        words = ["--port", str(self._port), "--bundle", str(bundle_dir), "--device", "cpu"]
        command = [sys.executable, "-m", "edge_app", *words, "--threads", str(THREADS)]
        environment = {**os.environ, "OPENCV_FOR_THREADS_NUM": str(THREADS)}
        self._log = tempfile.TemporaryFile()  # noqa: SIM115, it is closed in close()
        begin = time.perf_counter()
        self._process = subprocess.Popen(command, env=environment, stdout=self._log, stderr=self._log)
        self._usage = psutil.Process(self._process.pid)
        while not self._is_healthy():
            if self._process.poll() is not None or time.perf_counter() - begin > START_LIMIT_S:
                self._log.seek(0)
                raise RuntimeError(f"The app did not start: {self._log.read().decode()}")
            time.sleep(0.005)
        self.started_s = time.perf_counter() - begin

    def connect(self) -> HTTPConnection:
        """Open a connection that stays open."""
        return HTTPConnection(HOST, self._port, timeout=START_LIMIT_S)

    @property
    def process(self) -> psutil.Process:
        """The app's process, whose child decodes."""
        return self._usage

    def resident_mb(self) -> float:
        """Return the resident memory, with that of the process that decodes."""
        family = [self._usage, *self._usage.children()]
        return sum(float(each.memory_info().rss) for each in family) / MEGABYTE

    def busy_percent(self, seconds: float) -> float:
        """Return how much of one core is used over some seconds from now."""
        before_s = self._processor_s()
        time.sleep(seconds)
        return 100 * (self._processor_s() - before_s) / seconds

    def close(self) -> None:
        """End the process."""
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def _processor_s(self) -> float:
        times = self._usage.cpu_times()
        return float(times.user + times.system)

    def _is_healthy(self) -> bool:
        connection = self.connect()
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()


class Upload:
    """One client that uploads one picture and reads the JSON.

    Args:
        app: The app.
        jpeg: The picture's bytes.
    """

    def __init__(self, app: App, jpeg: bytes) -> None:
        self._connection = app.connect()
        self._headers, self._body = multipart(jpeg)

    def __call__(self) -> None:
        """Upload it.

        Raises:
            RuntimeError: it was not judged.
        """
        self._connection.request("POST", "/predict", self._body, self._headers)
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"Expected status 200 from /predict, received {answer.status}: {text!r}")

    def block_ms(self) -> list[float]:
        """Upload it a few times in a row, after one time that is not counted."""
        self()
        return [1000 * timed(self) for _ in range(UPLOADS)]


class Crowd:
    """Many clients at once; `latencies_ms` holds the time of every upload so far.

    Args:
        app: The app.
        jpeg: What they upload.
        clients: How many they are.
        each: How often each uploads in a block.
    """

    def __init__(self, app: App, jpeg: bytes, clients: int = 8, each: int = 5) -> None:
        self._uploads = [Upload(app, jpeg) for _ in range(clients)]
        self._each = each
        self._pool = ThreadPoolExecutor(clients)
        self.latencies_ms: list[float] = []

    def block_ms(self) -> list[float]:
        """Let all clients upload, and return the time of the block divided by its uploads."""
        block_s = timed(self._all)
        return [1000 * block_s / (len(self._uploads) * self._each)]

    def _all(self) -> None:
        for latencies in self._pool.map(self._one, self._uploads):
            self.latencies_ms.extend(latencies)

    def _one(self, upload: Upload) -> list[float]:
        return [1000 * timed(upload) for _ in range(self._each)]


def drawn_jpeg(width: int, height: int) -> bytes:
    """Draw an X-ray and encode it as JPEG; its noise makes it larger than a real one."""
    file = io.BytesIO()
    Image.fromarray(draw_xray(1, height, width)).save(file, "JPEG", quality=90)
    return file.getvalue()


def multipart(jpeg: bytes) -> tuple[dict[str, str], bytes]:
    """Wrap a file as a browser does.

    Args:
        jpeg: The file's bytes.

    Returns:
        The request's headers and its body.
    """
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="xray.jpg"\r\n'
        "Content-Type: image/jpeg\r\n\r\n"
    )
    body = head.encode() + jpeg + f"\r\n--{_BOUNDARY}--\r\n".encode()
    return {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}, body


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
