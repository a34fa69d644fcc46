from __future__ import annotations

from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import DataError
from edge_app.images import decode_image
from edge_app.preprocess import preprocess, to_tensor
from training.datasets import read_dataset
from training.pipeline import decode_samples, training_batches

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
SQUARES = np.random.default_rng(0).integers(0, 256, (10, 32, 32), np.uint8)
MASKS = np.where(SQUARES > 128, 255, 0).astype(np.uint8)
LABELS = np.arange(10, dtype=np.float32)  # as names of the samples


def epochs(seed: int, first_epoch: int, count: int) -> list[tuple[np.ndarray, ...]]:
    batches = training_batches(SQUARES, MASKS, LABELS, 4, seed, first_epoch)
    return [
        (image.numpy(), targets["probability"].numpy(), targets["evidence"].numpy())
        for image, targets in islice(batches, 2 * count)
    ]


def test_training_sees_the_tensor_that_the_clinic_sees(drawn_dataset: Path) -> None:
    decoded = decode_samples(read_dataset(drawn_dataset), 64)
    for sample, square in zip(decoded.samples, decoded.squares, strict=True):
        served = preprocess(decode_image(sample.path.read_bytes()), 64)
        np.testing.assert_array_equal(to_tensor(square[np.newaxis]), served)


def test_unreadable_files_are_listed_not_dropped_in_silence(drawn_dataset: Path) -> None:
    decoded = decode_samples(read_dataset(drawn_dataset), 32)
    assert len(decoded.samples) == len(decoded.squares) == 63
    [(sample, reason)] = decoded.unreadable
    assert sample.image_id == "IMG0000000.jpg"
    assert "broken or incomplete" in reason


def test_nothing_readable_is_an_error(drawn_dataset: Path) -> None:
    truncated = read_dataset(drawn_dataset)[:1]
    with pytest.raises(DataError, match="None of the 1 images"):
        decode_samples(truncated, 32)


def test_batches_have_the_models_form() -> None:
    image, label, cells = epochs(seed=0, first_epoch=0, count=1)[0]
    assert (image.shape, image.dtype) == ((4, 32, 32, 1), np.float32)
    assert (label.shape, label.dtype) == ((4, 1), np.float32)
    assert (cells.shape, cells.dtype) == ((4, 2, 2, 1), np.float32)
    assert set(np.unique(cells)) <= {0.0, 1.0}
    assert 0 <= image.min() < image.max() <= 255


def test_no_sample_comes_twice_in_an_epoch() -> None:
    batches = epochs(seed=0, first_epoch=0, count=3)
    for first in range(0, 6, 2):
        names = np.concatenate([label[:, 0] for _, label, _ in batches[first : first + 2]])
        assert len(set(names)) == 8


def test_resumed_stream_equals_the_uninterrupted_one() -> None:
    whole = epochs(seed=7, first_epoch=0, count=3)
    resumed = epochs(seed=7, first_epoch=2, count=1)
    for batch, expected in zip(resumed, whole[4:], strict=True):
        for tensor, expected_tensor in zip(batch, expected, strict=True):
            np.testing.assert_array_equal(tensor, expected_tensor)
