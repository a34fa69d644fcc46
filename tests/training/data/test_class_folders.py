from __future__ import annotations

from pathlib import Path

import pytest

from edge_app.errors import DataError
from training.data.datasets import read_dataset


def touch(data_dir: Path, *names: str) -> Path:
    for name in names:
        (data_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (data_dir / name).write_bytes(b"x")
    return data_dir


def test_sides_and_classes_are_the_folders_names(tmp_path: Path) -> None:
    names = ("train/fractured/a.jpg", "train/normal/b.PNG", "test/normal/deep/c.jpeg")
    dataset = read_dataset(touch(tmp_path, *names))
    assert dataset.layout == "class folders"
    assert [(s.image_id, s.side, s.fractured) for s in dataset.samples] == [
        ("train/fractured/a.jpg", "train", True),
        ("train/normal/b.PNG", "train", False),
        ("test/normal/deep/c.jpeg", "test", False),
    ]


def test_classes_alone_have_no_side(tmp_path: Path) -> None:
    dataset = read_dataset(touch(tmp_path, "fractured/a.jpg", "normal/b.jpg"))
    assert [s.side for s in dataset.samples] == ["", ""]


@pytest.mark.parametrize("name", ["val", "valid"])
def test_short_names_of_validation_are_known(tmp_path: Path, name: str) -> None:
    names = ("train/fractured/a.jpg", "train/normal/b.jpg", f"{name}/fractured/c.jpg")
    assert read_dataset(touch(tmp_path, *names)).samples[-1].side == "validation"


def test_classes_beside_sides_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="both by themselves and inside sides"):
        read_dataset(touch(tmp_path, "fractured/a.jpg", "normal/b.jpg", "test/normal/c.jpg"))


def test_images_elsewhere_are_remarked_upon(tmp_path: Path) -> None:
    names = ("train/fractured/a.jpg", "train/normal/b.jpg", "tset/normal/c.jpg")
    assert read_dataset(touch(tmp_path, *names)).remarks == (
        "1 images stand outside the folders of the classes and are passed over, the first is "
        "tset/normal/c.jpg.",
    )


def test_linked_folders_are_followed(tmp_path: Path) -> None:
    data_dir = touch(tmp_path / "data", "fractured/a.jpg", "normal/b.jpg")
    (data_dir / "normal/more").symlink_to(touch(tmp_path / "elsewhere", "c.jpg"))
    assert data_dir / "normal/more/c.jpg" in [s.path for s in read_dataset(data_dir).samples]


def test_other_files_are_counted(tmp_path: Path) -> None:
    dataset = read_dataset(touch(tmp_path, "fractured/a.jpg", "normal/b.jpg", "normal/notes.txt"))
    assert len(dataset.samples) == 2
    assert dataset.remarks == ("1 files are no JPEG or PNG by their names and are passed over.",)


def test_fingerprint_follows_names_labels_and_sizes(tmp_path: Path) -> None:
    def sha256_of(name: str, *names: str) -> str:
        return read_dataset(touch(tmp_path / name, *names)).sha256

    first = sha256_of("1", "fractured/a.jpg", "normal/b.jpg")
    assert first == sha256_of("2", "fractured/a.jpg", "normal/b.jpg")
    assert first != sha256_of("3", "fractured/b.jpg", "normal/a.jpg")
    (tmp_path / "2/normal/b.jpg").write_bytes(b"longer")
    assert first != read_dataset(tmp_path / "2").sha256
