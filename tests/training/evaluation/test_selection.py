from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.errors import DataError
from training.data.samples import Dataset, Sample
from training.evaluation.selection import Selection, select

SPLIT = """image_id,fractured,group,side,reason
a,1,3,train,
b,0,3,train,
c,1,4,validation,
d,0,4,validation,
e,1,5,left out,near f
f,0,,unreadable,cut short
"""


def dataset(**sides: str) -> Dataset:
    samples = tuple(Sample(name, Path(name), name in "ace", side) for name, side in sides.items())
    return Dataset(Path(), "class folders", "drawn", "fracture", "this data", samples)


def without_sides() -> Dataset:
    return dataset(a="", b="", c="", d="", e="", f="")


def with_sides(*sides: str) -> Dataset:
    return dataset(**dict(zip("abcdef", sides * 3, strict=False)))


@pytest.fixture
def split(tmp_path: Path) -> Path:
    path = tmp_path / "split.csv"
    path.write_text(SPLIT)
    return path


def names(selection: Selection) -> str:
    return "".join(sample.image_id for sample in selection.samples)


def test_run_without_a_test_side_is_judged_on_validation_and_says_so(split: Path) -> None:
    selection = select(without_sides(), "auto", "this data", split)
    assert (selection.side, names(selection)) == ("validation", "cd")
    assert (selection.groups["c"], selection.groups["d"]) == (4, 4)
    assert selection.holds_validation
    assert "were chosen on these X-rays" in selection.warnings[0]


def test_test_side_comes_first_and_needs_no_warning(split: Path) -> None:
    split.write_text(SPLIT.replace("e,1,5,left out,near f", "e,1,5,test,"))
    selection = select(without_sides(), "auto", "this data", split)
    assert (selection.side, names(selection), list(selection.warnings)) == ("test", "e", [])
    assert "".join(sample.image_id for sample in selection.own_validation) == "cd"


def test_all_leaves_out_what_cannot_be_read_and_lists_it(split: Path) -> None:
    selection = select(without_sides(), "all", "this data", split)
    assert names(selection) == "abcde"
    assert [(sample.image_id, why) for sample, why in selection.unreadable] == [("f", "cut short")]
    assert "was trained on X-rays among these" in selection.warnings[0]


def test_split_of_other_data_is_refused(split: Path) -> None:
    with pytest.raises(DataError, match="does not list 1 X-rays of drawn, the first is g"):
        select(dataset(a="", g=""), "auto", "this data", split)


def test_absent_side_names_those_there_are(split: Path) -> None:
    with pytest.raises(DataError, match="Choose one of train, validation, all with --side"):
        select(without_sides(), "test", "this data", split)


def test_other_data_are_judged_as_a_whole() -> None:
    selection = select(with_sides("train", "test"), "auto", "other data", None)
    assert (selection.side, names(selection)) == ("all", "abcdef")
    assert "nothing tells whether some of these X-rays were in it" in selection.warnings[0]


def test_names_that_the_model_was_trained_on_are_counted_in_other_data(split: Path) -> None:
    selection = select(dataset(a="", d="", e="", g=""), "auto", "other data", split)
    # e was left out, g was not there
    assert (selection.side, names(selection)) == ("all", "adeg")
    assert "2 of these 4 X-rays have names" in selection.warnings[0]


def test_data_of_other_names_are_not_said_to_be_known(split: Path) -> None:
    selection = select(dataset(g="", h=""), "auto", "other data", split)
    assert "nothing tells whether" in selection.warnings[0]


def test_group_that_is_no_number_is_refused(split: Path) -> None:
    split.write_text(SPLIT.replace("a,1,3", "a,1,three"))
    with pytest.raises(DataError, match="holds group 'three'; expected a whole number"):
        select(without_sides(), "auto", "this data", split)


@pytest.mark.parametrize(("given", "told", "unreadable"), [("", "all", 1), ("test", "test", 1)])
def test_unreadable_files_are_those_of_the_side_where_the_data_tell_it(
    split: Path, given: str, told: str, unreadable: int
) -> None:
    split.write_text(SPLIT.replace("e,1,5,left out,near f", "e,1,5,test,"))
    selection = select(dataset(a="", b="", c="", d="", e=given, f=given), "test", "this data", split)
    assert (selection.unreadable_side, len(selection.unreadable)) == (told, unreadable)


def test_unreadable_files_of_another_side_are_not_counted(split: Path) -> None:
    split.write_text(SPLIT.replace("e,1,5,left out,near f", "e,1,5,test,"))
    sides = dataset(a="train", b="train", c="train", d="train", e="test", f="train")
    assert not select(sides, "test", "this data", split).unreadable


def test_other_data_give_one_of_their_sides_when_asked() -> None:
    assert names(select(with_sides("train", "test"), "test", "other data", None)) == "bdf"


def test_bundle_trained_on_these_very_data_is_told_as_such() -> None:
    selection = select(without_sides(), "auto", "this data", None)
    assert (selection.side, names(selection)) == ("all", "abcdef")
    assert "nothing tells which of its X-rays were held out" in selection.warnings[0]


def test_bundle_is_judged_on_the_sides_that_its_data_set_has() -> None:
    selection = select(with_sides("train", "validation", "test"), "auto", "this data", None)
    assert (selection.side, names(selection), list(selection.warnings)) == ("test", "cf", [])


def test_unknown_training_is_warned_of() -> None:
    selection = select(with_sides("train", "validation"), "auto", "", None)
    assert selection.side == "validation"
    assert "is not known" in selection.warnings[0]
