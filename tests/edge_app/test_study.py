from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from edge_app.imaging.picture import DicomHeader, Patient
from edge_app.predictor import FRACTURE, NORMAL, Prediction
from edge_app.study import group_views, joint_answer, mean_of_views


def view(probability: float) -> Prediction:
    blank = np.zeros((1, 1), np.float32)
    return Prediction(probability, 0.4, blank, blank.astype(np.uint8), (1, 1), 1)


def header(patient: str, study: str) -> DicomHeader:
    plain = DicomHeader("1.2", "1.2.3", study, "1.2.5", "DX")
    return replace(plain, patient=Patient(identifier=patient))


def test_study_has_the_mean_of_its_views() -> None:
    assert mean_of_views([0.2, 0.7, 0.6]) == pytest.approx(0.5)
    study = joint_answer([view(0.1), view(0.8)])
    assert (study.probability, study.prediction) == (pytest.approx(0.45), FRACTURE)
    assert study.confidence == pytest.approx(0.45)


def test_one_high_view_among_low_ones_need_not_be_a_fracture() -> None:
    study = joint_answer([view(0.1), view(0.1), view(0.8)])
    assert study.prediction == NORMAL
    assert study.confidence == pytest.approx(2 / 3)


def test_study_between_the_two_points_is_uncertain() -> None:
    unsure, low = (replace(view(probability), rule_out=0.2) for probability in (0.5, 0.1))
    assert joint_answer([unsure, low]).is_uncertain
    assert not joint_answer([low, low]).is_uncertain
    assert not joint_answer([unsure, unsure]).is_uncertain


def test_studies_are_told_apart_by_patient_and_study() -> None:
    headers = [header("a", "1.1"), header("b", "1.1"), header("a", "1.1"), header("a", "1.2")]
    assert group_views(headers) == [[0, 2], [1], [3]]


def test_plain_pictures_join_the_only_study() -> None:
    assert group_views([None, header("a", "1.1"), None]) == [[0, 1, 2]]
    assert group_views([None, None]) == [[0, 1]]


def test_plain_pictures_beside_several_studies_are_one_of_their_own() -> None:
    assert group_views([None, header("a", "1.1"), header("b", "1.2"), None]) == [[0, 3], [1], [2]]


def test_nothing_makes_no_study() -> None:
    assert group_views([]) == []
