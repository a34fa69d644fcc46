"""What a smaller variant must keep of the 32-bit model on validation X-rays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from tqdm import tqdm

from edge_app.errors import DataError
from edge_app.imaging.preprocess import to_picture, to_tensor
from edge_app.model.golden import CanExplain
from edge_app.model.gradcam import scale_to_peak
from edge_app.model.inference import Explanation
from edge_app.model.operating_point import choose_threshold
from edge_app.model.pointing import Box, covered, points_inside
from export.xrays import Xrays

# By how much each may be lower than the 32-bit model's; the sensitivity must be the stated one.
LOSSES = {"auroc": 0.005, "specificity": 0.02, "pointing_game": 0.02}
_ROUNDING = 1e-9
# Training may round otherwise than ONNX Runtime, but another X-ray is judged otherwise by more than this.
_SAME_PROBABILITY = 0.02


@dataclass(frozen=True)
class Figures:
    """What a variant reached: counts, and shares in 0..1.

    `sensitivity` and `specificity` are those at its own `threshold`; `pointing_game` is the share of X-rays
    with boxes on which the heat map's peak lies in one, None where no X-ray has a box.
    """

    samples: int
    fractured: int
    auroc: float
    threshold: float
    sensitivity: float
    specificity: float
    pointing_game: float | None

    def __str__(self) -> str:
        pointing = "not known" if self.pointing_game is None else f"{self.pointing_game:.4f}"
        return (
            f"AUROC {self.auroc:.4f}, sensitivity {self.sensitivity:.4f} and specificity "
            f"{self.specificity:.4f} at {self.threshold:.4f}, pointing game {pointing}"
        )


class Gate:
    """Admits variants by X-rays that the model was not trained on.

    Args:
        xrays: The validation X-rays.
        threshold: The probability from which the 32-bit model reports the finding.
        target_sensitivity: The sensitivity for which that was chosen, 0..1.
        model: The 32-bit model.
        probabilities: What the training's own model said, by image id.

    Raises:
        DataError: the X-rays are not the ones that the training validated on, or do not tell.
    """

    def __init__(
        self,
        xrays: Xrays,
        threshold: float,
        target_sensitivity: float,
        model: CanExplain,
        probabilities: Mapping[str, float],
    ) -> None:
        self._xrays = xrays
        self._target_sensitivity = target_sensitivity
        self._explanations = self._explain(model, "float32")
        _require_same(xrays, self._explanations, probabilities)
        self.reference = measure(xrays, self._explanations, threshold)

    def measure(self, model: CanExplain, name: str) -> Figures:
        """Choose a variant's threshold, and measure it there.

        It is as sensitive there as the 32-bit model is at its own, and as stated.

        Args:
            model: The variant.
            name: What the progress bar calls it.

        Returns:
            Its figures.

        Raises:
            ModelError: the variant gives no number for an X-ray.
        """
        # the 32-bit model's may have been chosen on others: what it finds here, the variant must find
        return self._measure_at(
            max(self._target_sensitivity, self.reference.sensitivity), self._explain(model, name)
        )

    def admits(self, figures: Figures) -> bool:
        """Tell whether a variant is as sensitive as stated, and loses no more than it may."""
        if figures.sensitivity < self._target_sensitivity - _ROUNDING:
            return False
        reference = self._reference_as_sensitive_as_stated()
        return all(
            _loss(getattr(reference, name), getattr(figures, name)) <= allowed
            for name, allowed in LOSSES.items()
        )

    def _reference_as_sensitive_as_stated(self) -> Figures:
        """Measure the 32-bit model where it is as sensitive as a variant must be.

        Its own threshold may find fewer of these X-rays than stated, and is more specific there.
        """
        if self.reference.sensitivity >= self._target_sensitivity:
            return self.reference
        return self._measure_at(self._target_sensitivity, self._explanations)

    def _measure_at(self, sensitivity: float, explanations: Sequence[Explanation]) -> Figures:
        """Choose the threshold for a sensitivity, and measure there."""
        threshold = choose_threshold(_labels(self._xrays), _probabilities(explanations), sensitivity)
        return measure(self._xrays, explanations, threshold)

    def _explain(self, model: CanExplain, name: str) -> list[Explanation]:
        squares = tqdm(self._xrays.squares, f"explain {name}", unit="image", leave=False, disable=None)
        return [model.explain(to_tensor(square[np.newaxis])) for square in squares]


def measure(xrays: Xrays, explanations: Sequence[Explanation], threshold: float) -> Figures:
    """Compare explanations with labels and boxes.

    Args:
        xrays: N X-rays.
        explanations: N explanations.
        threshold: The probability from which the finding is reported.

    Returns:
        The figures.

    Raises:
        DataError: the X-rays do not show the finding, or all of them do.
    """
    labels, probabilities = _labels(xrays), _probabilities(explanations)
    if labels.all() or not labels.any():
        raise DataError("The run's validation X-rays are of one class only, so no variant can be measured.")
    reported = probabilities >= threshold
    hits = [
        _points_inside(explanation.heatmap, shape, xrays.squares.shape[1], xray.boxes)
        for explanation, shape, xray in zip(explanations, xrays.shapes, xrays.records, strict=True)
        if xray.boxes
    ]
    return Figures(
        samples=len(labels),
        fractured=int(labels.sum()),
        auroc=float(roc_auc_score(labels, probabilities)),
        threshold=threshold,
        sensitivity=float(reported[labels].mean()),
        specificity=float(1 - reported[~labels].mean()),
        pointing_game=float(np.mean(hits)) if hits else None,
    )


def _labels(xrays: Xrays) -> NDArray[np.bool_]:
    return np.array([xray.fractured for xray in xrays.records])


def _probabilities(explanations: Sequence[Explanation]) -> NDArray[np.float64]:
    return np.array([explanation.probability for explanation in explanations])


def _loss(reference: float | None, value: float | None) -> float:
    """Return by how much a figure is lower; what is not known is no loss."""
    return 0.0 if reference is None or value is None else reference - value


def _require_same(
    xrays: Xrays, explanations: Sequence[Explanation], probabilities: Mapping[str, float]
) -> None:
    """Refuse X-rays of which the 32-bit model says something else than when it was trained."""
    for xray, explanation in zip(xrays.records, explanations, strict=True):
        expected = probabilities.get(xray.image_id, np.nan)
        if not abs(explanation.probability - expected) <= _SAME_PROBABILITY:
            raise DataError(
                f"{xray.file} had a probability of {expected:.3f} in training and "
                f"has {explanation.probability:.3f} now: it is not the same X-ray. Restore the data."
            )


def _points_inside(
    square_map: NDArray[np.float32], shape: tuple[int, int], size_px: int, boxes: Sequence[Box]
) -> bool:
    """Tell whether the peak of a map, cut to its picture as the page shows it, lies in a box."""
    heatmap = scale_to_peak(to_picture(square_map, *shape, size_px))
    return points_inside(heatmap, covered(boxes, *heatmap.shape))
