"""The process that decodes: it gives what decoding gives, and whatever happens in it, the app goes on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest

from edge_app.errors import DecoderError, InvalidImage, UnsupportedImage
from edge_app.imaging.child import ChildDecoder, Hold
from edge_app.imaging.decode import decode
from edge_app.imaging.images import encode_png
from edge_app.imaging.picture import DicomHeader, Patient, Picture, Window
from tests.conftest import ROOT

HEADER = DicomHeader(
    sop_class_uid="1.2.840.10008.5.1.4.1.1.1.1",
    sop_instance_uid="1.2.3",
    study_uid="1.2",
    series_uid="1.2.1",
    modality="DX",
    spacing_mm=(0.14, 0.15),
    windows=(Window(127.5, 255.0, "BONE"),),
    patient=Patient(identifier="7", name="Ünal^A", birth_date="19700101", sex="F"),
)
PRELUDE = """
import sys
sys.path[:] = sys.argv[2:]
import os, struct, time
import numpy as np
from edge_app.imaging.sandbox import program
from edge_app.errors import InvalidImage
from edge_app.imaging.picture import Picture
"""
# Each file is a word that says what goes wrong; "well" goes well.
UNRELIABLE = (
    PRELUDE
    + """
from tests.edge_app.imaging.test_child import HEADER
def decode(data, max_pixels):
    if data == b"hang":
        time.sleep(60)
    if data == b"crash":
        os.abort()
    if data == b"hog":
        np.ones(900 * 1024 * 1024, np.uint8)
    return Picture(np.full((32, 48), len(data), np.uint8), HEADER)
program.main(float(sys.argv[1]), lambda: decode)
"""
)
# Answers the first file with the bytes that the test names, whatever it was.
LYING = (
    PRELUDE
    + """
