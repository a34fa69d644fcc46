from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from edge_app.errors import DataError
from edge_app.model.pointing import Box
from training.data.datasets import read_dataset


@pytest.fixture
def copied(drawn_dataset: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn_dataset, tmp_path / "copy"))


def rewrite(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text().replace(old, new))


def test_rows_become_samples_in_the_order_of_their_numbers(drawn_dataset: Path) -> None:
    samples = read_dataset(drawn_dataset).samples
    assert len(samples) == 64
    assert [sample.number for sample in samples[:9]] == [0, 6, 12, 18, 24, 30, 36, 42, 50]
    assert [sample.fractured for sample in samples[:3]] == [False, True, False]
    assert samples[1].boxes == (Box(0.3, 0.4, 0.2, 0.1),)
    assert samples[0].boxes == ()
    assert samples[0].body_parts == ("hand",)


def test_real_data_set_has_the_counts_of_its_description(xray_dir: Path) -> None:
    samples = read_dataset(xray_dir).samples
    assert len(samples) == 3271
    assert sum(sample.fractured for sample in samples) == 550
    assert sum(len(sample.boxes) for sample in samples) == 722


def test_label_that_differs_between_two_columns_is_remarked_upon(xray_dir: Path) -> None:
    assert "csv_fractured: IMG0003298.jpg." in read_dataset(xray_dir).remarks[0]


def test_folder_without_a_known_layout_is_refused_with_what_was_expected(copied: Path) -> None:
    (copied / "dataset.csv").unlink()
    with pytest.raises(DataError, match=r"holds boxes.csv, images\. Expected FracAtlas: .*; or MURA"):
        read_dataset(copied)


def test_absent_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no folder"):
        read_dataset(tmp_path / "nowhere")


def test_missing_boxes_are_remarked_upon(copied: Path) -> None:
    (copied / "boxes.csv").unlink()
    dataset = read_dataset(copied)
    assert not any(sample.boxes for sample in dataset.samples)
    assert "There is no boxes.csv" in dataset.remarks[0]


def test_images_may_stand_in_folders_of_their_class(copied: Path) -> None:
    (copied / "images" / "Fractured").mkdir()
    (copied / "images" / "IMG0000006.jpg").rename(copied / "images" / "Fractured" / "IMG0000006.jpg")
    assert read_dataset(copied).samples[1].path.is_file()


def test_two_images_of_one_name_are_refused(copied: Path) -> None:
    (copied / "images" / "more").mkdir()
    shutil.copy(copied / "images" / "IMG0000006.jpg", copied / "images" / "more")
    with pytest.raises(DataError, match="have the same name"):
        read_dataset(copied)


def test_images_that_are_not_listed_are_remarked_upon(copied: Path) -> None:
    shutil.copy(copied / "images" / "IMG0000006.jpg", copied / "images" / "IMG0009999.jpg")
    assert "1 images are not listed in dataset.csv" in read_dataset(copied).remarks[0]


def test_image_that_is_listed_twice_is_refused(copied: Path) -> None:
    rewrite(copied / "dataset.csv", "IMG0000012.jpg", "IMG0000006.jpg")
    with pytest.raises(DataError, match=r"list IMG0000006\.jpg more than once"):
        read_dataset(copied)


def test_absent_image_is_named(copied: Path) -> None:
    (copied / "images" / "IMG0000006.jpg").unlink()
    with pytest.raises(DataError, match=r"name 1 images that are not there, the first is .*IMG0000006.jpg"):
        read_dataset(copied)


def test_single_class_is_refused(copied: Path) -> None:
    rewrite(copied / "dataset.csv", ",1,1,", ",0,1,")
    with pytest.raises(DataError, match="all 64 X-rays are normal"):
        read_dataset(copied)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("hardware", "metal", "lacks a value for 'hardware'"),
        ("IMG0000000.jpg", "scan.jpg", "found scan.jpg"),
        (".jpg,1,", ".jpg,yes,", "fractured 'yes'"),
    ],
)
def test_table_with_other_columns_or_values_is_refused(
    copied: Path, old: str, new: str, words: str
) -> None:
    rewrite(copied / "dataset.csv", old, new)
    with pytest.raises(DataError, match=words):
        read_dataset(copied)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("0.3,", "left,", "x 'left'"),
        ("0.3,", "120,", "x '120'; expected a fraction"),
        ("0.3,", "nan,", "x 'nan'"),
        ("IMG0000006.jpg", "IMG9999999.jpg", "boxes.csv names IMG9999999.jpg"),
        ("image_id", "image", "lacks a value for 'image_id'"),
    ],
)
def test_boxes_with_other_columns_or_values_are_refused(
    copied: Path, old: str, new: str, words: str
) -> None:
    rewrite(copied / "boxes.csv", old, new)
    with pytest.raises(DataError, match=words):
        read_dataset(copied)
