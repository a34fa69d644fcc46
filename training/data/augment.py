"""Randomness for training only, none of which hides the label."""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_ROTATION_DEGREES = 15.0
MAX_SHIFT = 0.05
SCALE_RANGE = (0.85, 1.15)
ZOOM_RANGE = (1.15, 1.7)
UPSIDE_DOWN_SHARE = 0.15
BLURRED_SHARE = 0.2
GAMMA_RANGE = (0.7, 1.4)
CONTRAST_RANGE = (0.8, 1.2)
MAX_NOISE = 6.0
MAX_BORDER = 0.08
MAX_BLUR_PX = 1.2
# Of the zoomed windows of a picture with boxes, this share looks for one of them.
AIMED_SHARE = 0.75
# A box counts as left out of a window up to the first share of its area, and as in it from the second on.
CUT_SHARES = (0.1, 0.6)
_WINDOWS_TRIED = 8

# The normal distribution in 256 equally likely steps: random bytes become noise by looking them up, which
# is several times faster than drawing normal numbers.
_NORMAL = np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)], np.float32)


def augment(
    square: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    generator: np.random.Generator,
    zoom: float = 0.0,
    window_px: int = 0,
    cuts: bool = True,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Change one square at random as X-rays differ in practice; its mask moves along.

    In order, each drawn evenly from its range:

    - collimation: at each edge, half of the time, a blade darkens up to `MAX_BORDER` of the picture's side,
      but never a box
    - exposure: gamma in `GAMMA_RANGE`, then contrast about mid-grey in `CONTRAST_RANGE`
    - sensor noise: normal, standard deviation up to `MAX_NOISE` grey levels; `BLURRED_SHARE` of the
      pictures blurred before, by up to `MAX_BLUR_PX`
    - geometry: mirrored left to right half of the time, `UPSIDE_DOWN_SHARE` turned over, turned by up to
      `MAX_ROTATION_DEGREES` either way, scaled in `SCALE_RANGE`, shifted by up to `MAX_SHIFT` of the side,
      and back as far as a box would leave the square
    - or, for a share `zoom`, a window enlarged as `ZOOM_RANGE` tells, that may leave boxes out: whole ones
      or none, as `CUT_SHARES` tells; with `window_px` the others are windows, too, scaled in `SCALE_RANGE`

    What lies around the picture stays black, as it is in the clinic.

    Args:
        square: uint8 (S, S).
        mask: uint8 (S, S), drawn boxes, each box's number inside and 0 elsewhere.
        generator: The source of all randomness.
        zoom: The share of enlarged windows, 0..1.
        window_px: The side W of what is returned, at most S; 0 for S.
        cuts: Whether a part of the picture may be seen alone; else the whole is shrunk to W.

    Returns:
        The changed square and mask, uint8 (W, W) each; the mask holds the boxes that are left.
    """
    side_px = window_px or len(square)
    rows, columns = _random_field(square, mask, generator)
    exposed = cv2.LUT(square, _random_exposure(generator))
    exposed = _add_noise(_blur(exposed, generator), generator)
    collimated = np.zeros_like(square)
    collimated[rows, columns] = exposed[rows, columns]
    enlarged = generator.random() < zoom
    affine, moved = None, mask
    if cuts and (enlarged or side_px < len(square)):
        affine, moved = _random_window(mask, generator, ZOOM_RANGE if enlarged else SCALE_RANGE, side_px)
    if affine is None:
        affine = _random_affine(mask, generator, side_px)
        moved = _warp_mask(mask, affine, side_px)
    return cv2.warpAffine(collimated, affine, (side_px, side_px)), moved


def _random_field(
    square: NDArray[np.uint8], mask: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[slice, slice]:
    """Choose the rows and columns that the collimator leaves open.

    The borders are as thin without boxes as with them: else their width would tell the label.
    """
    left, top, width, height = cv2.boundingRect(square)
    borders = generator.uniform(-MAX_BORDER, MAX_BORDER, (2, 2)).clip(0)
    (x0, y0), (x1, y1) = borders * (width, height)
    field = [left + x0, top + y0, left + width - x1, top + height - y1]
    if mask.any():
        left, top, width, height = cv2.boundingRect(mask)
        field[:2] = min(field[0], left), min(field[1], top)
        field[2:] = max(field[2], left + width), max(field[3], top + height)
    x0, y0, x1, y1 = map(round, field)
    return slice(y0, y1), slice(x0, x1)


def _random_exposure(generator: np.random.Generator) -> NDArray[np.uint8]:
    levels = np.linspace(0, 1, 256) ** generator.uniform(*GAMMA_RANGE)
    contrast = generator.uniform(*CONTRAST_RANGE)
    return (255 * np.clip(0.5 + contrast * (levels - 0.5), 0, 1)).astype(np.uint8)


def _add_noise(square: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    levels = np.rint(generator.uniform(0, MAX_NOISE) * _NORMAL).astype(np.int16)
    noise = cv2.LUT(generator.integers(0, 256, square.shape, np.uint8), levels)
    return cv2.add(square, noise, dtype=cv2.CV_8U)


def _blur(square: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.uint8]:
    blurred, sigma_px = generator.random() < BLURRED_SHARE, generator.uniform(0.4, MAX_BLUR_PX)
    return cv2.GaussianBlur(square, (0, 0), sigma_px) if blurred else square


def _random_affine(
    mask: NDArray[np.uint8], generator: np.random.Generator, side_px: int
) -> NDArray[np.float64]:
    """Draw an affine of the whole square to one with another side, that loses no box."""
    centre = (len(mask) - 1) / 2
    scale = generator.uniform(*SCALE_RANGE) * side_px / len(mask)
    matrix = _turned((centre, centre), scale, len(mask), side_px, generator)
    matrix[:, 2] += generator.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * side_px
    if mask.any():
        matrix[:, 2] += _way_back(matrix, cv2.boundingRect(mask), side_px)
    return matrix


def _turned(
    point: tuple[float, float], scale: float, size_px: int, side_px: int, generator: np.random.Generator
) -> NDArray[np.float64]:
    """Turn, scale and mirror at random; a point (x, y) keeps its relative place, but for the mirrors."""
    angle = generator.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES)
    matrix = cv2.getRotationMatrix2D(point, angle, scale)
    matrix[:, 2] += np.array(point) * ((side_px - 1) / (size_px - 1) - 1)
    for axis, share in enumerate((0.5, UPSIDE_DOWN_SHARE)):
        if generator.random() < share:
            matrix[axis] = [0, 0, side_px - 1] - matrix[axis]
    return matrix


def _random_window(
    mask: NDArray[np.uint8], generator: np.random.Generator, scales: tuple[float, float], side_px: int
) -> tuple[NDArray[np.float64] | None, NDArray[np.uint8]]:
    """Draw windows until one cuts no box in half.

    Returns:
        The affine to the window and the mask of the boxes in it; None and the mask where all cut one.
    """
    areas = np.bincount(mask.ravel())
    for _ in range(_WINDOWS_TRIED):
        scale = generator.uniform(*scales)
        point = _point_of_interest(mask, areas, generator)
        matrix = _turned(point, scale, len(mask), side_px, generator)
        # the point keeps its relative place, so it is somewhere in the window
        moved = _warp_mask(mask, matrix, side_px)
        shown = np.bincount(moved.ravel(), minlength=len(areas)) / np.maximum(areas * scale**2, 1)
        least, most = CUT_SHARES
        gone = shown <= least
        gone[0] = False
        if not ((shown[1:] > least) & (shown[1:] < most)).any():
            return matrix, np.where(gone[moved], 0, moved).astype(np.uint8)
    return None, mask


def _point_of_interest(
    mask: NDArray[np.uint8], areas: NDArray[np.int64], generator: np.random.Generator
) -> tuple[float, float]:
    """Choose the point (x, y) that a window keeps in its place: in a box, or anywhere."""
    numbers = np.flatnonzero(areas[1:]) + 1
    if numbers.size and generator.random() < AIMED_SHARE:
        left, top, width, height = cv2.boundingRect((mask == generator.choice(numbers)).astype(np.uint8))
        return left + width * generator.random(), top + height * generator.random()
    x, y = generator.uniform(0, len(mask) - 1, 2)
    return float(x), float(y)


def _warp_mask(mask: NDArray[np.uint8], matrix: NDArray[np.float64], side_px: int) -> NDArray[np.uint8]:
    return cv2.warpAffine(mask, matrix, (side_px, side_px), flags=cv2.INTER_NEAREST)


def _way_back(
    matrix: NDArray[np.float64], rectangle: tuple[int, int, int, int], side_px: int
) -> NDArray[np.float64]:
    """Return the shift (x, y) in pixels that brings a rectangle back into the square after an affine."""
    left, top, width, height = rectangle
    right, bottom = left + width - 1, top + height - 1
    corners = np.array([(left, top, 1), (right, top, 1), (left, bottom, 1), (right, bottom, 1)])
    moved = corners @ matrix.T
    return np.clip(0, -moved.min(axis=0), side_px - 1 - moved.max(axis=0))