replies = os.fdopen(os.dup(1), "wb", 0)
text = b"[]"
replies.write(struct.pack("<BIII", 0, len(text), 0, 0) + text)
os.read(0, 16)
replies.write({lie!r})
time.sleep(60)
"""
)
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def decoder() -> Iterator[ChildDecoder]:
    decoder = ChildDecoder()
    yield decoder
    decoder.close()


@pytest.fixture
def running() -> Iterator[Callable[..., ChildDecoder]]:
    started: list[ChildDecoder] = []

    def start(program: str, **options: float) -> ChildDecoder:
        started.append(ChildDecoder(program=program, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()


def test_picture_is_the_one_that_decoding_gives(decoder: ChildDecoder, drawn_png: bytes) -> None:
    assert np.array_equal(decoder(drawn_png).pixels, decode(drawn_png).pixels)


def test_two_pictures_in_a_row_do_not_mix(decoder: ChildDecoder) -> None:
    for level, shape in ((10, (50, 60)), (200, (60, 50)), (10, (50, 60))):
        pixels = np.full(shape, level, np.uint8)
        assert np.array_equal(decoder(encode_png(pixels)).pixels, pixels)


def test_truncated_picture_after_another_is_refused(decoder: ChildDecoder, drawn_png: bytes) -> None:
    decoder(drawn_png)
    with pytest.raises(InvalidImage, match="broken or incomplete"):
        decoder(drawn_png[: len(drawn_png) // 2])


def test_refusal_comes_through_word_by_word(decoder: ChildDecoder) -> None:
    with pytest.raises(UnsupportedImage) as here:
        decode(b"%PDF-1.7")
    with pytest.raises(UnsupportedImage) as there:
        decoder(b"%PDF-1.7")
    assert str(there.value) == str(here.value)


def test_header_facts_come_through(running: Callable[..., ChildDecoder]) -> None:
    picture = running(UNRELIABLE)(b"well")
    assert picture.header == HEADER
    assert picture.pixels.shape == (32, 48)


def test_hanging_file_is_refused_in_time_and_the_next_one_decoded(
    running: Callable[..., ChildDecoder],
) -> None:
    decoder = running(UNRELIABLE, limit_s=0.5)
    assert decoder.isolation.in_force
    begin_s = time.monotonic()
    with pytest.raises(InvalidImage, match=r"took longer than 0\.5 seconds"):
        decoder(b"hang")
    assert time.monotonic() - begin_s < 50  # the program sleeps for a minute
    assert decoder(b"well").pixels[0, 0] == 4


@pytest.mark.parametrize("word", [b"crash", b"hog"])
def test_file_that_breaks_the_process_is_refused_and_the_next_one_decoded(
    running: Callable[..., ChildDecoder], word: bytes
) -> None:
    decoder = running(UNRELIABLE)
    with pytest.raises(InvalidImage):
        decoder(word)
    assert decoder(b"well").pixels[0, 0] == 4


def test_process_that_was_ended_while_idle_costs_no_picture(running: Callable[..., ChildDecoder]) -> None:
    decoder = running(UNRELIABLE)
    decoder(b"well")
    os.kill(decoder.process_id, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(decoder.process_id)], timeout=60)
    assert decoder(b"well").pixels[0, 0] == 4


def lie(kind: int, facts: bytes, height: int, width: int, told_bytes: int | None = None) -> bytes:
    size = len(facts) if told_bytes is None else told_bytes
    head = kind.to_bytes(1, "little") + b"".join(n.to_bytes(4, "little") for n in (size, height, width))
    return head + facts


@pytest.mark.parametrize(
    "answer",
    [
        lie(1, b"null", 2**32 - 1, 2**32 - 1),
        lie(1, b"null", 4000, 9000),
        lie(1, b"null", 0, 10),
        lie(1, b"", 10, 10, told_bytes=2**32 - 1),
        lie(1, b"{", 10, 10),
        lie(1, b"[" * 60000, 10, 10),
        lie(1, b'{"modality": 1}', 10, 10),
        lie(2, b'["internal", "x"]', 0, 0),
        lie(2, b'["invalid_image", "' + b"x" * 600 + b'"]', 0, 0),
        lie(0, b"null", 0, 0),
        lie(3, b"null", 4000, 9000),
        lie(9, b"null", 10, 10),
    ],
)
def test_lying_process_is_not_believed(running: Callable[..., ChildDecoder], answer: bytes) -> None:
    decoder = running(LYING.format(lie=answer))
    with pytest.raises(InvalidImage, match="broke the program"):
        decoder(b"x")


def test_process_that_does_not_start_is_told(running: Callable[..., ChildDecoder]) -> None:
    with pytest.raises(DecoderError, match="did not start"):
        running("raise SystemExit(1)")(b"x")


def test_process_that_starts_too_slowly_blames_no_installation(
    running: Callable[..., ChildDecoder],
) -> None:
    with pytest.raises(DecoderError, match=r"within 0\.1 seconds: this computer is busy"):
        running("import time; time.sleep(600)", start_limit_s=0.1)(b"x")


ORPHAN = """
import sys, time
sys.path.insert(0, {root!r})
from edge_app.imaging.child import ChildDecoder
from tests.edge_app.imaging.test_child import UNRELIABLE
decoder = ChildDecoder(program=UNRELIABLE, limit_s=1)
decoder.isolation
print(decoder.process_id, flush=True)
decoder({word!r})
time.sleep(60)
"""


@pytest.mark.parametrize("word", [b"well", b"hang"])
def test_it_does_not_outlive_the_app(word: bytes) -> None:
    code = ORPHAN.format(root=str(ROOT), word=word)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as app:
        child = psutil.Process(int(app.stdout.readline()))
        time.sleep(0.2)
        app.kill()
    deadline_s = time.monotonic() + 50
    while not is_dead(child) and time.monotonic() < deadline_s:
        time.sleep(0.05)
    assert is_dead(child)


def is_dead(process: psutil.Process) -> bool:
    """Tell whether a process has ended; in a container nobody may yet have asked how."""
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_picture_is_a_picture(decoder: ChildDecoder, white_png: bytes) -> None:
    picture = decoder(white_png)
    assert isinstance(picture, Picture)
    assert (picture.pixels.shape, picture.pixels.dtype, picture.header) == ((40, 60), np.uint8, None)


@pytest.mark.parametrize("blue", [100, 200])
def test_colour_is_told(decoder: ChildDecoder, blue: int) -> None:
    picture = decoder(encode_png(np.full((40, 60, 3), (100, 100, blue), np.uint8)))
    assert picture.is_coloured is (blue > 100)


@pytest.mark.skipif(not Path("/proc").exists(), reason="counts open files in /proc")
def test_restarts_leak_neither_files_nor_processes(running: Callable[..., ChildDecoder]) -> None:
    decoder = running(UNRELIABLE)
    decoder(b"well")
    files = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        with pytest.raises(InvalidImage):
            decoder(b"crash")
    assert len(list(Path("/proc/self/fd").iterdir())) == files
    zombies = [each for each in psutil.Process().children() if each.status() == psutil.STATUS_ZOMBIE]
    assert zombies == []


def refuse(_: subprocess.Popen[bytes]) -> Hold:
    raise PermissionError("Access is denied")


class Recorder:
    """Stands for a job object: counts how often it was closed."""

    closed = 0

    def close(self) -> None:
        self.closed += 1


def test_refused_job_object_is_told_and_pictures_are_decoded(drawn_png: bytes) -> None:
    with closing(ChildDecoder(hold=refuse)) as decoder:
        assert "job object: the system refused it: Access is denied" in decoder.isolation.missing
        assert not any("job object" in each for each in decoder.isolation.in_force)
        np.testing.assert_array_equal(decoder(drawn_png).pixels, decode(drawn_png).pixels)


def test_job_object_is_told_and_closed_with_the_process() -> None:
    job = Recorder()
    with closing(ChildDecoder(hold=lambda _: job)) as decoder:
        assert "job object: 700 MiB of memory, one process" in decoder.isolation.in_force
        assert not any("job object" in each for each in decoder.isolation.missing)
        assert job.closed == 0
    assert job.closed == 1
