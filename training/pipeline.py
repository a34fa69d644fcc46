"""Samples to training batches, through the decoder and the geometry that serve in the clinic."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tqdm import tqdm

from edge_app.errors import DataError, ImageError
from edge_app.images import decode_image
from edge_app.preprocess import to_square, to_tensor
from training.augment import augment
from training.datasets import Sample
from training.targets import CELL_PX, draw_boxes, to_cells

_DECODE_THREADS = 4


@dataclass(frozen=True)
class Decoded:
    """The readable samples with their squares, and what could not be read.

    `squares` is uint8 (N, S, S), in the order of `samples`; `masks` likewise, with each one's boxes
    drawn, and `shapes`, int64 (N, 2), with its height and width. `unreadable` holds the sample and why.
    """

    samples: list[Sample]
    squares: NDArray[np.uint8]
    masks: NDArray[np.uint8]
    shapes: NDArray[np.int64]
    unreadable: list[tuple[Sample, str]]


def decode_samples(samples: Sequence[Sample], size_px: int) -> Decoded:
    """Decode every sample once, as the clinic's app would, and keep the results in memory.

    Args:
        samples: What to decode.
        size_px: The model's input side S in pixels.

    Returns:
        Squares of the readable samples; the app refuses the others, so nothing can be learned or
        measured on them.

    Raises:
        DataError: not one sample could be read.
    """

    def decode(sample: Sample) -> tuple[NDArray[np.uint8], NDArray[np.uint8], tuple[int, ...]] | str:
        try:
            image = decode_image(sample.path.read_bytes())
        except ImageError as error:
            return str(error)
        height, width = image.shape
        mask = draw_boxes(sample.boxes, height, width, size_px)
        return to_square(image, size_px), mask, image.shape

    with ThreadPoolExecutor(_DECODE_THREADS) as pool:
        results = list(tqdm(pool.map(decode, samples), "decode", len(samples), unit="image"))
    pairs = list(zip(samples, results, strict=True))
    readable = [(sample, result) for sample, result in pairs if not isinstance(result, str)]
    if not readable:
        raise DataError(f"None of the {len(samples)} images could be read.")
    return Decoded(
        samples=[sample for sample, _ in readable],
        squares=np.stack([square for _, (square, _, _) in readable]),
        masks=np.stack([mask for _, (_, mask, _) in readable]),
        shapes=np.array([shape for _, (_, _, shape) in readable], np.int64),
        unreadable=[(sample, why) for sample, why in pairs if isinstance(why, str)],
    )


def training_batches(
    squares: NDArray[np.uint8],
    masks: NDArray[np.uint8],
    labels: NDArray[np.float32],
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
) -> tf.data.Dataset:
    """Make an endless stream of shuffled, augmented batches.

    The order and the randomness of an epoch depend on the seed and the epoch's number alone, so a
    resumed training sees what an uninterrupted one would have seen. The last, short batch of an epoch
    is left out; the shuffle decides each time which samples that are.

    Args:
        squares: uint8 (N, S, S).
        masks: uint8 (N, S, S), drawn boxes.
        labels: float32 (N,), 0 or 1.
        batch_size: Samples in a batch, at most N.
        seed: Any whole number.
        first_epoch: The number of the first epoch to produce.

    Returns:
        Batches of float32 (B, S, S, 1) in 0..255, and as targets
        `probability`, the label, float32 (B, 1), and `evidence`, the cells that show a fracture, float32
        (B, S / 16, S / 16, 1); 0 or 1 each.
    """
    usable = len(squares) // batch_size * batch_size

    def order() -> Iterator[tuple[int, int]]:
        epoch = first_epoch
        while True:
            for index in np.random.default_rng((seed, epoch)).permutation(len(squares))[:usable]:
                yield int(index), epoch
            epoch += 1

    def sample(index: int, epoch: int) -> tuple[NDArray[np.float32], ...]:
        generator = np.random.default_rng((seed, int(epoch), int(index)))
        square, mask = augment(squares[index], masks[index], generator)
        return to_tensor(square), labels[index : index + 1], to_cells(mask)

    side = squares.shape[1] // CELL_PX

    def load(index: tf.Tensor, epoch: tf.Tensor) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        image, label, cells = tf.numpy_function(sample, (index, epoch), (tf.float32,) * 3)
        targets = {
            "probability": tf.ensure_shape(label, (1,)),
            "evidence": tf.ensure_shape(cells, (side, side, 1)),
        }
        return tf.ensure_shape(image, (*squares.shape[1:], 1)), targets

    signature = (tf.TensorSpec((), tf.int64), tf.TensorSpec((), tf.int64))
    return (
        tf.data.Dataset.from_generator(order, output_signature=signature)
        .map(load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .batch(batch_size, drop_remainder=True)
        .prefetch(tf.data.AUTOTUNE)
    )
