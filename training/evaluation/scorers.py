"""What judges X-rays: a Keras model or the bundle that the clinic runs, behind one protocol."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from scipy.special import logit
from tqdm import tqdm

from edge_app.errors import DataError, RunError, WeightsError
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.bundle import Bundle
from edge_app.model.inference import Explanation, ModelPair
from training.data.scan import Squares
from training.evaluation.metrics import Calibration
from training.networks.architectures import build_model
from training.networks.weights import UNREADABLE_WEIGHTS
from training.runs.config import BATCH_SIZE

# A probability in 32-bit lies no nearer to 1, unless it is 1.
_FLOAT32_STEP = 2.0**-24


class Evidence(NamedTuple):
    """What a heat map is made of, for one X-ray.

    `features` and `gradient` (d logit / d features) are float32 (h, w, C).
    """

    features: NDArray[np.float32]
    gradient: NDArray[np.float32]


class Scorer(Protocol):
    """Anything that scores squares and shows where its evidence lies."""

    @property
    def size_px(self) -> int:
        """The input side S in pixels."""

    def logits(self, squares: Squares) -> NDArray[np.float64]:
        """Score squares, like uint8 (N, S, S); return float64 (N,), higher is more suspect."""

    def evidence(self, squares: Squares) -> Iterator[Evidence]:
        """Explain squares, like uint8 (N, S, S), one after the other: of many, all features fill memory."""


class LogitModel:
    """A model up to its layer `logit`.

    Args:
        model: A model with a layer of that name.
        batch_size: Squares scored at once.
    """

    def __init__(self, model: keras.Model, batch_size: int = BATCH_SIZE) -> None:
        self._to_logit = keras.Model(model.input, model.get_layer("logit").output)
        self._batch_size = batch_size

    def __call__(self, squares: Squares) -> NDArray[np.float64]:
        """Compute the logits.

        Args:
            squares: Like uint8 (N, S, S).

        Returns:
            float64 (N,).

        Raises:
            DataError: a logit is not a number, since the training diverged.
        """
        batches = _batches(squares, self._batch_size, "score")
        logits = [self._to_logit.predict_on_batch(to_tensor(batch)) for batch in batches]
        values = np.concatenate(logits)[:, 0].astype(np.float64)
        if not np.isfinite(values).all():
            raise DataError("The training diverged: the model gives no numbers. Lower --learning_rate.")
        return values


class KerasScorer:
    """A Keras model with the layers `features` and `logit`.

    Its weights are read at each call, so they may change in between.

    Args:
        model: A model from float32 (N, S, S, 1).
        batch_size: Squares scored or explained at once.

    Raises:
        RunError: the model lacks one of the layers.
    """

    def __init__(self, model: keras.Model, batch_size: int = BATCH_SIZE) -> None:
        missing = {"features", "logit"} - {layer.name for layer in model.layers}
        if missing:
            raise RunError(
                f"The model has no layer named {' and none named '.join(sorted(missing))}. Expected a "
                "model that python -m training.train wrote."
            )
        self.size_px: int = model.input_shape[1]
        self.model = model
        self.batch_size = batch_size
        self._logits = LogitModel(model, batch_size)
        layers = [model.get_layer("features").output, model.get_layer("logit").output]
        self._to_features_and_logit = keras.Model(model.input, layers)
        image = tf.TensorSpec((None, *model.input_shape[1:]), tf.float32)
        self._explain = tf.function(self._features_and_gradient, input_signature=[image])

    def logits(self, squares: Squares) -> NDArray[np.float64]:
        """Score squares, as `Scorer` says; DataError when the model gives no numbers."""
        return self._logits(squares)

    def evidence(self, squares: Squares) -> Iterator[Evidence]:
        """Explain squares, as `Scorer` says, by the exact gradient of the logit."""
        for batch in _batches(squares, self.batch_size, "explain"):
            features, gradient = (tensor.numpy() for tensor in self._explain(to_tensor(batch)))
            yield from map(Evidence, features, gradient)

    def _features_and_gradient(self, image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        with tf.GradientTape() as tape:
            tape.watch(image)  # else a model without trainable weights would not be recorded
            features, logit = self._to_features_and_logit(image, training=False)
        gradient = tape.gradient(logit, features)
        return tf.cast(features, tf.float32), tf.cast(gradient, tf.float32)


class BundleScorer:
    """A model bundle, run as the clinic's app runs it.

    Args:
        bundle: A verified bundle.

    Raises:
        BundleError: its graphs do not run.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.size_px = bundle.manifest.input.size_px
        self._several_classes = len(bundle.manifest.classes) > 1
        self._pair = ModelPair(bundle.graphs)

    def logits(self, squares: Squares) -> NDArray[np.float64]:
        """Score squares, as `Scorer` says, by the log odds of the finding."""
        tensors = map(to_tensor, _batches(squares, 1, "score"))
        return np.array([self._log_odds(self._pair.explain(tensor)) for tensor in tensors])

    def evidence(self, squares: Squares) -> Iterator[Evidence]:
        """Explain squares, as `Scorer` says."""
        for square in _batches(squares, 1, "explain"):
            explanation = self._pair.explain(to_tensor(square))
            yield Evidence(explanation.features, explanation.gradient)

    def _log_odds(self, explanation: Explanation) -> float:
        if self._several_classes:  # the sigmoid of a class's own logit is not its probability there
            return float(logit(np.clip(explanation.probability, _FLOAT32_STEP, 1 - _FLOAT32_STEP)))
        return explanation.logit


