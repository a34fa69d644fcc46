"""Each kind of answer is a DICOM object that a validator and another library accept."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset

from edge_app.dicom_node.answers import make_answers
from edge_app.dicom_node.objects.common import to_file
from edge_app.dicom_node.objects.subject import NOTICE, JudgedStudy, JudgedView, ModelFacts
from edge_app.imaging.dicom.envelope import read_envelope
from edge_app.imaging.overlay import overlay
from edge_app.predictor import Prediction
from edge_app.study import joint_answer
from tests.conftest import require
from tests.edge_app.dicom_node.conftest import xray

KINDS = ("sc", "sr", "pdf", "gsps")
MODEL = ModelFacts("toy", "1.0", "float32", "ab" * 32)
SQUARE = np.array([[10, 20], [30, 20], [30, 40], [10, 40]], np.float32)  # 20 x 20 pixels
IDENTITY = {
    "SpecificCharacterSet": "ISO_IR 192",
    "PatientName": "Müller^Änne^^Dr.",
    "PatientID": " 00-17/b",
    "PatientBirthDate": "19500229",
    "PatientSex": "F",
    "AccessionNumber": "A-1",
    "StudyDate": "20260102",
    "StudyTime": "030405.5",
    "StudyID": "7",
    "ReferringPhysicianName": "Who^A",
}


def view(number: int, probability: float, outline: np.ndarray | None, **attributes: object) -> JudgedView:
    data = xray(number, np.zeros((64, 48), np.uint8), **{**IDENTITY, **attributes})
    cells = np.zeros((8, 8), np.float32)  # a column on either side lies beside the picture
    cells[3, 3] = 1.0
    picture = np.full((64, 48), 90, np.uint8)
    prediction = Prediction(probability, 0.4, cells, picture, (64, 48), 64, rule_out=0.2)
    return JudgedView(read_envelope(data), bytes(32), prediction, outline, (64, 48), None, prediction)


def study(*views: JudgedView, version: int = 1) -> JudgedStudy:
    moment = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
    return JudgedStudy(views, joint_answer([each.answer for each in views]), version, moment, MODEL)


TWO_VIEWS = (view(1, 0.9, SQUARE), view(2, 0.1, None))


def answers(*views: JudgedView, kinds: tuple[str, ...] = KINDS, version: int = 1) -> list[Dataset]:
    made = make_answers(study(*(views or TWO_VIEWS), version=version), kinds)
    return [dcmread(BytesIO(to_file(each))) for each in made]


def texts(item: Dataset) -> Iterator[str]:
    """Yield every text and code meaning beneath an item."""
    for element in item.iterall():
        if element.keyword in ("TextValue", "CodeMeaning"):
            yield str(element.value)


def test_kinds_are_made_for_what_they_are_about() -> None:
    assert [each.Modality for each in answers()] == ["OT", "OT", "SR", "DOC", "PR"]
    assert [each.Modality for each in answers(kinds=("sr",))] == ["SR"]


@pytest.mark.parametrize("spacing", [None, (0.2, 0.2)])
@pytest.mark.parametrize("identity", [{}, dict.fromkeys(IDENTITY), {"WindowCenter": 80, "WindowWidth": 90}])
def test_validator_finds_no_error(
    identity: dict[str, object], spacing: tuple[float, float] | None, tmp_path: Path
) -> None:
    views = (view(1, 0.9, SQUARE, **identity), view(2, 0.1, None, **identity))
    for number, dataset in enumerate(answers(*(replace(each, spacing_mm=spacing) for each in views))):
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(to_file(dataset))
        done = subprocess.run([require("dciodvfy", "dicom3tools"), path], capture_output=True, text=True)
        assert [line for line in done.stderr.splitlines() if line.startswith("Error")] == [], (
            dataset.Modality
        )


def test_validator_would_find_one(tmp_path: Path) -> None:
    for number, dataset in enumerate(answers()):
        del dataset.StudyID
        path = tmp_path / f"{number}.dcm"
        path.write_bytes(to_file(dataset))
        done = subprocess.run([require("dciodvfy", "dicom3tools"), path], capture_output=True, text=True)
        assert "Error" in done.stderr, dataset.Modality


def test_patient_and_study_are_copied_exactly() -> None:
    for dataset in answers():
        assert {keyword: str(dataset[keyword].value) for keyword in IDENTITY} == IDENTITY
        assert dataset.StudyInstanceUID == TWO_VIEWS[0].envelope.study_uid


def test_same_input_and_model_give_the_same_identifiers_and_others_do_not() -> None:
    def uids(views: tuple[JudgedView, ...], model: ModelFacts = MODEL) -> set[str]:
        made = make_answers(replace(study(*views), model=model), KINDS)
        return {each.SOPInstanceUID for each in made}

    assert uids(TWO_VIEWS) == uids(TWO_VIEWS)
    assert not uids(TWO_VIEWS) & uids(TWO_VIEWS, MODEL._replace(hash="cd" * 32))
    other_bytes = tuple(replace(each, digest=bytes(31) + b"1") for each in TWO_VIEWS)
    assert not uids(TWO_VIEWS) & uids(other_bytes)
    # A late picture gives a new report and a new structured report; captures of the others stay.
    late = (*TWO_VIEWS, view(3, 0.5, SQUARE))
    assert len(uids(TWO_VIEWS) & uids(late)) == 3


def test_each_kind_is_a_series_of_its_own_and_no_source_is_in_it() -> None:
    series = {each.Modality: each.SeriesInstanceUID for each in answers()}
    assert len(set(series.values())) == 4
    assert TWO_VIEWS[0].envelope.series_uid not in series.values()


def test_capture_keeps_the_picture_uncovered_and_says_what_it_is() -> None:
    suspected, normal = answers(kinds=("sc",))
    assert (suspected.Rows > 64, suspected.PhotometricInterpretation) == (True, "RGB")
    assert suspected.DerivationDescription == f"Fracture Detected. {NOTICE}"
    assert normal.DerivationDescription == f"Normal. {NOTICE}"
    pixels, prediction = normal.pixel_array, TWO_VIEWS[1].prediction
    assert np.array_equal(pixels[:64, :48], overlay(prediction.picture, prediction.heatmap))
    assert pixels[64:].max() == 255  # the words
    source = suspected.SourceImageSequence[0]
    assert source.ReferencedSOPInstanceUID == TWO_VIEWS[0].envelope.sop_uid


def test_structured_report_is_read_back_by_another_library() -> None:
    (dataset,) = answers(kinds=("sr",))
    report = highdicom.sr.srread(BytesIO(to_file(dataset)))
    (suspected,) = report.content.get_planar_roi_measurement_groups()
    assert suspected.finding_type.meaning == "Fracture of bone"
    figures = {item.name.meaning: item.value for item in suspected.get_measurements()}
    assert figures == {"Area": 400.0, "Probability of fracture": 0.9, "Decision threshold": 0.4}
    region = suspected.roi.value
    assert np.array_equal(region[:-1], SQUARE)
    assert np.array_equal(region[-1], SQUARE[0])
    (evaluations,) = (item for item in report.content[0].ContentSequence if named(item).startswith("Qual"))
    normal = evaluations.ContentSequence[0]
    assert (normal.name.meaning, normal.value.meaning) == ("Finding", "Normal")
    assert [(item.name.meaning, item.value) for item in normal.ContentSequence[:2]] == [
        ("Probability of fracture", 0.1),
        ("Decision threshold", 0.4),
    ]
    assert normal.ContentSequence[2].referenced_sop_instance_uid.endswith(".2")


def test_every_group_of_measurements_has_a_place_and_its_area_first() -> None:
    for report in (answers(kinds=("sr",))[0], answers(view(1, 0.9, SQUARE), kinds=("sr",))[0]):
        (measurements,) = [each for each in report.ContentSequence if named(each) == "Imaging Measurements"]
        for group in measurements.ContentSequence:
            kinds = [item.ValueType for item in group.ContentSequence]
            first = group.ContentSequence[kinds.index("NUM")]
            assert "SCOORD" in kinds
            assert (named(first), first.ContentSequence[0].ValueType) == ("Area", "SCOORD")


def test_report_without_a_region_measures_nothing() -> None:
    (report,) = answers(view(1, 0.1, None), kinds=("sr",))
    assert "Imaging Measurements" not in map(named, report.ContentSequence)


def named(item: Dataset) -> str:
    """Return what a content item is called."""
    return item.ConceptNameCodeSequence[0].CodeMeaning


def test_structured_report_names_the_model_and_says_that_it_is_no_diagnosis() -> None:
    (dataset,) = answers(kinds=("sr",))
    found = list(texts(dataset))
    assert NOTICE in found
    assert "toy" in found
    assert any(MODEL.hash in text for text in found)


def test_area_is_in_millimetres_only_where_the_spacing_is_calibrated() -> None:
    (dataset,) = answers(replace(TWO_VIEWS[0], spacing_mm=(0.5, 0.5)), kinds=("sr",))
    report = highdicom.sr.srread(BytesIO(to_file(dataset)))
    (group,) = report.content.get_planar_roi_measurement_groups()
    (area,) = (item for item in group.get_measurements() if item.name.meaning == "Area")
    assert (area.value, area.unit.value) == (100.0, "mm2")


def test_changed_answer_says_so() -> None:
    (report,) = answers(kinds=("sr",), version=2)
    assert any("late X-ray" in text for text in texts(report))
    (report,) = answers(kinds=("sr",), version=1)
    assert not any("late X-ray" in text for text in texts(report))


def test_document_is_a_pdf_that_names_patient_and_model(tmp_path: Path) -> None:
    (dataset,) = answers(kinds=("pdf",))
    path = tmp_path / "report.pdf"
    path.write_bytes(dataset.EncapsulatedDocument[: dataset.EncapsulatedDocumentLength])
    command = [require("pdftotext", "poppler-utils"), str(path), "-"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for words in ("Müller", "00-17/b", "toy 1.0", "Fracture Detected", NOTICE):
        assert words in re.sub(r"\s+", " ", text)
    references = [item.ReferencedSOPInstanceUID for item in dataset.SourceInstanceSequence]
    assert references == [each.envelope.sop_uid for each in TWO_VIEWS]


def test_presentation_state_outlines_in_pixels_of_the_picture_that_came() -> None:
    (dataset,) = answers(kinds=("gsps",))
    graphic = dataset.GraphicAnnotationSequence[0].GraphicObjectSequence[0]
    assert np.array_equal(np.reshape(graphic.GraphicData, (-1, 2))[:-1], SQUARE)
    area = dataset.DisplayedAreaSelectionSequence[0]
    assert list(area.DisplayedAreaBottomRightHandCorner) == [48, 64]
    assert dataset.PresentationLUTShape == "IDENTITY"


def test_pictures_that_are_held_no_longer_leave_the_figures() -> None:
    gone = tuple(replace(each, prediction=None) for each in TWO_VIEWS)
    assert [each.Modality for each in answers(*gone)] == ["SR", "PR"]
