"""Randomness for training only, none of which hides the label."""

from __future__ import annotations

from statistics import NormalDist

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_ROTATION_DEGREES = 15.0
MAX_SHIFT = 0.05
SCALE_RANGE = (0.85, 1.15)
GAMMA_RANGE = (0.7, 1.4)
CONTRAST_RANGE = (0.8, 1.2)
MAX_NOISE = 6.0
MAX_BORDER = 0.08

# The normal distribution in 256 equally likely steps: random bytes become noise by looking them up, which
# is several times faster than drawing normal numbers.
_NORMAL = np.array([NormalDist().inv_cdf((step + 0.5) / 256) for step in range(256)], np.float32)


def augment(
    square: NDArray[np.uint8], mask: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Change one square at random as X-rays differ in practice; its mask moves along.

    In order, each drawn evenly from its range:

    - collimation: at each edge, half of the time, a blade darkens up to `MAX_BORDER` of the picture's side,
      but never a box
    - exposure: gamma in `GAMMA_RANGE`, then contrast about mid-grey in `CONTRAST_RANGE`
    - sensor noise: normal, standard deviation up to `MAX_NOISE` grey levels
    - geometry: mirrored left to right half of the time, turned by up to `MAX_ROTATION_DEGREES` either way,
      scaled in `SCALE_RANGE`, shifted by up to `MAX_SHIFT` of the side, and back as far as a box would
      leave the square

    What lies around the picture stays black, as it is in the clinic.

    Args:
        square: uint8 (S, S).
        mask: uint8 (S, S), drawn boxes, 255 inside and 0 elsewhere.
        generator: The source of all randomness.

    Returns:
        The changed square and mask, uint8 (S, S) each.
    """
    rows, columns = _random_field(square, mask, generator)
    exposed = _add_noise(cv2.LUT(square, _random_exposure(generator)), generator)
    collimated = np.zeros_like(square)
    collimated[rows, columns] = exposed[rows, columns]
    affine, size = _random_affine(mask, generator), square.shape[::-1]
    return (
        cv2.warpAffine(collimated, affine, size),
        cv2.warpAffine(mask, affine, size, flags=cv2.INTER_NEAREST),
    )


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


def _random_affine(mask: NDArray[np.uint8], generator: np.random.Generator) -> NDArray[np.float64]:
    size_px = len(mask)
    centre = (size_px - 1) / 2
    angle = generator.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES)
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, generator.uniform(*SCALE_RANGE))
    matrix[:, 2] += generator.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * size_px
    if generator.random() < 0.5:
        matrix[0] = [0, 0, size_px - 1] - matrix[0]
    if mask.any():
        matrix[:, 2] += _way_back(matrix, cv2.boundingRect(mask), size_px)
    return matrix


def _way_back(
    matrix: NDArray[np.float64], rectangle: tuple[int, int, int, int], size_px: int
) -> NDArray[np.float64]:
    """Return the shift (x, y) in pixels that brings a rectangle back into the square after an affine."""
    left, top, width, height = rectangle
    right, bottom = left + width - 1, top + height - 1
    corners = np.array([(left, top, 1), (right, top, 1), (left, bottom, 1), (right, bottom, 1)])
    moved = corners @ matrix.T
    return np.clip(0, -moved.min(axis=0), size_px - 1 - moved.max(axis=0))
