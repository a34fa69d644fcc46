"""The confined process tries what a taken-over decoder would try, and must fail."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edge_app.errors import InvalidImage
from edge_app.imaging.child import ChildDecoder

# Runs each "file" as code, and answers with what became of it.
OBEDIENT = """
import sys
sys.path[:] = sys.argv[2:]
from edge_app.imaging.sandbox import program
from edge_app.errors import InvalidImage
def decode(data, max_pixels):
    try:
        answer = {}
        exec(data, answer)
    except BaseException as error:
        raise InvalidImage(type(error).__name__) from error
    raise InvalidImage("done: " + str(answer.get("answer"))[:400])
def load():
    program._warm_decoder()
    return decode
program.main(float(sys.argv[1]), load)
"""


@pytest.fixture(scope="module")
def process() -> Iterator[ChildDecoder]:
    process = ChildDecoder(program=OBEDIENT)
    if process.isolation.missing:
        pytest.skip(f"this system confines less; {'; '.join(process.isolation.missing)}")
    yield process
    process.close()


def attempt(process: ChildDecoder, code: str) -> str:
    with pytest.raises(InvalidImage) as answer:
        process(code.encode())
    return str(answer.value)


def test_code_runs_there_at_all(process: ChildDecoder) -> None:
    assert attempt(process, "answer = 6 * 7") == "done: 42"


@pytest.mark.parametrize(
    "family", ["AF_INET, socket.SOCK_STREAM", "AF_INET6, socket.SOCK_DGRAM", "AF_UNIX, socket.SOCK_STREAM"]
)
def test_no_socket_opens(process: ChildDecoder, family: str) -> None:
    code = f"import socket; socket.socket(socket.{family}).close()"
    exec(code)  # noqa: S102, the same line works outside
    assert attempt(process, code) == "PermissionError"


def test_no_file_is_made_or_changed(process: ChildDecoder, tmp_path: Path) -> None:
    standing = tmp_path / "standing"
    standing.write_text("as it was")
    for code in (
        f"open({str(tmp_path / 'new')!r}, 'wb')",
        f"open({str(standing)!r}, 'ab')",
        f"open({str(standing)!r}, 'r+b')",
        "import tempfile; tempfile.TemporaryFile()",
        "open('/dev/shm/x', 'wb')",
        f"import os; os.mkdir({str(tmp_path / 'folder')!r})",
        f"import os; os.unlink({str(standing)!r})",
        f"import os; os.rename({str(standing)!r}, {str(tmp_path / 'moved')!r})",
        f"import os; os.symlink('/etc', {str(tmp_path / 'link')!r})",
        f"import os; os.truncate({str(standing)!r}, 0)",
        f"import os; os.chmod({str(standing)!r}, 0)",
    ):
        answer = attempt(process, code)
        assert answer in ("PermissionError", "FileNotFoundError"), code
    assert [each.name for each in tmp_path.iterdir()] == ["standing"]
    assert standing.read_text() == "as it was"


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "/proc/self/environ", f"/proc/{os.getpid()}/mem", __file__],
    ids=["passwd", "environ", "memory", "sources"],
)
def test_no_file_is_read_but_the_programs_own(process: ChildDecoder, path: str) -> None:
    assert attempt(process, f"open({path!r}, 'rb').read(1)") == "PermissionError"


def test_the_programs_own_files_can_be_read(process: ChildDecoder) -> None:
    assert attempt(process, "import colorsys; answer = colorsys.rgb_to_hsv(0, 0, 1)[2]") == "done: 1"


@pytest.mark.parametrize(
    "code",
    [
        "import os; os.fork()",
        "import os; os.execv('/bin/true', ['true'])",
        "import subprocess; subprocess.run(['/bin/true'])",
        pytest.param(f"import os; os.kill({os.getpid()}, 0)", id="signal to the parent"),
        "import os; os.kill(os.getpid(), 0)",
        "import os; os.setuid(0)",
        "import os; os.memfd_create('x')",
        "import os; os.pipe()",
    ],
)
def test_no_process_and_no_other_handle(process: ChildDecoder, code: str) -> None:
    assert attempt(process, code) == "PermissionError"


def test_no_other_process_is_looked_into(process: ChildDecoder) -> None:
    code = (
        "import ctypes; library = ctypes.CDLL(None, use_errno=True); "
        f"answer = (library.ptrace(16, {os.getpid()}, 0, 0), ctypes.get_errno())"
    )
    assert attempt(process, code) == "done: (-1, 1)"


def test_memory_is_never_made_executable(process: ChildDecoder) -> None:
    code = "import mmap; mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)"
    assert attempt(process, code) == "PermissionError"


def test_memory_has_an_end(process: ChildDecoder) -> None:
    assert attempt(process, "answer = len(bytearray(800 * 1024 * 1024))").startswith("MemoryError")


def test_limits_cannot_be_raised(process: ChildDecoder) -> None:
    code = "import resource; resource.setrlimit(resource.RLIMIT_DATA, (-1, -1))"
    assert attempt(process, code) in ("PermissionError", "ValueError")


def test_threads_run(process: ChildDecoder) -> None:
    code = (
        "import threading; answer = []; "
        "thread = threading.Thread(target=answer.append, args=(1,)); thread.start(); thread.join()"
    )
    assert attempt(process, code) == "done: [1]"


def test_neither_the_models_runtime_nor_the_web_server_is_there(process: ChildDecoder) -> None:
    code = "import sys; answer = [n for n in ('onnxruntime', 'flask', 'waitress') if n in sys.modules]"
    assert attempt(process, code) == "done: []"


def test_nothing_of_the_apps_environment_goes_along(process: ChildDecoder) -> None:
    answer = attempt(process, "import os; answer = sorted(os.environ)")
    assert "HOME" not in answer
    assert "HOME" in os.environ or sys.platform == "win32"
