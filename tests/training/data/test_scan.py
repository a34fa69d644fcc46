from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import DataError
from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import preprocess, to_tensor
from training.data.datasets import read_dataset
from training.data.scan import Scan, scan_samples


def scan_of(data_dir: Path, size_px: int, cache: object = "memory") -> Scan:
    return scan_samples(read_dataset(data_dir).samples, size_px, cache)


def test_training_sees_the_tensor_that_the_clinic_sees(drawn_dataset: Path) -> None:
    scan = scan_of(drawn_dataset, 64)
    for index, sample in enumerate(scan.samples):
        served = preprocess(decode_image(sample.path.read_bytes()), 64)
        np.testing.assert_array_equal(to_tensor(scan.squares[index][np.newaxis]), served)


def test_unreadable_files_are_listed_not_dropped_in_silence(drawn_dataset: Path) -> None:
    scan = scan_of(drawn_dataset, 32)
    assert len(scan.samples) == len(scan.squares) == len(scan.thumbnails) == len(scan.shapes) == 63
    [(sample, reason)] = scan.unreadable
    assert sample.image_id == "IMG0000000.jpg"
    assert "broken or incomplete" in reason


def test_other_archive_is_no_cache(drawn_dataset: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", a=np.zeros(1))
    with pytest.raises(DataError, match="is no cache of X-rays"):
        scan_of(drawn_dataset, 32, tmp_path / "other.npz")


@pytest.mark.parametrize("kind", ["none", "file"])
def test_every_cache_gives_the_same_squares(drawn_dataset: Path, tmp_path: Path, kind: str) -> None:
    kept = scan_of(drawn_dataset, 64)
    other = scan_of(drawn_dataset, 64, tmp_path / "cache.npy" if kind == "file" else "none")
    places = np.array([0, 62, 5])
    np.testing.assert_array_equal(other.squares[places], kept.squares[places])
    np.testing.assert_array_equal(other.squares[7:9], kept.squares[7:9])
    np.testing.assert_array_equal(other.squares[-1], kept.squares[62])
    np.testing.assert_array_equal(other.shapes, kept.shapes)
    np.testing.assert_array_equal(other.thumbnails, kept.thumbnails)
    assert other.unreadable == kept.unreadable


def test_file_is_used_again_until_an_image_changes(drawn_dataset: Path, tmp_path: Path) -> None:
    samples = read_dataset(drawn_dataset).samples[1:4]
    copies = [tmp_path / sample.image_id for sample in samples]
    for sample, copy in zip(samples, copies, strict=True):
        copy.write_bytes(sample.path.read_bytes())
    moved = [type(s)(s.image_id, copy, s.fractured) for s, copy in zip(samples, copies, strict=True)]
    cache = tmp_path / "cache.npy"
    first = scan_samples(moved, 32, cache).squares[0].copy()
    written = cache.stat().st_mtime_ns
    scan_samples(moved, 32, cache)
    assert cache.stat().st_mtime_ns == written
    copies[0].write_bytes(samples[2].path.read_bytes())
    assert (scan_samples(moved, 32, cache).squares[0] != first).any()


def test_file_of_another_kind_is_not_overwritten(drawn_dataset: Path, tmp_path: Path) -> None:
    other = tmp_path / "notes.npy"
    other.write_bytes(b"my notes")
    with pytest.raises(DataError, match="is no cache of X-rays"):
        scan_of(drawn_dataset, 32, other)
    assert other.read_bytes() == b"my notes"


def test_nothing_readable_is_an_error(drawn_dataset: Path) -> None:
    truncated = read_dataset(drawn_dataset).samples[:1]
    with pytest.raises(DataError, match="None of the 1 images"):
        scan_samples(truncated, 32)
