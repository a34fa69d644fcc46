"""One answer per study, by MURA's rule, and what MURA's authors published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edge_app.study import mean_of_views
from training.data.samples import Sample
from training.evaluation import metrics

RULE_THRESHOLD = 0.5
# Cohen's kappa of the paper's model and of its three radiologists, by body part.
# Source: Rajpurkar et al., MURA, arXiv 1712.06957 version 4, table 2.
PUBLISHED_KAPPA = {
    "elbow": (0.710, 0.850, 0.710, 0.719),
    "finger": (0.389, 0.304, 0.403, 0.410),
    "forearm": (0.737, 0.796, 0.802, 0.798),
    "hand": (0.851, 0.661, 0.927, 0.789),
    "humerus": (0.600, 0.867, 0.733, 0.933),
    "shoulder": (0.729, 0.864, 0.791, 0.864),
    "wrist": (0.931, 0.791, 0.931, 0.931),
    "overall": (0.705, 0.731, 0.763, 0.778),
}


@dataclass(frozen=True)
class Studies:
    """M studies, ordered by name.

    `parts` (M,) are body parts, `labels` float32 (M,), 0 or 1, `probabilities` float64 (M,), 0..1, and
    `groups` int64 (M,).
    """

    parts: NDArray[np.str_]
    labels: NDArray[np.float32]
    probabilities: NDArray[np.float64]
    groups: NDArray[np.int64]


def join_views(
    samples: Sequence[Sample], probabilities: NDArray[np.float64], groups: NDArray[np.int64]
) -> Studies:
    """Give each study the mean of its views' probabilities; it is positive when any view is.

    Args:
        samples: N samples, each with a study.
        probabilities: float64 (N,), 0..1.
        groups: int64 (N,).

    Returns:
        The studies.
    """
    _, first, study_of = np.unique(
        [sample.study for sample in samples], return_index=True, return_inverse=True
    )
    labels = np.zeros(len(first), np.float32)
    np.maximum.at(labels, study_of, [sample.fractured for sample in samples])
    return Studies(
        parts=np.array([" and ".join(samples[index].body_parts) for index in first]),
        labels=labels,
        probabilities=np.array([mean_of_views(probabilities[study_of == n]) for n in range(len(first))]),
        groups=groups[first],
    )


def mura_table(studies: Studies) -> list[dict[str, Any]]:
    """Measure the agreement with the labels as MURA's paper does, beside what it published.

    A study counts as abnormal when its probability is above one half.

    Args:
        studies: Studies of MURA's seven body parts.

    Returns:
        A JSON object for each body part that occurs, and for all studies: `kappa` with its 95 % interval,
        and the published kappa of the paper's model and of its radiologists.

    Source:
        Rajpurkar et al., MURA, arXiv 1712.06957, sections 3.1 and 4, table 2.
    """
    rows = []
    for part, published in PUBLISHED_KAPPA.items():
        chosen = np.full(len(studies.parts), True) if part == "overall" else studies.parts == part
        if not chosen.any():
            continue
        labels, abnormal = studies.labels[chosen], studies.probabilities[chosen] > RULE_THRESHOLD
        kappa = metrics.bootstrap(metrics.answers(labels, abnormal), studies.groups[chosen])["kappa"]
        rows.append(
            {
                "part": part,
                "studies": int(chosen.sum()),
                "positive": int(labels.sum()),
                "kappa": asdict(kappa),
                "published_model": published[0],
                "published_radiologists": list(published[1:]),
            }
        )
    return rows
