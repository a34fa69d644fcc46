"""Samples to training batches: tf.data over the squares that the clinic's decoder and geometry made."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from edge_app.imaging.preprocess import to_tensor
from training.data.augment import augment
from training.data.samples import Sample
from training.data.scan import Scan
from training.data.targets import CELL_PX, draw_boxes, to_cells

Batch = tuple[tf.Tensor, dict[str, tf.Tensor], tf.Tensor]


@dataclass(frozen=True)
class Share:
    """Which share of every batch a process takes: the `index`th of `count`, for all of `replicas`."""

    index: int = 0
    count: int = 1
    replicas: int = 1


WHOLE = Share()


@dataclass(frozen=True)
class Sampling:
    """What an epoch draws: `size` X-rays, of which the share `fractured` is, and how much of each is seen.

    With size 0 it draws each X-ray once. Whoever is rarer than wanted is drawn again, each time augmented
    otherwise. The share `zoom` is zoomed into; with `window_px` a window of that side is seen of each.
    """

    size: int = 0
    fractured: float = 0.0
    zoom: float = 0.0
    window_px: int = 0


AS_FOUND = Sampling()


def training_batches(
    scan: Scan,
    chosen: NDArray[np.int64],
    weights: NDArray[np.float32],
    batch_size: int,
    seed: int,
    first_epoch: int = 0,
    share: Share = WHOLE,
    sampling: Sampling = AS_FOUND,
) -> tf.data.Dataset:
    """Make an endless stream of shuffled, augmented batches.

    The order and the randomness of an epoch depend on the seed and the epoch's number alone, so a
    resumed training sees what an uninterrupted one would have seen, and several workers together see
    what one would. The last, short batch of an epoch is left out; the shuffle decides each time which
    samples that are.

    Args:
        scan: The samples.
        chosen: int64 (n,), the indices to train on.
        weights: float32 (N,), how much each sample's loss counts.
        batch_size: Samples in a batch over all replicas, at most n.
        seed: Any whole number.
        first_epoch: The number of the first epoch to produce.
        share: The share of each batch to produce.
        sampling: What an epoch draws.

    Returns:
        Batches of B samples for one replica, B = batch_size / share.replicas: images, float32 (B, S, S, 1)
        in 0..255; targets `logit`, the label, float32 (B, 1), and `evidence`, the cells that show a
        fracture, float32 (B, S / 16, S / 16, 1), 0 or 1 each; and the samples' weights, float32 (B,).
    """
    epochs = _Epochs(scan, chosen, weights, batch_size, seed, share, sampling)
    return (
        tf.data.Dataset.counter(first_epoch)
        .flat_map(epochs.places)
        .map(epochs.load, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
        .prefetch(tf.data.AUTOTUNE)
    )


@dataclass(frozen=True)
class _Epochs:
    """Epochs by number: the places of their batches, and these batches; fields as in `training_batches`."""

    scan: Scan
    chosen: NDArray[np.int64]
    weights: NDArray[np.float32]
    batch_size: int
    seed: int
    share: Share
    sampling: Sampling

    @property
    def size(self) -> int:
        """The samples in a replica's batch."""
        return self.batch_size // self.share.replicas

    @cached_property
    def labels(self) -> NDArray[np.bool_]:
        """Which samples are fractured, bool (N,)."""
        return np.array([sample.fractured for sample in self.scan.samples])

    def places(self, epoch: tf.Tensor) -> tf.data.Dataset:
        """Give the places and turns of an epoch's batches, int64 (size, 2) each, with its number."""
        drawn = tf.numpy_function(self._draw, (epoch,), tf.int64)
        batches = tf.data.Dataset.from_tensor_slices(tf.ensure_shape(drawn, (None, self.size, 2)))
        return batches.map(lambda rows: (rows, epoch))

    def load(self, places: tf.Tensor, epoch: tf.Tensor) -> Batch:
        """Make the batch at places of an epoch."""
        # a batch at a time: calling back into Python for each sample costs a third of the rate
        image, label, cells, weight = tf.numpy_function(self._batch, (places, epoch), (tf.float32,) * 4)
        seen_px = self.sampling.window_px or self.scan.squares[0].shape[0]
        side = seen_px // CELL_PX
        targets = {
            "logit": tf.ensure_shape(label, (self.size, 1)),
            "evidence": tf.ensure_shape(cells, (self.size, side, side, 1)),
        }
        image = tf.ensure_shape(image, (self.size, seen_px, seen_px, 1))
        return image, targets, tf.ensure_shape(weight, (self.size,))

    def _draw(self, epoch: NDArray[np.int64]) -> NDArray[np.int64]:
        generator = np.random.default_rng((self.seed, int(epoch)))
        drawn = draw_epoch(self.chosen, self.labels, self.sampling, generator)
        drawn = drawn[: len(drawn) // self.batch_size * self.batch_size]
        # an X-ray that is drawn twice is augmented twice: its turn tells which time it is
        turns = np.stack([drawn, np.arange(len(drawn))], axis=-1)
        shared = turns.reshape(-1, self.share.count, self.batch_size // self.share.count, 2)
        return shared[:, self.share.index].reshape(-1, self.size, 2)

    def _batch(
        self, places: NDArray[np.int64], epoch: NDArray[np.int64]
    ) -> tuple[NDArray[np.float32], ...]:
        samples = [self._sample(int(place), int(turn), int(epoch)) for place, turn in places]
        return tuple(np.stack(column) for column in zip(*samples, strict=True))

    def _sample(self, place: int, turn: int, epoch: int) -> tuple[NDArray[np.float32], ...]:
        xray, square = self.scan.samples[place], self.scan.squares[place]
        height, width = map(int, self.scan.shapes[place])
        mask = draw_boxes(xray.boxes, height, width, square.shape[0])
        generator = np.random.default_rng((self.seed, epoch, place, turn))
        # where a fracture's place is unknown, a window's label would be, too
        cuts = bool(xray.boxes) or not xray.fractured
        square, mask = augment(square, mask, generator, self.sampling.zoom, self.sampling.window_px, cuts)
        label = np.array([mask.any() if xray.boxes else xray.fractured], np.float32)
        return to_tensor(square), label, to_cells(mask), self.weights[place]


def draw_epoch(
    chosen: NDArray[np.int64],
    labels: NDArray[np.bool_],
    sampling: Sampling,
    generator: np.random.Generator,
) -> NDArray[np.int64]:
    """Draw the X-rays of an epoch in random order.

    Args:
        chosen: int64 (n,), the indices to draw from.
        labels: bool (N,), which are fractured.
        sampling: How many, and which share of them fractured; 0 leaves the share as it is.
        generator: The source of all randomness.

    Returns:
        int64 (size,), or (n,) where no size is wanted. No X-ray occurs twice before all of its class have
        occurred.
    """
    if not sampling.size:
        return generator.permutation(chosen)
    share = sampling.fractured or float(labels[chosen].mean())
    fractured = round(share * sampling.size)
    drawn = [
        _cycle(chosen[labels[chosen] == label], count, generator)
        for label, count in ((True, fractured), (False, sampling.size - fractured))
    ]
    return generator.permutation(np.concatenate(drawn))


def _cycle(indices: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw without replacement, beginning anew when all are drawn."""
    rounds = -(-count // max(len(indices), 1))
    return np.concatenate([indices[:0], *(generator.permutation(indices) for _ in range(rounds))])[:count]


def sample_weights(
    samples: Sequence[Sample], chosen: NDArray[np.int64], balance: str
) -> NDArray[np.float32]:
    """Tell how much each sample's loss counts.

    Args:
        samples: N samples.
        chosen: int64 (n,), those that are trained on.
        balance: "none"; "class", so that both classes count alike; or "part", so that they do within each
            body part, but samples of a part with one class count 1.

    Returns:
        float32 (N,), 0 for what is not trained on; its mean over `chosen` is 1.

    Source:
        Rajpurkar et al., MURA, arXiv 1712.06957, section 3.1: w1 = normal / all for the abnormal and the
        rest for the normal, here times 2 to keep the mean at 1.
    """
    weights = np.zeros(len(samples), np.float32)
    weights[chosen] = 1
    if balance == "none":
        return weights
    strata: dict[tuple[str, ...], list[int]] = {}
    for index in chosen:
        strata.setdefault(samples[index].body_parts if balance == "part" else (), []).append(int(index))
    for indices in strata.values():
        labels = np.array([samples[index].fractured for index in indices])
        if labels.any() and not labels.all():
            weights[indices] = 0.5 / np.where(labels, labels.mean(), 1 - labels.mean())
    return weights
