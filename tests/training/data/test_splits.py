from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edge_app.errors import DataError
from export.proof.drawn import draw_xray
from training.data.samples import Sample
from training.data.splits import (
    Leak,
    check_classes,
    duplicate_pairs,
    earlier_sides,
    find_leaks,
    fold_sides,
    given_sides,
    group_samples,
    hold_out,
    label_conflicts,
)

NO_PAIRS = np.zeros((0, 2), np.int64)


def numbered(number: int, fractured: bool = False) -> Sample:
    return Sample(f"IMG{number:07d}.jpg", Path("nowhere"), fractured, number=number)


def of_patient(patient: str, side: str = "") -> Sample:
    return Sample(f"{patient}{side}", Path("nowhere"), False, patient=patient, side=side)


def thumbnails(*seeds: int) -> np.ndarray:
    pictures = [draw_xray(seed, 64, 64) for seed in seeds]
    return np.stack([cv2.resize(p, (32, 32), interpolation=cv2.INTER_AREA) for p in pictures])


def sides(*names: str) -> np.ndarray:
    return np.array(names, "<U10")


def test_same_and_nearly_same_pictures_are_pairs() -> None:
    pictures = np.concatenate([thumbnails(1, 2, 1, 3), thumbnails(2) // 2 + 10])
    assert duplicate_pairs(pictures).tolist() == [[0, 2], [1, 4]]


def test_pairs_are_found_across_the_portions_of_a_large_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("training.data.splits._ROWS_AT_ONCE", 2)
    assert duplicate_pairs(thumbnails(1, 2, 3, 1, 2, 5)).tolist() == [[0, 3], [1, 4]]


def test_flat_pictures_do_not_divide_by_zero() -> None:
    flat = np.zeros((2, 32, 32), np.uint8)
    assert duplicate_pairs(np.concatenate([flat, thumbnails(1)])).tolist() == []


def test_groups_are_patients_where_these_are_known() -> None:
    samples = [of_patient(name) for name in ("b", "a", "b")]
    assert group_samples(samples, np.array([[0, 1]])).tolist() == [1, 0, 1]


def test_groups_are_blocks_of_fifty_numbers_else() -> None:
    samples = [numbered(n) for n in (0, 49, 50, 149)]
    assert group_samples(samples, NO_PAIRS).tolist() == [0, 0, 1, 2]


def test_groups_are_duplicates_where_nothing_is_known() -> None:
    samples = [Sample(str(i), Path("nowhere"), False) for i in range(5)]
    assert group_samples(samples, np.array([[0, 2], [2, 4]])).tolist() == [0, 1, 0, 2, 0]


def test_groups_stay_whole_and_both_sides_hold_both_classes() -> None:
    generator = np.random.default_rng(0)
    groups = np.repeat(np.arange(40), 25)
    labels = (generator.random(1000) < np.repeat(generator.random(40) * 0.4, 25)).astype(np.float32)
    validation = hold_out("validation", sides(*["train"] * 1000), labels, groups, seed=0) == "validation"
    assert not set(groups[validation]) & set(groups[~validation])
    assert 0.15 < validation.mean() < 0.25
    assert 0.15 < labels[validation].sum() / labels.sum() < 0.25


def test_same_seed_gives_the_same_split() -> None:
    groups, labels = np.repeat(np.arange(20), 5), np.tile([0, 1], 50).astype(np.float32)
    everyone = sides(*["train"] * 100)
    first, again, other = (hold_out("validation", everyone, labels, groups, seed) for seed in (3, 3, 4))
    assert (first == again).all()
    assert (first != other).any()


def test_what_tests_is_not_drawn_to_validate() -> None:
    groups, labels = np.arange(40), np.tile([0, 1], 20).astype(np.float32)
    before = sides(*["train"] * 30, *["test"] * 10)
    after = hold_out("validation", before, labels, groups, seed=0)
    assert (after[30:] == "test").all()
    assert (after == "validation").sum() == 6


@pytest.mark.parametrize(("groups", "fractured"), [(4, 10), (20, 4)])
def test_too_few_groups_or_fractures_are_refused(groups: int, fractured: int) -> None:
    labels = (np.arange(20) < fractured).astype(np.float32)
    with pytest.raises(DataError, match=f"{fractured} fractured and .* in {groups} independent groups"):
        hold_out("validation", sides(*["train"] * 20), labels, np.arange(20) % groups, 0)


def test_each_group_is_held_out_by_one_fold() -> None:
    groups = np.repeat(np.arange(12), 5)
    labels = (np.arange(60) % 5 == 0).astype(np.float32)
    held_out = np.stack([fold == "validation" for fold in fold_sides(labels, groups, 3, seed=0)])
    assert (held_out.sum(axis=0) == 1).all()
    assert (held_out.sum(axis=1) == 20).all()
    for fold in held_out:
        assert not set(groups[fold]) & set(groups[~fold])
        assert labels[fold].sum() == 4


@pytest.mark.parametrize(("groups", "fractured"), [(2, 10), (20, 2)])
def test_too_few_groups_or_fractures_for_the_folds_are_refused(groups: int, fractured: int) -> None:
    labels = (np.arange(20) < fractured).astype(np.float32)
    with pytest.raises(DataError, match=f"{fractured} fractured and .* in {groups} .* too few for 3 folds"):
        fold_sides(labels, np.arange(20) % groups, 3, 0)


def test_fold_without_fractures_is_refused() -> None:
    labels = np.zeros(30, np.float32)
    labels[:10] = 1  # all in one group
    with pytest.raises(DataError, match="would hold 0 fractured among 10"):
        fold_sides(labels, np.repeat(np.arange(3), 10), 3, 0)


def test_side_of_one_class_is_refused() -> None:
    with pytest.raises(DataError, match="'test' of the split holds 0 fractured among 3"):
        check_classes("test", np.zeros(3, np.float32))


def test_duplicates_and_neighbours_of_validation_leak() -> None:
    samples = [numbered(n) for n in (10, 47, 48, 49, 50, 51, 90, 200)]
    where = np.where(np.isin(np.arange(8), (4, 5, 6)), "validation", "train")
    leaks = find_leaks(samples, where, np.array([[0, 6], [3, 4]]))
    # 10 duplicates 90; 48 and 49 stand within two of 50; 47 and 200 stay
    assert [samples[leak.sample].number for leak in leaks] == [10, 48, 49]
    assert leaks[0] == Leak(0, 6, "nearly the same picture")
    assert leaks[1] == Leak(2, 4, "neighbouring export number")


def test_patient_on_two_sides_leaks_into_the_later_one() -> None:
    samples = [of_patient(p, s) for p, s in (("a", "test"), ("a", "validation"), ("a", "train"))]
    leaks = find_leaks(samples, given_sides(samples), NO_PAIRS)
    assert leaks == [Leak(1, 0, "same patient"), Leak(2, 0, "same patient")]


def test_what_is_left_out_leaks_nowhere() -> None:
    samples = [of_patient("a"), of_patient("a")]
    assert find_leaks(samples, sides("left out", "test"), NO_PAIRS) == []
    assert find_leaks(samples, sides("train", "left out"), NO_PAIRS) == []


def test_duplicates_with_different_labels_are_conflicts() -> None:
    samples = [numbered(1, True), numbered(2, False), numbered(3, True)]
    conflicts = label_conflicts(samples, np.array([[0, 1], [0, 2]]))
    assert conflicts == [(samples[0], samples[1])]


def test_earlier_split_is_used_again(tmp_path: Path) -> None:
    split = tmp_path / "split.csv"
    split.write_text("image_id,side\nIMG0000002.jpg,left out\nIMG0000001.jpg,test\n")
    assert earlier_sides([numbered(1), numbered(2)], split).tolist() == ["test", "left out"]


@pytest.mark.parametrize("row", ["", "IMG0000001.jpg,unreadable\n", "IMG0000001.jpg,tset\n"])
def test_split_of_other_data_is_refused(tmp_path: Path, row: str) -> None:
    split = tmp_path / "split.csv"
    split.write_text(f"image_id,side\n{row}")
    with pytest.raises(DataError, match=r"side of 1 X-rays, the first is IMG0000001.jpg"):
        earlier_sides([numbered(1)], split)


def test_absent_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no split"):
        earlier_sides([numbered(1)], tmp_path / "split.csv")
