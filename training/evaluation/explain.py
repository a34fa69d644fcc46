"""Judge heat maps: do they point at what was boxed, and do they depend on what the model learned?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from edge_app.errors import DataError
from edge_app.gradcam import scale_to_peak
from edge_app.preprocess import to_picture
from training.evaluation import metrics
from training.evaluation.scorers import KerasScorer, Scorer
from training.samples import Box, Sample
from training.scan import Squares

SHUFFLES = 20
_HALF_OF_PEAK = 0.5


def judge_heatmaps(
    scorer: Scorer,
    squares: Squares,
    samples: Sequence[Sample],
    shapes: NDArray[np.int64],
    groups: NDArray[np.int64],
) -> dict[str, Any]:
    """Compare heat maps with the boxes that people drew.

    Args:
        scorer: What is judged.
        squares: Like uint8 (N, S, S).
        samples: N samples; those without a box are passed over.
        shapes: int64 (N, 2), the pictures' heights and widths.
        groups: int64 (N,), for the bootstrap.

    Returns:
        A JSON object. `pointing_game` is the share of samples whose warmest place lies in a box, with its
        95 % interval and the number of samples; `by_chance` is what a random place would reach, the mean
        share of the picture that boxes cover. `overlap` is the mean overlap (intersection over union) of
        the boxes with the map above half of its peak, `energy` the mean share of the map inside the boxes.

    Raises:
        DataError: no sample has a box.

    Source:
        Zhang et al., Top-down neural attention by excitation backprop, ECCV 2016, section 4.1, for the
        pointing game; Wang et al., Score-CAM, CVPR workshops 2020, section 4.3, for the energy.
    """
    boxed = np.array([index for index, sample in enumerate(samples) if sample.boxes], np.int64)
    if not boxed.size:
        raise DataError("No X-ray that is judged has a box, so the heat map cannot be judged.")
    maps = _over_pictures(scorer.heatmaps(squares[boxed]), shapes[boxed], scorer.size_px)
    facts = [
        _compare(heatmap, covered(samples[index].boxes, *heatmap.shape))
        for heatmap, index in zip(maps, boxed, strict=True)
    ]
    pointing, overlap, energy, by_chance = np.array(facts).T
    found = metrics.bootstrap(
        metrics.shares(pointing=pointing, overlap=overlap, energy=energy), groups[boxed]
    )
    return {
        "pointing_game": {"samples": len(boxed), **asdict(found["pointing"])},
        "by_chance": float(by_chance.mean()),
        "overlap": asdict(found["overlap"]),
        "energy": asdict(found["energy"]),
    }


def covered(boxes: Sequence[Box], height: int, width: int) -> NDArray[np.bool_]:
    """Tell which cells of a grid over the picture have their centre in a box.

    Args:
        boxes: Fractions of the picture.
        height: Rows of the grid.
        width: Columns of the grid.

    Returns:
        bool (height, width).
    """
    y = ((np.arange(height) + 0.5) / height)[:, np.newaxis]
    x = (np.arange(width) + 0.5) / width
    inside = np.zeros((height, width), bool)
    for box in boxes:
        inside = inside | (
            (box.x <= x) & (x <= box.x + box.width) & (box.y <= y) & (y <= box.y + box.height)
        )
    return inside


def points_inside(heatmap: NDArray[np.float32], inside: NDArray[np.bool_]) -> bool:
    """Tell whether a map's peak lies inside; never for an empty map. Both are (h, w)."""
    return bool(heatmap.any() and inside.flat[heatmap.argmax()])


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


def randomisation_check(scorer: KerasScorer, squares: Squares) -> dict[str, Any]:
    """See whether heat maps change when a copy of the model forgets, layer by layer, what it learned.

    The values of each weight are shuffled, from the top down: first all that comes after the features,
    then the layer of the features too, then everything; and all that `SHUFFLES` times. A map that stays
    the same shows the picture, not what the model learned. The untouched copy is the control.

    Args:
        scorer: What is judged; it stays as it is.
        squares: Like uint8 (N, S, S).

    Returns:
        A JSON object: the number of samples, and for each stage `shuffles` and, over these,
        `median_correlation`, `low` and `high`. A shuffle's correlation is the median over the samples of
        Spearman's rank correlation with the model's own maps; a shuffle after which no map shows anything
        does not count, and all three are null where none counts.

    Source:
        Adebayo et al., Sanity checks for saliency maps, NeurIPS 2018, section 3.
    """
    own = scorer.heatmaps(squares)
    copy = keras.models.clone_model(scorer.model)
    forgetful = KerasScorer(copy, scorer.batch_size)
    features = [layer.name for layer in copy.layers].index("features")
    stages = {
        "head": copy.layers[features + 1 :],
        "head and last features": [copy.layers[features]],
        "everything": copy.layers[:features],
    }
    correlations = {"nothing": _correlation(own, scorer.heatmaps(squares)), **{name: [] for name in stages}}
    for seed in range(SHUFFLES):
        generator = np.random.default_rng(seed)
        copy.set_weights(scorer.model.get_weights())
        for stage, layers in stages.items():
            for layer in layers:
                layer.set_weights([_shuffled(weight, generator) for weight in layer.get_weights()])
            correlations[stage] += _correlation(own, forgetful.heatmaps(squares))
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


def _over_pictures(
    maps: NDArray[np.float32], shapes: NDArray[np.int64], size_px: int
) -> Iterator[NDArray[np.float32]]:
    """Cut each map to its picture, as the page shows it, and scale it again."""
    for square_map, (height, width) in zip(maps, shapes.tolist(), strict=True):
        yield scale_to_peak(to_picture(square_map, height, width, size_px))


def _compare(heatmap: NDArray[np.float32], inside: NDArray[np.bool_]) -> tuple[float, float, float, float]:
    return (
        float(points_inside(heatmap, inside)),
        overlap(heatmap, inside),
        energy_inside(heatmap, inside),
        float(inside.mean()),
    )


def _shuffled(weight: NDArray[np.float32], generator: np.random.Generator) -> NDArray[np.float32]:
    return generator.permutation(weight.ravel()).reshape(weight.shape)


def _correlation(own: NDArray[np.float32], others: NDArray[np.float32]) -> list[float]:
    """Return the median rank correlation of the maps that both vary, if any; a flat map has no ranks."""
    found = [
        spearmanr(map_, other, axis=None).statistic
        for map_, other in zip(own, others, strict=True)
        if np.ptp(map_) and np.ptp(other)
    ]
    return [float(np.median(found))] if found else []
