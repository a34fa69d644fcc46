from __future__ import annotations

import random

import pytest

from edge_app.imaging.child import ChildDecoder
from tools.fuzz import LIMIT_S, MEMORY_LIMIT_MIB, fuzz, main, mutated, seeds


@pytest.mark.slow
def test_two_thousand_damaged_files_give_a_picture_or_a_clear_refusal() -> None:
    decoder = ChildDecoder(max_pixels=4_000_000)
    findings = fuzz(decoder, seeds(), 2000, seed=1)
    decoder.close()
    assert findings.faults == []
    assert findings.count == 2000
    assert findings.new_processes == 0  # else a decoder raised what nobody expected of it
    assert findings.outcomes["invalid_image"] > 200
    assert findings.outcomes["picture"] > 20
    assert findings.slowest_s < LIMIT_S
    assert findings.peak_mib < MEMORY_LIMIT_MIB


def test_the_same_seed_damages_alike() -> None:
    files = list(seeds().values())
    damaged = [_all_mutated(files) for _ in range(2)]
    assert damaged[0] == damaged[1]
    assert all(file != before for file, before in zip(damaged[0], files, strict=True))


@pytest.mark.slow
def test_command_tells_what_became_of_the_inputs(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--count", "20"]) == 0
    assert '"inputs": 20' in capsys.readouterr().out


def _all_mutated(files: list[bytes]) -> list[bytes]:
    rng = random.Random(7)  # noqa: S311, nothing here is secret
    return [mutated(rng, each, files) for each in files]
