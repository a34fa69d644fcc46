"""Grey image to model tensor, and back to the picture: geometry only, the same to train and to serve."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

INTERPOLATION = "area"
PADDING = "centre"


class Placement(NamedTuple):
    """Where the picture lies in the model's square input, in pixels of that square."""

    top_px: int
    left_px: int
    height_px: int
    width_px: int


def place(height: int, width: int, size_px: int) -> Placement:
    """Fit a picture into a square: aspect ratio kept, centred.

    Args:
        height: The picture's height in pixels, 1 or more.
        width: The picture's width in pixels, 1 or more.
        size_px: The square's side in pixels.

    Returns:
        The placement; its longer side is `size_px`, its shorter side at least 1.
    """
    scale = size_px / max(height, width)
    inner_height, inner_width = (max(1, round(side * scale)) for side in (height, width))
    return Placement((size_px - inner_height) // 2, (size_px - inner_width) // 2, inner_height, inner_width)


def to_square(image: NDArray[np.uint8], size_px: int) -> NDArray[np.uint8]:
    """Resize a picture into the model's square and pad the rest with black.

    Shrinking averages over the area of each target pixel; enlarging is bilinear.

    Args:
        image: uint8 (H, W).
        size_px: The square's side S in pixels.

    Returns:
        uint8 (S, S).
    """
    top, left, height, width = place(image.shape[0], image.shape[1], size_px)
    shrinks = max(image.shape) > size_px
    method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    square = np.zeros((size_px, size_px), np.uint8)
    square[top : top + height, left : left + width] = cv2.resize(
        image, (width, height), interpolation=method
    )
    return square


def to_tensor(squares: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Turn squares into the model's input; scaling happens in the model's graph.

    Args:
        squares: uint8 (N, S, S).

    Returns:
        float32 (N, S, S, 1), 0..255.
    """
    return squares[..., np.newaxis].astype(np.float32)


def preprocess(image: NDArray[np.uint8], size_px: int) -> NDArray[np.float32]:
    """Turn one picture into the model's input tensor.

    Args:
        image: uint8 (H, W).
        size_px: The model's input side S in pixels.

    Returns:
        float32 (1, S, S, 1), 0..255.
    """
    return to_tensor(to_square(image, size_px)[np.newaxis])


def to_picture(
    square_map: NDArray[np.float32], height: int, width: int, size_px: int
) -> NDArray[np.float32]:
    """Cut from a map over the model's square the part that lies over the picture.

    Args:
        square_map: float32 (h, w), any grid over the whole square.
        height: The picture's height in pixels.
        width: The picture's width in pixels.
        size_px: The model's input side in pixels.

    Returns:
        float32 (h', w') over the whole picture, bicubic, nowhere below the least of `square_map`. A
        bilinear map has its peaks in the middle of cells only, and many fractures are no larger than one.
    """
    top, left, inner_height, inner_width = place(height, width, size_px)
    full = cv2.resize(square_map, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
    cut = full[top : top + inner_height, left : left + inner_width]
    return np.asarray(np.maximum(cut, square_map.min()))


def is_over_picture(
    row: int, column: int, grid: tuple[int, int], placement: Placement, size_px: int
) -> bool:
    """Tell whether the middle of a cell lies over the picture, with all pixels that touch it.

    Args:
        row: The cell's row in the grid.
        column: The cell's column.
        grid: How many rows and columns of cells lie over the square.
        placement: Where the picture lies in the square.
        size_px: The square's side in pixels.
    """
    y_px, x_px = ((index + 0.5) * size_px / count for index, count in zip((row, column), grid, strict=True))
    top, left, height, width = placement
    return top + 1 <= y_px < top + height - 1 and left + 1 <= x_px < left + width - 1
