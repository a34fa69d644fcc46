from __future__ import annotations

from pathlib import Path

from training.datasets import read_dataset


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
