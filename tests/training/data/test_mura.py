from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.errors import DataError
from tests.drawn_dataset import write_drawn_mura
from training.data.datasets import read_dataset


@pytest.fixture
def mura(tmp_path: Path) -> Path:
    return write_drawn_mura(tmp_path / "MURA-v1.1")


def write(path: Path, *lines: str) -> None:
    path.write_text("".join(f"MURA-v1.1/{line}\n" for line in lines))


def test_path_tells_part_patient_study_label_and_side(mura: Path) -> None:
    dataset = read_dataset(mura)
    assert (dataset.layout, dataset.positive) == ("MURA", "abnormality")
    [sample] = [
        s for s in dataset.samples if s.image_id == "train/XR_WRIST/patient00001/study1_positive/image2.png"
    ]
    assert sample.fractured
    assert sample.body_parts == ("wrist",)
    assert sample.patient == "patient00001"
    assert sample.study == "XR_WRIST/patient00001/study1_positive"
    assert sample.side == "train"


def test_public_validation_set_is_the_side_to_test_on(mura: Path) -> None:
    sides = {sample.image_id.split("/")[0]: sample.side for sample in read_dataset(mura).samples}
    assert sides == {"train": "train", "valid": "test"}


def test_folder_around_it_is_recognised_too(mura: Path) -> None:
    assert len(read_dataset(mura.parent).samples) == len(read_dataset(mura).samples) == 72


def test_table_says_which_images_belong(mura: Path) -> None:
    names = [
        "train/XR_ELBOW/patient00002/study1_negative/image1.png",
        "train/XR_WRIST/patient00001/study1_positive/image1.png",
    ]
    write(mura / "train_image_paths.csv", *names)
    dataset = read_dataset(mura)
    assert [s.image_id for s in dataset.samples if s.side == "train"] == names
    assert dataset.remarks[0].startswith("58 images in train are not in train_image_paths.csv")


def test_table_that_names_an_absent_image_is_refused(mura: Path) -> None:
    write(mura / "valid_image_paths.csv", "valid/XR_WRIST/patient00099/study1_positive/image1.png")
    with pytest.raises(DataError, match=r"name 1 images that are not there, .*patient00099"):
        read_dataset(mura)


def test_table_with_another_kind_of_path_is_refused(mura: Path) -> None:
    write(mura / "valid_image_paths.csv", "valid/wrist/1.png")
    with pytest.raises(DataError, match=r"expected a path like train/XR_WRIST"):
        read_dataset(mura)


def test_label_that_differs_from_the_table_is_remarked_upon(mura: Path) -> None:
    study = "train/XR_WRIST/patient00001/study1_positive/"
    write(mura / "train_labeled_studies.csv", f"{study},0")
    assert read_dataset(mura).remarks == (
        "1 studies are labelled otherwise in train_labeled_studies.csv than by their folders, which "
        f"count: MURA-v1.1/{study}.",
    )


def test_leftovers_of_macos_are_no_xrays(mura: Path) -> None:
    (mura / "train/XR_WRIST/patient00001/study1_positive/._image1.png").write_bytes(b"x")
    assert len(read_dataset(mura).samples) == 72
