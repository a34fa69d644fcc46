"""How good a set of scores is, with intervals; where to put the threshold, and how to calibrate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from edge_app.errors import DataError

BOOTSTRAP_ROUNDS = 2000
CONFIDENCE_LEVEL = 0.95
BINS = 10
# So many weights are held at once, which bounds the memory that a large data set takes.
_WEIGHTS_AT_ONCE = 4_000_000
# Beyond e^5 times hotter or colder, probabilities are 0, 1 or one half.
_LOG_TEMPERATURES = (-5.0, 5.0)

Scores = NDArray[np.float64]
Labels = NDArray[np.float32]
# float64 (rounds, N): how often each sample counts in each round.
Weights = NDArray[np.float64]
Values = NDArray[np.float64]
# From weights to named values, (rounds,) each; NaN where a measure has no value.
Measure = Callable[[Weights], Mapping[str, Values]]


@dataclass(frozen=True)
class Scored:
    """X-rays that were scored: labels, float32 (N,), 0 or 1, and logits, float64 (N,)."""

    labels: Labels
    logits: Scores


@dataclass(frozen=True)
class Estimate:
    """A measured value with its 95 % interval; None where there is none."""

    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Calibration:
    """Platt scaling: calibrated logit = slope * logit + intercept."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Confusion:
    """How often each answer was given in each round, float64 (rounds,); its measures likewise."""

    true_positive: Values
    false_positive: Values
    true_negative: Values
    false_negative: Values

    @property
    def accuracy(self) -> Values:
        """The share of right answers."""
        return _ratio(self.true_positive + self.true_negative, self._total)

    @property
    def sensitivity(self) -> Values:
        """The share of the positive that are flagged; also called recall."""
        return _ratio(self.true_positive, self.true_positive + self.false_negative)

    @property
    def specificity(self) -> Values:
        """The share of the negative that are not flagged."""
        return _ratio(self.true_negative, self.true_negative + self.false_positive)

    @property
    def precision(self) -> Values:
        """The share of the flagged that are positive."""
        return _ratio(self.true_positive, self.true_positive + self.false_positive)

    @property
    def f1(self) -> Values:
        """The harmonic mean of precision and sensitivity."""
        return _ratio(
            2 * self.true_positive, 2 * self.true_positive + self.false_positive + self.false_negative
        )

    @property
    def kappa(self) -> Values:
        """Agreement with the labels beyond chance.

        Source:
            Cohen, A coefficient of agreement for nominal scales, 1960, equation 1.
        """
        flagged = self.true_positive + self.false_positive
        positive = self.true_positive + self.false_negative
        by_chance = flagged * positive + (self._total - flagged) * (self._total - positive)
        right = self.true_positive + self.true_negative
        return _ratio(right * self._total - by_chance, self._total**2 - by_chance)

    @property
    def _total(self) -> Values:
        return self.true_positive + self.false_positive + self.true_negative + self.false_negative


CONFUSION_MEASURES = ("accuracy", "sensitivity", "specificity", "precision", "f1", "kappa")


def to_probability(logits: Scores) -> Scores:
    """Return the sigmoid of logits, float64 (N,) in 0..1."""
    return expit(logits)


def auroc(labels: Labels, scores: Scores) -> float:
    """Return the area under the ROC curve; labels (N,) 0 or 1, scores (N,), higher is more suspect."""
    return float(roc_auc_score(labels, scores))


def bootstrap(measure: Measure, groups: NDArray[np.int64], seed: int = 0) -> dict[str, Estimate]:
    """Measure with 95 % intervals by the bootstrap over whole groups.

    Samples of one group are not independent, so groups are drawn with replacement, not samples. The
    same groups and seed give the same rounds. A round in which a measure has no value, since a class is
    missing, does not count for it; an interval needs two groups, values in half of the rounds, and some
    difference between them: where every answer is right, the rounds cannot tell how sure that is.

    Args:
        measure: What to measure.
        groups: int64 (N,), the group of each sample.
        seed: Any whole number.

    Returns:
        An estimate by name: the value on all samples, and the percentiles 2.5 and 97.5 of the rounds.

    Source:
        Field & Welsh, Bootstrapping clustered data, JRSS B 69 (2007), the cluster bootstrap.
    """
    everyone = measure(np.ones((1, len(groups))))
    rounds = [measure(weights) for weights in _rounds(groups, seed)]
    return {
        name: _estimate(float(value[0]), np.concatenate([drawn[name] for drawn in rounds]))
        for name, value in everyone.items()
    }


