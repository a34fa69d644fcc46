"""Judge heat maps: do they point at what was boxed, and do they depend on what the model learned?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from edge_app.errors import DataError
from edge_app.imaging.preprocess import to_picture
from edge_app.model.gradcam import GRAD_CAM, METHODS, scale_to_peak
from edge_app.model.pointing import covered, points_inside
from training.data.scan import Scan, Squares
from training.evaluation import metrics
from training.evaluation.scorers import KerasScorer, Scorer

SHUFFLES = 20
_HALF_OF_PEAK = 0.5


Peaks = Mapping[str, NDArray[np.float64]]


def peaks_in_boxes(scorer: Scorer, scan: Scan) -> Peaks:
    """Tell where the heat maps of X-rays have their peaks.

    Args:
        scorer: What is explained.
        scan: N X-rays.

    Returns:
        By method float64 (N,): 1 where the peak lies in a box, else 0; NaN for an X-ray without boxes.
    """
    peaks = {name: np.full(len(scan.samples), np.nan) for name in METHODS}
    chosen = np.flatnonzero([bool(sample.boxes) for sample in scan.samples])
    if chosen.size:
        for index, (maps, inside) in zip(chosen, _cases(scorer, scan.only(chosen)), strict=True):
            for name, heatmap in maps.items():
                peaks[name][index] = points_inside(heatmap, inside)
    return peaks


def choose_method(peaks: Peaks, groups: NDArray[np.int64]) -> dict[str, Any]:
    """Choose the method of the heat maps by the pointing game.

    Args:
        peaks: What `peaks_in_boxes` returned of N X-rays.
        groups: int64 (N,), for the bootstrap.

    Returns:
        What `evaluation.json` tells: `heatmap`, with the chosen `method` and the `pointing_game` of each,
        and the `pointing_game` of the chosen one; Grad-CAM and null where no X-ray has a box.
    """
    boxed = ~np.isnan(peaks[GRAD_CAM])
    if not boxed.any():
        return {"pointing_game": None, "heatmap": {"method": GRAD_CAM, "pointing_game": None}}
    games = {
        name: {
            "samples": int(boxed.sum()),
            **asdict(metrics.bootstrap(metrics.shares(hits=hits[boxed]), groups[boxed])["hits"]),
        }
        for name, hits in peaks.items()
    }
    method = best_method({name: game["value"] for name, game in games.items()})
    return {"pointing_game": games[method], "heatmap": {"method": method, "pointing_game": games}}


def best_method(values: Mapping[str, float]) -> str:
    """Return the method with the highest value; Grad-CAM where it shares that, else the first that does.

    >>> best_method({"layercam": 0.7, "grad-cam": 0.7})
    'grad-cam'
    """
    return max(values, key=lambda name: (values[name], name == GRAD_CAM))


def judge_heatmaps(scorer: Scorer, scan: Scan, groups: NDArray[np.int64]) -> dict[str, Any]:
    """Compare the heat maps of every method with the boxes that people drew.

    Args:
        scorer: What is judged.
        scan: N X-rays; those without a box are passed over.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object: `samples`, how many X-rays have a box; `by_chance`, how often a random place would
        lie in one, the mean share of the picture that boxes cover; and `methods`, by name and with 95 %
        intervals. There, `pointing_game` is the share of X-rays whose warmest place lies in a box,
        `overlap` the mean overlap (intersection over union) of the boxes with the map above half of its
        peak, `energy` the mean share of the map inside the boxes.

    Raises:
        DataError: no X-ray has a box.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016, section 4.1, for the
        pointing game; Wang et al., Score-CAM, CVPR workshops 2020, section 4.3, for the energy.
    """
    chosen = np.flatnonzero([bool(sample.boxes) for sample in scan.samples])
    if not chosen.size:
        raise DataError("No X-ray that is judged has a box, so the heat map cannot be judged.")
    boxed = scan.only(chosen)
    covered_shares = [
        covered(sample.boxes, *shape).mean()
        for sample, shape in zip(boxed.samples, boxed.shapes, strict=True)
    ]
    return {
        "samples": len(chosen),
        "by_chance": float(np.mean(covered_shares)),
        "methods": {
            name: {
                fact: asdict(estimate)
                for fact, estimate in metrics.bootstrap(measure, groups[chosen]).items()
            }
            for name, measure in _measures(scorer, boxed).items()
        },
    }


def overlap(heatmap: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """Divide what a map above half of its peak shares with the inside by what both cover together.

    Args:
        heatmap: float32 (h, w) in 0..1 with its peak at 1, or all zero.
        inside: bool (h, w).

    Returns:
        Intersection over union, 0..1.
    """
    warm = heatmap >= _HALF_OF_PEAK
    return float((warm & inside).sum()) / max(1, int((warm | inside).sum()))


def energy_inside(heatmap: NDArray[np.float32], inside: NDArray[np.bool_]) -> float:
    """Return the share of a map's sum that lies inside, 0..1; 0 for an empty map. Both are (h, w)."""
    total = heatmap.sum(dtype=np.float64)
    return float(heatmap[inside].sum(dtype=np.float64) / total) if total else 0.0


