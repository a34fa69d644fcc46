from __future__ import annotations

from pathlib import Path

import pytest

from tools.bench.service import App
from tools.soak import Record, calls, soak


@pytest.mark.slow
def test_short_soak_gives_the_answers_that_are_meant(toy_bundle: Path) -> None:
    app = App(toy_bundle)
    try:
        record = soak(app, requests=160, clients=8)
    finally:
        app.close()
    assert record.faults == []
    assert sum(record.statuses.values()) == 160
    assert len(record.answers) == 2
    assert {call.status for call in calls()} == {200, 400, 404, 415, 422}
    assert max(record.resident_mib) < 700


def test_growth_leaves_out_the_warm_up() -> None:
    assert Record(resident_mib=[10.0] * 20 + [100.0] * 80).growth() == 0
    assert Record(resident_mib=[100.0] * 60 + [110.0] * 40).growth() == pytest.approx(0.1)
