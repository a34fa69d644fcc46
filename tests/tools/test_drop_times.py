from __future__ import annotations

from pathlib import Path

import pytest

from tests.edge_app.web.conftest import grey_png, needs_chromium
from tools import drop_times
from tools.drop_times import Wait


@pytest.mark.slow
@needs_chromium
def test_answer_comes_before_its_picture(toy_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(grey_png(200))
    (waits,) = drop_times.measure([tmp_path / "x.png"], 2, toy_bundle).values()
    assert len(waits) == 2
    assert all(0 < answer_ms <= picture_ms for answer_ms, picture_ms in waits)


def test_summary_tells_least_median_and_most() -> None:
    waits = [Wait(1.2, 10), Wait(3, 30), Wait(2, 80)]
    assert drop_times.summary(waits) == {
        "answer_ms": {"least": 1, "median": 2, "most": 3},
        "picture_ms": {"least": 10, "median": 30, "most": 80},
    }