def randomisation_check(scorer: KerasScorer, squares: Squares, method: str) -> dict[str, Any]:
    """See whether heat maps change when a copy of the model forgets, layer by layer, what it learned.

    The values of each weight are shuffled, from the top down: first all that comes after the features,
    then the layer of the features too, then everything; and all that `SHUFFLES` times. A map that stays
    the same shows the picture, not what the model learned. The untouched copy is the control.

    Args:
        scorer: What is judged; it stays as it is.
        squares: Like uint8 (N, S, S).
        method: Which heat maps, a name in `METHODS`.

    Returns:
        A JSON object: the number of samples, and for each stage `shuffles` and, over these,
        `median_correlation`, `low` and `high`. A shuffle's correlation is the median over the samples of
        Spearman's rank correlation with the model's own maps; a shuffle after which no map shows anything
        does not count, and all three are null where none counts.

    Source:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section 3.
    """
    own = _maps(scorer, squares, method)
    copy = keras.models.clone_model(scorer.model)
    forgetful = KerasScorer(copy, scorer.batch_size)
    features = [layer.name for layer in copy.layers].index("features")
    stages = {
        "head": copy.layers[features + 1 :],
        "head and last features": [copy.layers[features]],
        "everything": copy.layers[:features],
    }
    correlations = {
        "nothing": _correlation(own, _maps(scorer, squares, method)),
        **{name: [] for name in stages},
    }
    for seed in range(SHUFFLES):
        generator = np.random.default_rng(seed)
        copy.set_weights(scorer.model.get_weights())
        for stage, layers in stages.items():
            for layer in layers:
                layer.set_weights([_shuffled(weight, generator) for weight in layer.get_weights()])
            correlations[stage] += _correlation(own, _maps(forgetful, squares, method))
    return {
        "samples": len(squares),
        "stages": [
            {
                "shuffled": stage,
                "shuffles": len(values),
                "median_correlation": float(np.median(values)) if values else None,
                "low": min(values, default=None),
                "high": max(values, default=None),
            }
            for stage, values in correlations.items()
        ],
    }


def _measures(scorer: Scorer, boxed: Scan) -> dict[str, metrics.Measure]:
    """Make, by method, a measure of how well heat maps meet the boxes."""
    facts: dict[str, list[tuple[float, float, float]]] = {name: [] for name in METHODS}
    for maps, inside in _cases(scorer, boxed):
        for name, heatmap in maps.items():
            facts[name].append(_compare(heatmap, inside))
    measures = {}
    for name, own in facts.items():
        pointing, overlaps, energy = np.array(own).T
        measures[name] = metrics.shares(pointing_game=pointing, overlap=overlaps, energy=energy)
    return measures


def _cases(
    scorer: Scorer, boxed: Scan
) -> Iterator[tuple[dict[str, NDArray[np.float32]], NDArray[np.bool_]]]:
    """Yield each X-ray's heat map by method, and what its boxes cover; features are computed once."""
    cases = zip(scorer.evidence(boxed.squares), boxed.samples, boxed.shapes.tolist(), strict=True)
    for evidence, sample, (height, width) in cases:
        maps = {
            name: _over_picture(method(*evidence), height, width, scorer.size_px)
            for name, method in METHODS.items()
        }
        yield maps, covered(sample.boxes, *maps[GRAD_CAM].shape)


def _over_picture(
    square_map: NDArray[np.float32], height: int, width: int, size_px: int
) -> NDArray[np.float32]:
    """Cut a map to its picture, as the page shows it, and scale it again."""
    return scale_to_peak(to_picture(square_map, height, width, size_px))


def _compare(heatmap: NDArray[np.float32], inside: NDArray[np.bool_]) -> tuple[float, float, float]:
    return float(points_inside(heatmap, inside)), overlap(heatmap, inside), energy_inside(heatmap, inside)


def _maps(scorer: Scorer, squares: Squares, method: str) -> list[NDArray[np.float32]]:
    return [METHODS[method](*evidence) for evidence in scorer.evidence(squares)]


def _shuffled(weight: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    return generator.permutation(weight.ravel()).reshape(weight.shape)


def _correlation(own: list[NDArray[np.float32]], others: list[NDArray[np.float32]]) -> list[float]:
    """Return the median rank correlation of the maps that both vary, if any; a flat map has no ranks."""
    found = [
        spearmanr(map_, other, axis=None).statistic
        for map_, other in zip(own, others, strict=True)
        if np.ptp(map_) and np.ptp(other)
    ]
    return [float(np.median(found))] if found else []