def ranking(labels: Labels, scores: Scores) -> Measure:
    """Make a measure of how well scores rank: `auroc` and `average_precision`.

    Args:
        labels: float32 (N,), 0 or 1.
        scores: float64 (N,), higher is more suspect; equal scores count half.

    Returns:
        The measure.

    Source:
        Fawcett, An introduction to ROC analysis, 2006, algorithm 3; average precision as scikit-learn
        defines it, the sum of the precisions at each step of recall.
    """
    order = np.argsort(-scores, kind="stable")
    positive = labels[order]
    last_of_equal = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))

    def measure(weights: Weights) -> dict[str, Values]:
        falling = weights[:, order]
        found = _from_zero(np.cumsum(falling * positive, axis=1)[:, last_of_equal])
        false = _from_zero(np.cumsum(falling * (1 - positive), axis=1)[:, last_of_equal])
        area = np.asarray(np.trapezoid(found, false, axis=1))
        precision = np.nan_to_num(_ratio(found, found + false))[:, 1:]
        return {
            "auroc": _ratio(area, found[:, -1] * false[:, -1]),
            "average_precision": _ratio((np.diff(found) * precision).sum(axis=1), found[:, -1]),
        }

    return measure


def answers(labels: Labels, flagged: NDArray[np.bool_]) -> Measure:
    """Make a measure of yes-or-no answers: `CONFUSION_MEASURES`.

    Args:
        labels: float32 (N,), 0 or 1.
        flagged: bool (N,), true where the answer is positive.

    Returns:
        The measure.
    """

    def measure(weights: Weights) -> dict[str, Values]:
        counts = confusion(labels, flagged, weights)
        return {name: getattr(counts, name) for name in CONFUSION_MEASURES}

    return measure


def confusion(labels: Labels, flagged: NDArray[np.bool_], weights: Weights) -> Confusion:
    """Count right and wrong answers in each round."""
    positive = labels == 1
    return Confusion(
        true_positive=weights @ (positive & flagged),
        false_positive=weights @ (~positive & flagged),
        true_negative=weights @ (~positive & ~flagged),
        false_negative=weights @ (positive & ~flagged),
    )


def reliability(labels: Labels, probabilities: Scores) -> Measure:
    """Make a measure of how far probabilities can be taken at their word.

    Args:
        labels: float32 (N,), 0 or 1.
        probabilities: float64 (N,), 0..1.

    Returns:
        A measure of `brier`, the mean squared error, and of `observed 0`, `observed 1`, ..., the share of
        the positive in each bin, in the order of `equal_mass_bins`.

    Source:
        Brier, Verification of forecasts expressed in terms of probability, 1950.
    """
    bins = equal_mass_bins(probabilities)
    member = np.zeros((len(labels), len(bins)))
    for index, samples in enumerate(bins):
        member[samples, index] = 1

    def measure(weights: Weights) -> dict[str, Values]:
        observed = _ratio(weights @ (member * labels[:, np.newaxis]), weights @ member)
        return {
            "brier": _ratio(weights @ (labels - probabilities) ** 2, weights.sum(axis=1)),
            **{f"observed {index}": observed[:, index] for index in range(len(bins))},
        }

    return measure


def calibration_error(labels: Labels, probabilities: Scores) -> float:
    """Return the expected calibration error: the mean gap between probability and observed share.

    It has no interval: chance alone makes gaps, so bootstrap rounds show greater ones than the samples.

    Args:
        labels: float32 (N,), 0 or 1.
        probabilities: float64 (N,), 0..1.

    Returns:
        The error over `BINS` bins of equal mass, 0..1.

    Source:
        Nixon et al., Measuring calibration in deep learning, 2019, section 3.
    """
    gaps = [np.abs((labels - probabilities)[samples].sum()) for samples in equal_mass_bins(probabilities)]
    return float(np.sum(gaps) / len(labels))


def equal_mass_bins(probabilities: Scores) -> list[NDArray[np.int64]]:
    """Sort samples into up to `BINS` bins of nearly equal size, from low to high; indices (n,) each.

    Equal probabilities share a bin, so that the bins do not depend on the order of the samples.
    """
    order = np.argsort(probabilities, kind="stable")
    ends_of_equal = np.append(np.flatnonzero(np.diff(probabilities[order])) + 1, len(order))
    ends = np.cumsum([len(part) for part in np.array_split(order, BINS)])
    return np.split(order, np.unique(ends_of_equal[np.searchsorted(ends_of_equal, ends)])[:-1])


def shares(**facts: NDArray[np.float64]) -> Measure:
    """Make a measure of the mean of each named fact, float64 (N,)."""
    return lambda weights: {
        name: _ratio(weights @ fact, weights.sum(axis=1)) for name, fact in facts.items()
    }


