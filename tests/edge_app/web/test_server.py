"""The real program over a real socket."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import requests

from edge_app.imaging.images import encode_png
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from edge_app.web.server import make_server, port_option
from tests.conftest import ROOT
from tests.toy import write_toy_bundle

pytestmark = pytest.mark.slow

SEED_SCRIPT = """
import requests
files = {'file': open('xray_image.png', 'rb')}
result = requests.post('http://localhost:5000/predict', files=files).json()
print(result['prediction'], result['confidence'])
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def serving(bundle_dir: Path, port: int, *more: str, **options: str) -> Iterator[subprocess.Popen[str]]:
    words = ["--port", str(port), "--bundle", str(bundle_dir), "--device", "cpu", *more]
    command = [sys.executable, "-m", "edge_app", *words]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True, **options) as process:
        try:
            line = process.stderr.readline()
            assert line.startswith(f"Fracture Edge is ready at http://localhost:{port} "), line
            yield process
        finally:
            process.kill()


def test_seed_script_works_unchanged_but_for_the_port(toy_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "xray_image.png").write_bytes(encode_png(np.full((64, 64), 255, np.uint8)))
    port = free_port()
    script = SEED_SCRIPT.replace(":5000", f":{port}")
    with serving(toy_bundle, port):
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
        )
    assert done.stdout.startswith("Fracture Detected 0.98201")


def test_it_listens_on_loopback_only_and_sends_no_banner(toy_bundle: Path) -> None:
    port = free_port()
    with serving(toy_bundle, port):
        answer = requests.get(f"http://127.0.0.1:{port}/health", timeout=60)
        assert answer.json()["device"] == "cpu"
        assert "Server" not in answer.headers
        listening = Path("/proc/net/tcp").read_text() if Path("/proc/net/tcp").exists() else ""
        rows = [row.split() for row in listening.splitlines()[1:]]
        addresses = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")]
        assert addresses in ([f"0100007F:{port:04X}"], [])


def test_health_tells_how_decoders_are_kept_in(toy_bundle: Path) -> None:
    port = free_port()
    with serving(toy_bundle, port) as process:
        decoder = requests.get(f"http://127.0.0.1:{port}/health", timeout=60).json()["decoder"]
        (child,) = psutil.Process(process.pid).children()
        assert "edge_app.imaging.sandbox.program" in " ".join(child.cmdline())
    assert decoder["isolation"] == ("partial" if decoder["missing"] else "full")
    assert any("700 MiB of memory" in each for each in decoder["in_force"])


def test_terminate_ends_it_in_order(toy_bundle: Path) -> None:
    with serving(toy_bundle, free_port()) as process:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def test_killed_app_leaves_no_decoder_behind_and_starts_again(toy_bundle: Path) -> None:
    port = free_port()
    with serving(toy_bundle, port) as process:
        decoder = psutil.Process(process.pid).children()[0]
        process.kill()
        process.wait()
        assert psutil.wait_procs([decoder], timeout=60)[1] == []
    with serving(toy_bundle, port):
        assert requests.get(f"http://127.0.0.1:{port}/ready", timeout=60).ok


@pytest.mark.skipif(
    not Path("/proc").exists() or os.geteuid() != 0,
    reason="reads the limits of a process that hides them from all but the system's owner from /proc",
)
def test_crash_would_write_no_core_file(toy_bundle: Path) -> None:
    with serving(toy_bundle, free_port()) as process:
        limits = Path(f"/proc/{process.pid}/limits").read_text()
    (line,) = (line for line in limits.splitlines() if line.startswith("Max core file size"))
    assert line.split()[4:6] == ["0", "0"]


def test_taken_port_is_told_in_one_line(toy_bundle: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, line = start_and_fail("--port", str(taken.getsockname()[1]), "--bundle", str(toy_bundle))
    assert code == 2
    assert line.count("\n") == 1
    assert "Choose another port with --port, such as " in line
    assert f"(process {os.getpid()}) listens there" in line or not Path("/proc").exists()


def test_port_is_shared_with_nobody(toy_predictor: Predictor) -> None:
    settings = Settings(port=free_port())
    server = make_server(create_app(settings, toy_predictor), settings)
    assert server.socket.getsockopt(socket.SOL_SOCKET, port_option(socket))
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with pytest.raises(OSError, match=r"in use|forbidden"):
            other.bind(("127.0.0.1", settings.port))
    server.close()


def test_windows_own_option_is_taken_where_there_is_one() -> None:
    assert port_option(SimpleNamespace(SO_REUSEADDR=4, SO_EXCLUSIVEADDRUSE=-5)) == -5
    assert port_option(SimpleNamespace(SO_REUSEADDR=2)) == 2


def test_second_copy_opens_the_page_of_the_first(toy_bundle: Path, tmp_path: Path) -> None:
    port, opened = free_port(), tmp_path / "opened"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {opened}\n')
    browser.chmod(0o755)
    with serving(toy_bundle, port):
        command = [sys.executable, "-m", "edge_app", "--port", str(port), "--bundle", str(toy_bundle)]
        environment = {**os.environ, "BROWSER": f"{browser} %s"}
        done = subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, timeout=60, env=environment
        )
    assert done.returncode == 0
    assert done.stderr.startswith("Fracture Edge runs already")
    assert opened.read_text().strip() == f"http://localhost:{port}"


