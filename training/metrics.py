"""How good a set of scores is, with intervals, and where to put the threshold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from edge_app.errors import DataError

BOOTSTRAP_ROUNDS = 2000
CONFIDENCE_LEVEL = 0.95

Scores = NDArray[np.float64]
Labels = NDArray[np.float32]
Measure = Callable[[Labels, Scores], float]


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: calibrated logit = slope * logit + intercept."""

    slope: float
    intercept: float


def to_probability(logits: Scores) -> Scores:
    """Return the sigmoid of logits, float64 (N,) in 0..1."""
    return expit(logits)


def auroc(labels: Labels, scores: Scores) -> float:
    """Return the area under the ROC curve; labels (N,) 0 or 1, scores (N,), higher is more suspect."""
    return float(roc_auc_score(labels, scores))


def sensitivity_at(threshold: float) -> Measure:
    """Make a measure: the share of the fractured whose score reaches the threshold."""
    return lambda labels, scores: float(np.mean(scores[labels == 1] >= threshold))


def specificity_at(threshold: float) -> Measure:
    """Make a measure: the share of the normal whose score stays below the threshold."""
    return lambda labels, scores: float(np.mean(scores[labels == 0] < threshold))


def estimate(measure: Measure, labels: Labels, scores: Scores, groups: NDArray[np.int64]) -> Estimate:
    """Measure with a 95 % interval by the bootstrap over whole groups.

    Args:
        measure: Takes labels and scores of both classes.
        labels: float32 (N,), 0 or 1, both present in at least two groups.
        scores: (N,).
        groups: int64 (N,).

    Returns:
        The value and its interval.

    Raises:
        DataError: one class only.
    """
    if len(np.unique(labels)) < 2:
        raise DataError("Nothing can be measured on a single class.")

    def drawn(indices: NDArray[np.int64]) -> float | None:
        if len(np.unique(labels[indices])) < 2:
            return None
        return measure(labels[indices], scores[indices])

    return bootstrap(drawn, groups)


def bootstrap(
    statistic: Callable[[NDArray[np.int64]], float | None], groups: NDArray[np.int64], seed: int = 0
) -> Estimate:
    """Compute a statistic and its 95 % interval by the bootstrap over whole groups.

    Samples of one group are not independent, so groups are drawn with replacement, not samples.

    Args:
        statistic: Takes indices of samples; None where it has no value, and then other groups are drawn.
        groups: int64 (N,), the group of each sample.
        seed: Any whole number.

    Returns:
        The value on all samples, and the percentiles 2.5 and 97.5 of the rounds.

    Raises:
        DataError: the statistic has no value on all samples.

    Source:
        Field & Welsh, Bootstrapping clustered data, JRSS B 69 (2007), the cluster bootstrap.
    """
    value = statistic(np.arange(len(groups)))
    if value is None:
        raise DataError("There are too few samples to measure this.")
    generator = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    rounds: list[float] = []
    while len(rounds) < BOOTSTRAP_ROUNDS:
        drawn = generator.integers(len(members), size=len(members))
        found = statistic(np.concatenate([members[group] for group in drawn]))
        if found is not None:
            rounds.append(found)
    tail = 100 * (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.percentile(rounds, (tail, 100 - tail))
    return Estimate(value, float(low), float(high))


def fit_calibration(labels: Labels, logits: Scores) -> Calibration:
    """Fit Platt scaling by maximum likelihood to smoothed targets.

    The targets (F + 1) / (F + 2) for the fractured and 1 / (N + 2) for the normal, with their counts F
    and N, keep the slope finite where the classes do not overlap.

    Args:
        labels: float32 (N,), 0 or 1.
        logits: float64 (N,).

    Returns:
        The calibration; its slope is positive, so the order of the scores stays.

    Raises:
        DataError: the scores rise with normality instead of fracture.

    Source:
        Platt, Probabilistic outputs for support vector machines, 1999, section 2.2.
    """
    fractured = int(labels.sum())
    target = np.where(labels == 1, (fractured + 1) / (fractured + 2), 1 / (len(labels) - fractured + 2))
    # Each sample stands once as fractured and once as normal, weighted by its target.
    fit = LogisticRegression(C=np.inf).fit(
        np.tile(logits, 2)[:, np.newaxis],
        np.repeat([1, 0], len(labels)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope, intercept = float(fit.coef_[0, 0]), float(fit.intercept_[0])
    if slope <= 0:
        raise DataError(
            "The model scores normal X-rays higher than fractured ones, so it cannot be calibrated. "
            "Train for more epochs or with other settings."
        )
    return Calibration(slope, intercept)


def choose_threshold(labels: Labels, scores: Scores, target_sensitivity: float) -> float:
    """Choose the highest threshold that flags the wanted share of the fractured.

    It lies halfway to the next lower score, so that rounding in another runtime flips no answer.

    Args:
        labels: float32 (N,), 0 or 1.
        scores: float64 (N,), flagged when at or above the threshold.
        target_sensitivity: 0..1.

    Returns:
        The threshold.
    """
    fractured = np.sort(scores[labels == 1])[::-1]
    last_flagged = fractured[int(np.ceil(target_sensitivity * len(fractured))) - 1]
    below = scores[scores < last_flagged]
    return float((last_flagged + below.max()) / 2) if below.size else float(last_flagged)
