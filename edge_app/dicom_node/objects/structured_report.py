"""A study to a Comprehensive 3D SR after TID 1500: finding, probability, threshold, model, region."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pydicom.dataset import Dataset
from pydicom.uid import Comprehensive3DSRStorage

from edge_app.dicom_node.objects.common import (
    MAKER,
    app_version,
    code,
    derived_uid,
    new_object,
    reference,
    references_by_series,
)
from edge_app.dicom_node.objects.subject import NOTICE, JudgedStudy, JudgedView, in_words
from edge_app.imaging.region import area_px
from edge_app.predictor import FRACTURE, Answer

KIND = "sr"
OWN_SCHEME = "99FRACTUREEDGE"
_NO_UNITS = code("1", "UCUM", "no units")


def to_structured_report(study: JudgedStudy) -> Dataset:
    """Make the report that programs read.

    Args:
        study: The study.

    Returns:
        A Comprehensive 3D SR.

    Source:
        DICOM PS3.3, A.35.13 and C.17; PS3.16, TID 1500, 1001, 1204, 1410, 1419, 1501, 4019.
    """
    dataset = new_object(Comprehensive3DSRStorage, "SR", KIND, study, study.views)
    dataset.SeriesDescription = "Fracture Edge: structured report"
    dataset.SeriesNumber = 9902
    dataset.ContentDate = dataset.InstanceCreationDate
    dataset.ContentTime = dataset.InstanceCreationTime
    dataset.CompletionFlag, dataset.VerificationFlag = "COMPLETE", "UNVERIFIED"
    dataset.PerformedProcedureCodeSequence = []
    dataset.ReferencedPerformedProcedureStepSequence = []
    evidence = Dataset()
    evidence.StudyInstanceUID = study.views[0].envelope.study_uid
    evidence.ReferencedSeriesSequence = references_by_series(study.views, "ReferencedSOPSequence")
    dataset.CurrentRequestedProcedureEvidenceSequence = [evidence]
    dataset.update(_container("", ("126000", "DCM", "Imaging Measurement Report"), _content(study), "1500"))
    return dataset


def _content(study: JudgedStudy) -> Iterator[Dataset]:
    """Yield what stands beneath the root, in TID 1500's order."""
    yield _coded(
        "HAS CONCEPT MOD",
        ("121049", "DCM", "Language of Content Item and Descendants"),
        ("en", "RFC5646", "English"),
    )
    yield from _observer(study)
    yield _coded(
        "HAS CONCEPT MOD",
        ("121058", "DCM", "Procedure reported"),
        ("168537006", "SCT", "Plain radiography"),
    )
    groups = [_group(study, view, number) for number, view in enumerate(study.views, start=1)]
    yield _container("CONTAINS", ("126010", "DCM", "Imaging Measurements"), groups)
    yield _container("CONTAINS", ("C0034375", "UMLS", "Qualitative Evaluations"), list(_evaluations(study)))


def _observer(study: JudgedStudy) -> Iterator[Dataset]:
    """Yield who observed: this program. Source: TID 1001, 1002 and 1004."""
    observer = derived_uid("device", *study.model)
    yield _coded("HAS OBS CONTEXT", ("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device"))
    yield _uid("HAS OBS CONTEXT", ("121012", "DCM", "Device Observer UID"), observer)
    for value, meaning, text in (
        ("121013", "Device Observer Name", MAKER),
        ("121014", "Device Observer Manufacturer", MAKER),
        ("121015", "Device Observer Model Name", study.model.name),
        ("121016", "Device Observer Serial Number", study.model.hash or "unknown"),
    ):
        yield _text("HAS OBS CONTEXT", (value, "DCM", meaning), text)


def _group(study: JudgedStudy, view: JudgedView, number: int) -> Dataset:
    """Return the measurements of a view: of its region (TID 1410), or of the whole picture (TID 1501)."""
    tracked = derived_uid("region", *study.model, view.envelope.sop_uid, view.digest.hex())
    content = [
        _text("HAS OBS CONTEXT", ("112039", "DCM", "Tracking Identifier"), f"{MAKER} {number}"),
        _uid("HAS OBS CONTEXT", ("112040", "DCM", "Tracking Unique Identifier"), tracked),
        _coded("CONTAINS", ("121071", "DCM", "Finding"), _finding(view.answer)),
        *_algorithm(study),
        *_place(view),
        *_measurements(view),
    ]
    template = "1501" if view.outline is None else "1410"
    return _container("CONTAINS", ("125007", "DCM", "Measurement Group"), content, template)


