from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import DataError
from edge_app.imaging.images import encode_png
from export.runs import XrayRecord
from export.xrays import evenly_spread, read_xrays


def records(*files: str) -> list[XrayRecord]:
    return [XrayRecord(file, file, True, "train", ()) for file in files]


def test_xrays_are_laid_into_squares_in_order(tmp_path: Path) -> None:
    (tmp_path / "wide").mkdir()
    (tmp_path / "wide" / "a.png").write_bytes(encode_png(np.full((40, 80), 200, np.uint8)))
    (tmp_path / "b.png").write_bytes(encode_png(np.full((64, 64), 90, np.uint8)))
    xrays = read_xrays(tmp_path, records("wide/a.png", "b.png"), 64, "test")
    assert [xray.file for xray in xrays.records] == ["wide/a.png", "b.png"]
    assert xrays.shapes == ((40, 80), (64, 64))
    np.testing.assert_array_equal(xrays.squares[0, 16:48], 200)
    np.testing.assert_array_equal(xrays.squares[0, :16], 0)
    np.testing.assert_array_equal(xrays.squares[1], 90)


def test_missing_xray_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png cannot be read: No such file.*--data"):
        read_xrays(tmp_path, records("gone.png"), 64, "test")


def test_broken_xray_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"a\.png is not the X-ray that was trained on: .*Restore the data"):
        read_xrays(tmp_path, records("a.png"), 64, "test")


def test_run_without_such_xrays_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="lists no X-ray for the calibration"):
        read_xrays(tmp_path, [], 64, "calibration")


@pytest.mark.parametrize(
    ("count", "expected"), [(1, "a"), (2, "ae"), (3, "ace"), (5, "abcde"), (9, "abcde")]
)
def test_choice_is_spread_evenly(count: int, expected: str) -> None:
    chosen = evenly_spread(records(*"abcde"), count)
    assert "".join(xray.file for xray in chosen) == expected


def test_nothing_is_chosen_from_nothing() -> None:
    assert evenly_spread([], 3) == []