def net_benefit(labels: Labels, flagged: NDArray[np.bool_], threshold: float) -> float:
    """Weigh found positives against false alarms at the odds that a threshold stands for.

    Args:
        labels: float32 (N,), 0 or 1.
        flagged: bool (N,).
        threshold: The probability, below 1, from which a person would act.

    Returns:
        True positives less false ones at those odds, as a share of all samples.

    Source:
        Vickers & Elkin, Decision curve analysis, Medical Decision Making 26 (2006), the equation of net
        benefit.
    """
    false = np.mean((labels == 0) & flagged) * threshold / (1 - threshold)
    return float(np.mean((labels == 1) & flagged) - false)


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
        DataError: the scores are all alike, or rise with normality instead of fracture.

    Source:
        Platt, Probabilistic outputs for support vector machines, 1999, section 2.2.
    """
    fractured = int(labels.sum())
    target = np.where(labels == 1, (fractured + 1) / (fractured + 2), 1 / (len(labels) - fractured + 2))
    if np.ptp(logits) == 0:
        raise _not_calibrated("all X-rays alike")
    centre, spread = float(logits.mean()), float(logits.std())
    # Each sample stands once as fractured and once as normal, weighted by its target; the fit does not
    # move where scores hardly differ, so they are brought to a spread of one.
    fit = LogisticRegression(C=np.inf).fit(
        np.tile((logits - centre) / spread, 2)[:, np.newaxis],
        np.repeat([1, 0], len(labels)),
        sample_weight=np.concatenate([target, 1 - target]),
    )
    slope = float(fit.coef_[0, 0]) / spread
    if slope <= 0:
        raise _not_calibrated("normal X-rays higher than fractured ones")
    return Calibration(slope, float(fit.intercept_[0]) - slope * centre)


def _not_calibrated(fault: str) -> DataError:
    return DataError(
        f"The model scores {fault}, so it cannot be calibrated. "
        "Train for more epochs or with other settings, in a new directory."
    )


def fit_temperature(labels: Labels, logits: Scores) -> float:
    """Find the temperature by which logits are divided for the greatest likelihood.

    Args:
        labels: float32 (N,), 0 or 1.
        logits: float64 (N,).

    Returns:
        The temperature, above 0; above 1 makes answers less sure.

    Source:
        Guo et al., On calibration of modern neural networks, ICML 2017, section 4.2.
    """
    against = np.where(labels == 1, -logits, logits)

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0, against / np.exp(log_temperature)).mean())

    return float(np.exp(minimize_scalar(loss, bounds=_LOG_TEMPERATURES, method="bounded").x))


def fit_isotonic(labels: Labels, probabilities: Scores) -> IsotonicRegression:
    """Fit the rising step function from probabilities to observed shares; `predict` applies it.

    Source:
        Zadrozny & Elkan, Transforming classifier scores into accurate multiclass probability estimates,
        KDD 2002, section 3.
    """
    return IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probabilities, labels)


def _rounds(groups: NDArray[np.int64], seed: int) -> Iterator[Weights]:
    """Draw the groups of each round, and tell how often each sample counts, some rounds at a time.

    The only group there is says nothing about others: its rounds count no sample, so nothing has a value.
    """
    generator = np.random.default_rng(seed)
    names, group_of = np.unique(groups, return_inverse=True)
    at_once = max(1, _WEIGHTS_AT_ONCE // len(groups))
    for start in range(0, BOOTSTRAP_ROUNDS, at_once):
        rounds = min(at_once, BOOTSTRAP_ROUNDS - start)
        times = generator.multinomial(len(names), np.full(len(names), 1 / len(names)), size=rounds)
        yield (times * (len(names) > 1))[:, group_of].astype(np.float64)


def _estimate(value: float, rounds: Values) -> Estimate:
    if np.isnan(value):
        return Estimate(None, None, None)
    valid = rounds[~np.isnan(rounds)]
    if 2 * valid.size < rounds.size:
        return Estimate(value, None, None)
    tail = 100 * (1 - CONFIDENCE_LEVEL) / 2
    low, high = np.percentile(valid, (tail, 100 - tail))
    return Estimate(value, float(low), float(high)) if low < high else Estimate(value, None, None)


def _ratio(part: Values, whole: Values) -> Values:
    """Divide; NaN where there is nothing to divide by."""
    return np.divide(part, whole, out=np.full(np.shape(part), np.nan), where=whole > 0)


def _from_zero(cumulated: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.pad(cumulated, ((0, 0), (1, 0)))
