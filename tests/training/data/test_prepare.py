from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import DataError
from edge_app.model.pointing import Box
from tests.drawn_dataset import write_drawn_class_folders, write_drawn_dataset, write_drawn_mura
from training.data.datasets import read_dataset
from training.data.prepare import TrainingData, prepare, split_rows
from training.data.samples import Sample
from training.data.scan import Scan
from training.data.splits import duplicate_pairs

LAYOUTS = {
    "FracAtlas": write_drawn_dataset,
    "MURA": lambda data_dir: write_drawn_mura(data_dir / "MURA-v1.1").parent,
    "class folders": lambda data_dir: write_drawn_class_folders(data_dir, ("",)),
    "class folders by side": lambda data_dir: write_drawn_class_folders(data_dir, ("train", "val")),
}


def prepared(data_dir: Path, **options: object) -> TrainingData:
    return prepare(read_dataset(data_dir).samples, 32, "memory", 0, **options)


def ids(data: TrainingData, side: str) -> set[str]:
    return {data.scan.samples[index].image_id for index in data.chosen(side)}


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    return write_drawn_class_folders(tmp_path / "data", ("train", "validation", "test"))


def test_given_sides_are_kept(folders: Path) -> None:
    data = prepared(folders)
    for side in ("train", "validation", "test"):
        assert len(ids(data, side)) == 16
        assert {name.split("/")[0] for name in ids(data, side)} == {side}


def test_validation_is_chosen_by_patient_where_the_data_set_has_none(tmp_path: Path) -> None:
    data = prepared(write_drawn_mura(tmp_path / "MURA-v1.1"))
    patients = {side: {name.split("/")[2] for name in ids(data, side)} for side in set(data.sides)}
    assert len(patients["test"]) == 6
    assert len(patients["validation"]) == 6
    assert not patients["train"] & patients["validation"]


def test_side_to_test_on_is_chosen_where_it_is_asked_for(drawn_dataset: Path) -> None:
    data = prepared(drawn_dataset, hold_out_test=True)
    blocks = {side: set(data.groups[data.chosen(side)]) for side in ("train", "validation", "test")}
    assert len(blocks["test"]) >= 1
    assert len(blocks["validation"]) >= 1
    assert not blocks["train"] & blocks["test"]
    assert not blocks["validation"] & blocks["test"]


def test_duplicate_on_two_given_sides_stops_with_both_files(folders: Path) -> None:
    shutil.copy(folders / "test/normal/200.png", folders / "train/fractured/copy.png")
    with pytest.raises(DataError, match=r"train/fractured/copy.png \(train\).* as test/normal/200.png"):
        prepared(folders)


def test_training_can_go_on_without_what_leaks(folders: Path) -> None:
    shutil.copy(folders / "test/normal/200.png", folders / "train/fractured/copy.png")
    data = prepared(folders, leave_out_leaks=True)
    assert ids(data, "left out") == {"train/fractured/copy.png"}
    [row] = [row for row in split_rows(data, folders) if row["side"] == "left out"]
    assert row["reason"] == "nearly the same picture as test/normal/200.png"


def test_patient_on_two_given_sides_stops(tmp_path: Path) -> None:
    root = write_drawn_mura(tmp_path / "MURA-v1.1")
    patient = root / "valid/XR_WRIST/patient00034"
    patient.rename(patient.with_name("patient00001"))
    with pytest.raises(DataError, match=r"2 X-rays .*\n.*\(train\): same patient as valid/XR_WRIST"):
        prepared(root)


def test_side_without_fractures_stops(folders: Path) -> None:
    shutil.rmtree(folders / "validation" / "fractured")
    with pytest.raises(DataError, match="'validation' of the split holds 0 fractured among 8"):
        prepared(folders)


