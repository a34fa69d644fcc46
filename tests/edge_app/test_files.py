from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.files import write_whole


def test_file_is_replaced_when_all_is_written(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("earlier")
    with write_whole(path) as place:
        place.write_text("new")
        assert (place.parent, place.suffix) == (tmp_path, ".txt")
        assert path.read_text() == "earlier"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_file_stays_as_it_was_when_writing_breaks_off(tmp_path: Path) -> None:
    path = tmp_path / "letter.txt"
    path.write_text("earlier")
    with pytest.raises(UnicodeEncodeError), write_whole(path) as place:
        place.write_text("new \udc80", encoding="utf-8")
    assert path.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [path]


def test_place_that_cannot_be_written_is_an_error_that_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").mkdir()
    with pytest.raises(IsADirectoryError), write_whole(tmp_path / "letter.txt") as place:
        place.write_text("new")
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]