def _finding(answer: Answer) -> tuple[str, str, str]:
    if answer.is_uncertain:
        return "82334004", "SCT", "Indeterminate"
    if answer.prediction == FRACTURE:
        return "125605004", "SCT", "Fracture of bone"
    return "17621005", "SCT", "Normal"


def _algorithm(study: JudgedStudy) -> Iterator[Dataset]:
    """Yield which algorithm measured. Source: TID 4019."""
    model = study.model
    yield _text("HAS CONCEPT MOD", ("111001", "DCM", "Algorithm Name"), model.name)
    version = f"{model.version}, {model.variant}, {MAKER} {app_version()}"
    yield _text("HAS CONCEPT MOD", ("111003", "DCM", "Algorithm Version"), version)
    yield _text("HAS CONCEPT MOD", ("111002", "DCM", "Algorithm Parameters"), f"SHA-256 {model.hash}")


def _place(view: JudgedView) -> Iterator[Dataset]:
    """Yield where in the picture it was measured."""
    if view.outline is None:
        yield _image("CONTAINS", view, ("121112", "DCM", "Source of Measurement"))
        return
    region = _item("CONTAINS", "SCOORD", ("111030", "DCM", "Image Region"))
    region.GraphicType = "POLYLINE"
    closed = [*view.outline.tolist(), view.outline[0].tolist()]
    region.GraphicData = [coordinate for point in closed for coordinate in point]
    region.ContentSequence = [_image("SELECTED FROM", view)]
    yield region


def _measurements(view: JudgedView) -> Iterator[Dataset]:
    answer = view.answer
    yield _number(
        (f"{KIND}-probability", OWN_SCHEME, "Probability of fracture"), answer.probability, _NO_UNITS
    )
    yield _number((f"{KIND}-threshold", OWN_SCHEME, "Decision threshold"), answer.threshold, _NO_UNITS)
    if view.outline is None:
        return
    area, area_name = area_px(view.outline), ("42798000", "SCT", "Area")
    if view.spacing_mm is None:
        yield _number(area_name, area, code("{pixels}", "UCUM", "pixels"))
    else:
        row_mm, column_mm = view.spacing_mm
        yield _number(area_name, area * row_mm * column_mm, code("mm2", "UCUM", "square millimeter"))


def _evaluations(study: JudgedStudy) -> Iterator[Dataset]:
    """Yield what holds for the study as a whole, for people."""
    answer, comment = study.answer, ("121106", "DCM", "Comment")
    figures = f"probability {answer.probability:.3f}, threshold {answer.threshold:.3f}"
    yield _text("CONTAINS", comment, f"Study: {in_words(answer)} ({figures}).")
    if study.version > 1:
        yield _text(
            "CONTAINS", comment, f"Changed: a late X-ray came; answer {study.version} to this study."
        )
    yield _text("CONTAINS", comment, NOTICE)


def _item(relation: str, kind: str, name: tuple[str, str, str] | None) -> Dataset:
    """Return a content item. Source: PS3.3, C.17.3."""
    item = Dataset()
    if relation:
        item.RelationshipType = relation
    item.ValueType = kind
    if name is not None:
        item.ConceptNameCodeSequence = [code(*name)]
    return item


def _container(
    relation: str,
    name: tuple[str, str, str],
    content: Sequence[Dataset] | Iterator[Dataset],
    template: str = "",
) -> Dataset:
    item = _item(relation, "CONTAINER", name)
    item.ContinuityOfContent = "SEPARATE"
    if template:
        used = Dataset()
        used.MappingResource, used.TemplateIdentifier = "DCMR", template
        item.ContentTemplateSequence = [used]
    item.ContentSequence = list(content)
    return item


def _coded(relation: str, name: tuple[str, str, str], value: tuple[str, str, str]) -> Dataset:
    item = _item(relation, "CODE", name)
    item.ConceptCodeSequence = [code(*value)]
    return item


def _text(relation: str, name: tuple[str, str, str], text: str) -> Dataset:
    item = _item(relation, "TEXT", name)
    item.TextValue = text
    return item


def _uid(relation: str, name: tuple[str, str, str], uid: str) -> Dataset:
    item = _item(relation, "UIDREF", name)
    item.UID = uid
    return item


def _number(name: tuple[str, str, str], value: float, unit: Dataset) -> Dataset:
    item = _item("CONTAINS", "NUM", name)
    measured = Dataset()
    measured.NumericValue = f"{value:.6g}"
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = [unit]
    item.MeasuredValueSequence = [measured]
    return item


def _image(relation: str, view: JudgedView, name: tuple[str, str, str] | None = None) -> Dataset:
    item = _item(relation, "IMAGE", name)
    item.ReferencedSOPSequence = [reference(view)]
    return item