def read_model(path: Path) -> keras.Model:
    """Load a `.keras` file, without what it would need to go on training; code in it is refused.

    Args:
        path: The file.

    Returns:
        The model.

    Raises:
        RunError: the file cannot be read, holds code, or its model takes no grey pictures.
    """
    try:
        model = keras.saving.load_model(path, compile=False)
        _, _, _, channels = model.input_shape
        if channels != 1:
            raise ValueError(f"expected pictures of 1 channel, got {channels}")
    except (*UNREADABLE_WEIGHTS, AttributeError) as error:
        raise RunError(f"{path} cannot be read as a model that python -m training.train wrote.") from error
    return model


def read_weights(path: Path, architecture: str, size_px: int) -> keras.Model:
    """Fill an architecture with the numbers in a weights file; nothing in the file is run.

    Args:
        path: A `.weights.h5` file, or a legacy `.h5`.
        architecture: A name that `build_model` knows.
        size_px: The input side in pixels.

    Returns:
        The model.

    Raises:
        WeightsError: the file cannot be read, or its numbers do not fit the architecture.
    """
    model = build_model(architecture, size_px)
    try:
        with warnings.catch_warnings():
            # Keras only warns where layers keep their random weights.
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (*UNREADABLE_WEIGHTS, UserWarning) as error:
        raise WeightsError(
            f"{path} does not hold the weights of {architecture}. Name the --architecture and --image_size "
            "that it was trained with."
        ) from error
    return model


def fold_calibration(model: keras.Model, calibration: Calibration) -> None:
    """Scale and shift a model's logit for good, so that its probability is the calibrated one."""
    kernel, bias = model.get_layer("logit").get_weights()
    model.get_layer("logit").set_weights(
        [kernel * calibration.slope, bias * calibration.slope + calibration.intercept]
    )


def _batches(squares: Squares, batch_size: int, name: str) -> Iterator[NDArray[np.uint8]]:
    """Yield batches of squares, uint8 (n, S, S), under a progress bar."""
    with tqdm(total=len(squares), desc=name, unit="image", leave=False, disable=None) as bar:
        for start in range(0, len(squares), batch_size):
            batch = squares[start : start + batch_size]
            yield batch
            bar.update(len(batch))
