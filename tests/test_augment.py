from __future__ import annotations

import numpy as np

from export.drawn import draw_xray
from training.augment import augment


def test_same_seed_gives_the_same_picture() -> None:
    square = draw_xray(1, 96, 96)
    first, again, other = (augment(square, square, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_original_stays_unchanged_and_the_form_is_kept() -> None:
    square = draw_xray(1, 96, 96)
    before = square.copy()
    for seed in range(20):
        changed, _ = augment(square, square, np.random.default_rng(seed))
        assert (changed.shape, changed.dtype) == (square.shape, np.uint8)
    np.testing.assert_array_equal(square, before)


def test_centre_of_the_picture_is_never_lost() -> None:
    square = np.zeros((96, 96), np.uint8)
    square[40:56, 40:56] = 255
    for seed in range(200):
        changed, _ = augment(square, square, np.random.default_rng(seed))
        assert changed[38:58, 38:58].max() > 200, seed


def test_pictures_are_mirrored_about_half_the_time() -> None:
    square = np.zeros((96, 96), np.uint8)
    square[:, :48] = 200
    mirrored = [
        changed[:, 60:].mean() > changed[:, :36].mean()
        for changed in (augment(square, square, np.random.default_rng(seed))[0] for seed in range(300))
    ]
    assert 0.4 < np.mean(mirrored) < 0.6


def test_mask_moves_with_the_picture() -> None:
    square = np.zeros((96, 96), np.uint8)
    square[20:40, 60:80] = 255
    for seed in range(50):
        changed, mask = augment(square, square, np.random.default_rng(seed))
        bright = changed > 128
        assert (bright == (mask > 128)).mean() > 0.98, seed
