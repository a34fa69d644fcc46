"""Randomness for training only, none of which hides the label."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

MAX_ROTATION_DEGREES = 15.0
MAX_SHIFT = 0.05
SCALE_RANGE = (0.85, 1.15)
GAMMA_RANGE = (0.7, 1.4)
CONTRAST_RANGE = (0.8, 1.2)


def augment(
    square: NDArray[np.uint8], mask: NDArray[np.uint8], generator: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Mirror, turn, shift, scale and re-expose one square at random; its mask moves along.

    Args:
        square: uint8 (S, S).
        mask: uint8 (S, S), drawn boxes.
        generator: The source of all randomness.

    Returns:
        The changed square and mask, uint8 (S, S) each.
    """
    affine, size = _random_affine(len(square), generator), square.shape[::-1]
    moved, moved_mask = cv2.warpAffine(square, affine, size), cv2.warpAffine(mask, affine, size)
    return cv2.LUT(moved, _random_exposure(generator)), moved_mask


def _random_affine(size_px: int, generator: np.random.Generator) -> NDArray[np.float64]:
    centre = (size_px - 1) / 2
    angle = generator.uniform(-MAX_ROTATION_DEGREES, MAX_ROTATION_DEGREES)
    matrix = cv2.getRotationMatrix2D((centre, centre), angle, generator.uniform(*SCALE_RANGE))
    matrix[:, 2] += generator.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * size_px
    if generator.random() < 0.5:
        matrix[0] = [0, 0, size_px - 1] - matrix[0]
    return matrix


def _random_exposure(generator: np.random.Generator) -> NDArray[np.uint8]:
    levels = np.linspace(0, 1, 256) ** generator.uniform(*GAMMA_RANGE)
    contrast = generator.uniform(*CONTRAST_RANGE)
    return (255 * np.clip(0.5 + contrast * (levels - 0.5), 0, 1)).astype(np.uint8)
