from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from export.proof.drawn import draw_xray
from training.data.augment import CUT_SHARES, augment

SEEDS = st.integers(0, 2**32)


def test_same_seed_gives_the_same_picture() -> None:
    square = draw_xray(1, 96, 96)
    first, again, other = (augment(square, square, np.random.default_rng(seed))[0] for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_original_stays_unchanged_and_the_form_is_kept() -> None:
    square = draw_xray(1, 96, 96)
    before = square.copy()
    for seed in range(20):
        for changed in augment(square, square, np.random.default_rng(seed)):
            assert (changed.shape, changed.dtype) == (square.shape, np.uint8)
    np.testing.assert_array_equal(square, before)


def test_black_picture_stays_black() -> None:
    black = np.zeros((96, 96), np.uint8)
    changed, mask = augment(black, black, np.random.default_rng(0))
    assert (changed.max(), mask.max()) == (0, 0)


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


@given(SEEDS, st.tuples(*[st.integers(0, 96)] * 2), st.tuples(*[st.integers(12, 28)] * 2))
def test_boxes_are_neither_covered_nor_pushed_out(
    seed: int, corner: tuple[int, int], half: tuple[int, int]
) -> None:
    square = np.full((96, 96), 120, np.uint8)
    top, left = (min(start, 96 - 2 * side) for start, side in zip(corner, half, strict=True))
    mask = np.zeros((96, 96), np.uint8)
    for quarter, (row, column) in enumerate(np.ndindex(2, 2), 1):
        y, x = top + row * half[0], left + column * half[1]
        mask[y : y + half[0], x : x + half[1]] = 50 * quarter
    changed, moved = augment(square, mask, np.random.default_rng(seed))
    areas = np.array([(moved == 50 * quarter).sum() for quarter in range(1, 5)])
    assert areas.min() > 0.8 * areas.max() > 0  # what leaves the square takes more of one quarter
    assert changed[moved > 0].min() > 20


@given(SEEDS)
@settings(max_examples=50)
def test_what_lies_around_the_picture_stays_black(seed: int) -> None:
    square = np.zeros((96, 96), np.uint8)
    square[24:72, 24:72] = 1
    changed, _ = augment(square, np.zeros_like(square), np.random.default_rng(seed))
    # its corners lie 34 pixels from the middle: 39 when enlarged, 46 when shifted, too
    assert not changed[0].any()
    assert not changed[:, 0].any()


def test_borders_take_a_thin_strip_at_some_edges_only() -> None:
    square = np.zeros((200, 200), np.uint8)
    square[50:150, 50:150] = 255
    areas = [
        (augment(square, np.zeros_like(square), np.random.default_rng(seed))[0] > 128).sum()
        for seed in range(300)
    ]
    assert min(areas) > 0.97 * (84 * 0.85) ** 2
    assert max(areas) > (100 * 1.1) ** 2


def test_noise_keeps_within_its_limit() -> None:
    square = np.full((96, 96), 120, np.uint8)
    deviations = [
        augment(square, np.zeros_like(square), np.random.default_rng(seed))[0][30:66, 30:66].std()
        for seed in range(50)
    ]
    assert 3 < max(deviations) < 6
    assert min(deviations) < 1


@given(SEEDS)
@settings(max_examples=100)
def test_window_shows_boxes_whole_or_not_at_all(seed: int) -> None:
    square = np.full((96, 96), 120, np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[8:24, 10:30], mask[60:80, 70:90] = 1, 2
    _, moved = augment(square, mask, np.random.default_rng(seed), zoom=1.0)
    for number in (1, 2):
        shown = (moved == number).sum() / (mask == number).sum()
        assert shown == 0 or shown > 0.85**2 * CUT_SHARES[1]


def test_windows_leave_boxes_out_now_and_then_and_enlarge() -> None:
    mask = np.zeros((96, 96), np.uint8)
    mask[4:14, 4:14] = 1
    areas = np.array(
        [(augment(mask, mask, np.random.default_rng(s), zoom=1.0)[1] > 0).sum() for s in range(200)]
    )
    assert 0.05 < (areas == 0).mean() < 0.6
    assert np.median(areas[areas > 0]) > 1.15 * 100


def test_numbers_of_boxes_survive() -> None:
    mask = np.zeros((96, 96), np.uint8)
    mask[30:50, 30:50] = 7
    for seed in range(20):
        assert set(np.unique(augment(mask, mask, np.random.default_rng(seed), zoom=0.5)[1])) <= {0, 7}


@given(SEEDS)
@settings(max_examples=100)
def test_window_of_another_side_shows_boxes_whole_or_not_at_all(seed: int) -> None:
    square = np.full((96, 96), 120, np.uint8)
    mask = np.zeros((96, 96), np.uint8)
    mask[8:24, 10:30], mask[60:80, 70:90] = 1, 2
    changed, moved = augment(square, mask, np.random.default_rng(seed), window_px=64)
    assert changed.shape == moved.shape == (64, 64)
    for number in (1, 2):
        shown = (moved == number).sum() / (mask == number).sum()
        assert shown == 0 or shown > 0.85**2 * CUT_SHARES[1]


def test_window_keeps_the_scale_of_the_picture() -> None:
    mask = np.zeros((96, 96), np.uint8)
    mask[40:50, 40:50] = 1
    windows = [augment(mask, mask, np.random.default_rng(s), window_px=64)[1] for s in range(200)]
    areas = np.array([(window > 0).sum() for window in windows])
    assert 0.85 < np.median(areas[areas > 0]) / 100 < 1.15


def test_window_shrinks_what_may_not_be_cut() -> None:
    mask = np.zeros((96, 96), np.uint8)
    for number, (y, x) in enumerate([(12, 12), (12, 74), (74, 12), (74, 74)], 1):
        mask[y : y + 10, x : x + 10] = number
    for seed in range(50):
        _, moved = augment(mask, mask, np.random.default_rng(seed), 1.0, 64, cuts=False)
        assert moved.shape == (64, 64)
        assert set(np.unique(moved)) == {0, 1, 2, 3, 4}
