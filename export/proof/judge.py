"""A pair of graphs in ONNX Runtime: a square in, its probability and heat map out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import ModelError
from edge_app.imaging.preprocess import to_tensor
from edge_app.model.gradcam import METHODS
from edge_app.model.inference import open_session


class Answer(NamedTuple):
    """What the finding's class gets: `probability` in 0..1, `heatmap` float32 (h, w) over the square."""

    probability: float
    heatmap: NDArray[np.float32]


class Judge:
    """Two graphs on the CPU, asked about one class of the model.

    Args:
        features: The features graph.
        classifier: The classifier graph.
        class_index: The class that is told of.
        method: The name of the heat map's method.

    Raises:
        BundleError: ONNX Runtime refuses a graph.
    """

    def __init__(self, features: bytes, classifier: bytes, class_index: int, method: str) -> None:
        self._features = open_session(features)
        self._classifier = open_session(classifier, threads=1)
        self._class = class_index
        self._explain = METHODS[method]

    def __call__(self, square: NDArray[np.uint8]) -> Answer:
        """Judge one picture.

        Args:
            square: uint8 (S, S).

        Returns:
            The answer.

        Raises:
            ModelError: a result is not a finite number.
        """
        (features,) = self._features.run(["features"], {"image": to_tensor(square[np.newaxis])})
        probability, gradient = self._classifier.run(["probability", "gradient"], {"features": features})
        if not all(np.isfinite(tensor).all() for tensor in (features, probability, gradient)):
            raise ModelError("A number became infinite or none.")
        of_class = gradient[0] if gradient.ndim == features.ndim else gradient[0, self._class]
        return Answer(float(probability[0, self._class]), self._explain(features[0], of_class))
