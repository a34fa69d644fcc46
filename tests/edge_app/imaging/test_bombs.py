"""Small files that ask for much: refused, or decoded within the limits."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from edge_app.errors import ImageError, InvalidImage
from edge_app.imaging.child import LIMIT_S, ChildDecoder
from edge_app.imaging.sandbox.program import MEMORY_BYTES
from tools.bombs import BOMBS, PICTURE, REFUSED, measure, png, progressive_scans

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def decoder() -> Iterator[ChildDecoder]:
    decoder = ChildDecoder()
    assert decoder.isolation.in_force
    yield decoder
    decoder.close()


@pytest.mark.parametrize(("make", "expected"), BOMBS.items())
def test_bomb_takes_bounded_memory_and_time(
    decoder: ChildDecoder, make: Callable[[], bytes], expected: str | None
) -> None:
    data = make()
    assert len(data) < 4_000_000
    begin_s = time.monotonic()
    try:
        height, width = decoder(data).pixels.shape
        outcome = PICTURE
        assert height * width <= 32_000_000
    except ImageError:
        outcome = REFUSED
    assert expected in (None, outcome)
    assert time.monotonic() - begin_s < LIMIT_S + 10  # to end and begin a process takes long on a busy PC
    assert psutil.Process(decoder.process_id).memory_info().rss < MEMORY_BYTES
    assert decoder(png(40, 40, 8, 0, bytes(40 * 41))).pixels.shape == (40, 40)


def test_scans_without_end_are_given_up() -> None:
    decoder = ChildDecoder(limit_s=1)
    data = progressive_scans()
    assert len(data) < 100_000
    with pytest.raises(InvalidImage, match="took longer than 1 seconds"):
        decoder(data)
    decoder.close()


def test_what_a_bomb_takes_is_measured() -> None:
    cost = measure(png(4000, 4000, 8, 0, bytes(4000 * 4001)))
    assert cost.outcome == PICTURE
    assert 16 < cost.peak_mib < MEMORY_BYTES / 1024**2
    assert 0 < cost.processor_s < LIMIT_S
