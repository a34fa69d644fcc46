"""X-rays and other pictures to an input gate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from edge_app.model.quality import XRAY, Distance, InputGate, log_odds, normalised

# Shares of X-rays that the head and each distance may flag.
_FLAGGED_BY_HEAD = 0.008
_FLAGGED_BY_DISTANCE = 0.002
# X-rays that a network was not trained on lie further off than those that it was: one in a hundred of
# FracAtlas' validation X-rays lay beyond 1.0 (shallow) and 1.5 (deep) times the train side's limit.
_LIMIT_MARGIN = 1.5
# What is refused lies this far, in log-odds, below the least likely X-ray.
_REFUSAL_MARGIN = 2.0
_INVERSE_PENALTY = 10.0
_FOLDS = 4

Averages = Sequence[NDArray[np.float32]]


class Material(NamedTuple):
    """What a gate is fitted to: averages at each depth, float32 (N, C).

    `reasons` has a code for each negative. `groups`, int (N,), tells which X-rays stay together, and
    `are_plain`, bool (N,), which of them were not varied: by these the acceptance is chosen.
    """

    xrays: Averages
    groups: NDArray[np.int64]
    are_plain: NDArray[np.bool_]
    negatives: Averages
    reasons: Sequence[str]


def fit_gate(material: Material) -> InputGate:
    """Fit the head and the distances, and choose from which values they accept.

    What is accepted is chosen by X-rays that head and distances were not fitted to, fold by fold of groups.

    Args:
        material: What to fit it to.

    Returns:
        The gate.
    """
    kinds = (XRAY, *dict.fromkeys(material.reasons))
    values = np.concatenate([_side_by_side(material.xrays), _side_by_side(material.negatives)])
    labels = np.array([0] * len(material.groups) + [kinds.index(reason) for reason in material.reasons])
    head = make_pipeline(StandardScaler(), LogisticRegression(C=_INVERSE_PENALTY, max_iter=2000))
    odds = _held_out_odds(head, values, labels, material.groups)[material.are_plain]
    weights, bias = _folded(head.fit(values, labels))
    acceptance = float(np.quantile(odds, _FLAGGED_BY_HEAD))
    return InputGate(
        kinds=kinds,
        weights=weights,
        bias=bias,
        distances=tuple(_limited_distance(each, material) for each in material.xrays),
        acceptance=acceptance,
        refusal=float(odds.min()) - _REFUSAL_MARGIN,
    )


def _side_by_side(averages: Averages) -> NDArray[np.float32]:
    return np.concatenate([normalised(each) for each in averages], axis=1)


def _held_out_odds(
    head: Pipeline, values: NDArray[np.float32], labels: NDArray[np.int64], groups: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Score the X-rays, each by a head that saw none of its group; each negative is a group of its own."""
    others = groups.max() + 1 + np.arange(len(labels) - len(groups))
    scores = cross_val_predict(
        head,
        values,
        labels,
        groups=np.concatenate([groups, others]),
        cv=GroupKFold(_FOLDS),
        method="decision_function",
    )
    return log_odds(scores[: len(groups)].astype(np.float32))


def _folded(fitted: Pipeline) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fold the scaling of each value into the weights."""
    scaler, head = (step for _, step in fitted.steps)
    weights = head.coef_.T / scaler.scale_[:, None]
    bias = head.intercept_ - scaler.mean_ @ weights
    return weights.astype(np.float32), bias.astype(np.float32)


def _limited_distance(averages: NDArray[np.float32], material: Material) -> Distance:
    """Fit a distance, and limit it by what X-rays are away from those of other groups."""
    away = np.empty(len(averages), np.float32)
    for others, held_out in GroupKFold(_FOLDS).split(averages, groups=material.groups):
        away[held_out] = _fit_distance(averages[others])(averages[held_out])
    largest = np.quantile(away[material.are_plain], 1 - _FLAGGED_BY_DISTANCE)
    return replace(_fit_distance(averages), limit=float(_LIMIT_MARGIN * largest))


def _fit_distance(averages: NDArray[np.float32]) -> Distance:
    """Measure how X-rays spread, with shrinkage since channels depend on each other.

    Source:
        Ledoit & Wolf, A well-conditioned estimator for large-dimensional covariance matrices, 2004.
    """
    spread = LedoitWolf().fit(normalised(averages).astype(np.float64))
    whitening = np.linalg.cholesky(spread.precision_).astype(np.float32)
    return Distance(spread.location_.astype(np.float32), whitening, limit=float("inf"))