def test_written_split_is_used_again(drawn_dataset: Path, tmp_path: Path) -> None:
    first = prepared(drawn_dataset)
    rows = split_rows(first, drawn_dataset)
    with (tmp_path / "split.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys())
        writer.writeheader()
        writer.writerows(rows)
    again = prepare(
        read_dataset(drawn_dataset).samples, 32, "memory", 7, earlier_split=tmp_path / "split.csv"
    )
    assert again.sides.tolist() == first.sides.tolist()


def test_written_split_that_leaks_stops(drawn_dataset: Path, tmp_path: Path) -> None:
    names = [sample.image_id for sample in read_dataset(drawn_dataset).samples]
    lines = [f"{name},{'train' if i % 2 else 'validation'}" for i, name in enumerate(names)]
    (tmp_path / "split.csv").write_text("\n".join(["image_id,side", *lines]))
    shutil.copytree(drawn_dataset, tmp_path / "data")
    shutil.copy(tmp_path / "data/images" / names[2], tmp_path / "data/images" / names[1])
    with pytest.raises(DataError, match=rf"{names[1]} \(train\): nearly the same picture as {names[2]}"):
        prepared(tmp_path / "data", earlier_split=tmp_path / "split.csv")


def test_duplicates_labelled_differently_are_told(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(folders / "train/normal/000.png", folders / "train/fractured/copy.png")
    prepared(folders)
    assert "train/fractured/copy.png and train/normal/000.png are nearly the same" in caplog.text


def test_every_image_has_a_row_in_the_split(drawn_dataset: Path) -> None:
    rows = split_rows(prepared(drawn_dataset), drawn_dataset)
    assert len(rows) == 64
    assert [row["image_id"] for row in rows if row["side"] == "unreadable"] == ["IMG0000000.jpg"]


@pytest.mark.parametrize("write", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_split_tells_where_each_file_stands_in_the_data(
    write: Callable[[Path], Path], tmp_path: Path
) -> None:
    dataset = read_dataset(write(tmp_path / "data"))
    rows = split_rows(prepared(tmp_path / "data"), dataset.data_dir)
    path_of = {sample.image_id: sample.path for sample in dataset.samples}
    assert {row["image_id"]: tmp_path / "data" / row["file"] for row in rows} == path_of
    assert all(row["file"].count("/") >= 1 and not row["file"].startswith("/") for row in rows)


def test_boxes_read_back_from_the_split_exactly() -> None:
    boxes = (Box(0.1, 1 / 3, 0.25, 1e-17), Box(0, 1.0, 0.1 + 0.2, 0.5))
    samples = [
        Sample("a", Path("data/in/a.png"), True, boxes=boxes),
        Sample("b", Path("data/b.png"), False),
    ]
    none = np.zeros(0)
    scan = Scan([], none, none, none, unreadable=[(each, "why") for each in samples])
    data = TrainingData(scan, none, none, none, {})
    first, second = split_rows(data, Path("data"))
    assert first["boxes"].split(";")[0] == "0.1 0.3333333333333333 0.25 1e-17"
    read = tuple(Box(*map(float, box.split(" "))) for box in first["boxes"].split(";"))
    assert read == boxes
    assert (first["file"], second["file"], second["boxes"]) == ("in/a.png", "b.png", "")


def test_no_real_xray_stands_on_both_sides(xray_dir: Path) -> None:
    data = prepare(read_dataset(xray_dir).samples, 64, "memory", 0)
    train, validation = data.sides == "train", data.sides == "validation"
    hashes = np.array([hash(data.scan.squares[i].tobytes()) for i in range(len(data.sides))])
    assert not set(hashes[train]) & set(hashes[validation])
    pairs = duplicate_pairs(data.scan.thumbnails)
    assert not (train[pairs[:, 0]] & validation[pairs[:, 1]]).any()
    assert not (train[pairs[:, 1]] & validation[pairs[:, 0]]).any()
    numbers = np.array([sample.number for sample in data.scan.samples])
    assert np.abs(numbers[train][:, None] - numbers[validation]).min() > 2
    assert len(data.scan.unreadable) == 56
    assert not any(sample.fractured for sample, _ in data.scan.unreadable)