def seconds_to_end(bundle: Path, how: signal.Signals) -> float:
    """Send the app a signal while it is at work, and return how long it takes to end."""
    large = encode_png(np.random.default_rng(0).integers(0, 256, (3000, 4000), np.uint8))
    port = free_port()

    def upload() -> None:
        with suppress(requests.RequestException):
            for _ in range(20):
                requests.post(f"http://localhost:{port}/predict", files={"file": large}, timeout=60)

    with serving(bundle, port) as process:
        child = psutil.Process(process.pid).children()[0]
        clients = [threading.Thread(target=upload) for _ in range(6)]
        for each in clients:
            each.start()
        time.sleep(1)
        begin = time.monotonic()
        process.send_signal(how)
        assert process.wait(timeout=60) == 0
        seconds = time.monotonic() - begin
        assert not child.is_running()
        for each in clients:
            each.join()
    return seconds


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_within_five_seconds_during_work(toy_bundle: Path, how: signal.Signals) -> None:
    """Try it three times at most: other programs may keep the processor from it."""
    assert any(seconds_to_end(toy_bundle, how) < 5 for _ in range(3))


def test_altered_model_does_not_start(tmp_path: Path) -> None:
    path = write_toy_bundle(tmp_path) / "features.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    code, line = start_and_fail("--bundle", str(tmp_path))
    assert code == 2
    assert line.startswith("Fracture Edge cannot start. features.onnx in ")
    assert line.count("\n") == 1


def start_and_fail(*words: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "edge_app", "--device", "cpu", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return done.returncode, done.stderr


@pytest.fixture
def address(toy_predictor: Predictor) -> str:
    """Serve from a thread of this process, so that its audit events can be heard."""
    settings = Settings(port=free_port())
    server = make_server(create_app(settings, toy_predictor), settings)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    return f"http://127.0.0.1:{settings.port}"


@pytest.mark.parametrize("size_bytes", [33 * 1024**2, 100 * 1024**2])
def test_body_over_the_cap_gets_its_answer(address: str, size_bytes: int) -> None:
    response = requests.post(f"{address}/predict", files={"file": bytes(size_bytes)}, timeout=60)
    assert (response.status_code, response.json()["error"]) == (413, "image_too_large")
    assert requests.get(f"{address}/health", timeout=60).status_code == 200


def test_garbage_instead_of_http_is_answered_and_survived(address: str) -> None:
    host, port = address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(b"\x16\x03\x01 not http\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.0 400 ")
    assert requests.get(f"{address}/health", timeout=60).status_code == 200


def test_no_upload_opens_a_file_for_writing(address: str, drawn_png: bytes) -> None:
    large = encode_png(np.random.default_rng(0).integers(0, 256, (3000, 4000), np.uint8))
    assert len(large) > 12_000_000
    uploads = {"small": drawn_png, "large": large, "broken": large[:2_000_000], "text": b"hello"}
    requests.get(f"{address}/", timeout=60)  # the template is read once
    with recorded_writes() as writes:
        for data in uploads.values():
            answer = requests.post(f"{address}/predict", files={"file": data}, timeout=60).json()
            for name in ("picture", "heatmap"):
                if answer.get(name):
                    picture = requests.get(address + answer[name], timeout=60)
                    assert picture.content.startswith(b"\x89PNG")
    assert writes == []


@pytest.mark.parametrize("header", [b"Transfer-Encoding: chunked", b"Content-Length: 2000000000"])
def test_endless_body_reaches_no_file_either(address: str, header: bytes) -> None:
    host, port = address.removeprefix("http://").split(":")
    head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n" + header + b"\r\n\r\n"
    with recorded_writes() as writes, socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(head)
        with suppress(OSError):  # the server may hang up on what is too large
            for _ in range(600):
                connection.sendall(b"10001\r\n" + bytes(0x10001) + b"\r\n")
    assert writes == []
    assert requests.get(f"{address}/health", timeout=60).status_code == 200


def test_the_recorder_of_writes_hears_writes(tmp_path: Path) -> None:
    with recorded_writes() as writes:
        (tmp_path / "a").write_bytes(b"1")
    assert writes == [str(tmp_path / "a")]


_recorders: list[list[str]] = []


def _record(event: str, arguments: tuple[object, ...]) -> None:
    if _recorders and event == "open":
        path, _, flags = arguments
        if isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            _recorders[-1].append(str(path))


sys.addaudithook(_record)


@contextmanager
def recorded_writes() -> Iterator[list[str]]:
    """Record each file that Python opens for writing in this process, in any thread."""
    writes: list[str] = []
    _recorders.append(writes)
    try:
        yield writes
        time.sleep(0.1)
    finally:
        _recorders.pop()
