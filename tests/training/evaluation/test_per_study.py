from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data.samples import Sample
from training.evaluation.per_study import PUBLISHED_KAPPA, join_views, mura_table


def view(study: str, abnormal: bool, part: str = "wrist") -> Sample:
    return Sample(study, Path("nowhere"), abnormal, study=study, body_parts=(part,))


def test_study_has_the_mean_of_its_views() -> None:
    samples = [view("b", True), view("a", False), view("b", True), view("b", True)]
    studies = join_views(samples, np.array([0.9, 0.2, 0.5, 0.1]), np.array([7, 8, 7, 7]))
    assert studies.probabilities == pytest.approx([0.2, 0.5])  # a, then b
    assert studies.labels.tolist() == [0, 1]
    assert studies.groups.tolist() == [8, 7]


def test_study_is_abnormal_only_above_one_half() -> None:
    # b is exactly at 0.5 and so normal: of two abnormal studies one is found, of two normal ones none
    # is flagged; three of four agree, two by chance
    samples = [view("a", True), view("a", True), view("b", True), view("c", False), view("d", False)]
    scores = np.array([0.4, 0.8, 0.5, 0.3, 0.1])
    [wrist, overall] = mura_table(join_views(samples, scores, np.arange(5)))
    assert (wrist["studies"], wrist["positive"]) == (4, 2)
    assert wrist["kappa"]["value"] == pytest.approx((3 / 4 - 2 / 4) / (1 - 2 / 4))
    assert overall["kappa"]["value"] == wrist["kappa"]["value"]


def test_parts_are_measured_by_themselves_beside_the_published_figures() -> None:
    samples = [
        view("w1", True),
        view("w2", False),
        view("e1", True, "elbow"),
        view("e2", False, "elbow"),
    ]
    # the wrist is right twice, the elbow wrong twice; overall two of four agree, two by chance
    rows = mura_table(join_views(samples, np.array([0.9, 0.1, 0.2, 0.7]), np.arange(4)))
    assert [(row["part"], row["kappa"]["value"]) for row in rows] == [
        ("elbow", -1.0),
        ("wrist", 1.0),
        ("overall", 0.0),
    ]
    assert rows[1]["published_model"] == 0.931
    assert rows[1]["published_radiologists"] == [0.791, 0.931, 0.931]


def test_published_figures_are_those_of_the_paper() -> None:
    # arXiv 1712.06957 version 4, table 2, a line for each judge
    radiologists = {
        1: (0.850, 0.304, 0.796, 0.661, 0.867, 0.864, 0.791, 0.731),
        2: (0.710, 0.403, 0.802, 0.927, 0.733, 0.791, 0.931, 0.763),
        3: (0.719, 0.410, 0.798, 0.789, 0.933, 0.864, 0.931, 0.778),
    }
    model = (0.710, 0.389, 0.737, 0.851, 0.600, 0.729, 0.931, 0.705)
    parts = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist", "overall")
    columns = zip(model, *radiologists.values(), strict=True)
    assert dict(zip(parts, columns, strict=True)) == PUBLISHED_KAPPA
