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
# By this label OHIF takes an outline over as one of its own measurements, which can then be corrected.
OUTLINE_LABEL = "Cornerstone3DTools@^0.1.0:PlanarFreehandROI"
_COMMENT = ("121106", "DCM", "Comment")
_NO_UNITS = code("1", "UCUM", "no units")


def to_structured_report(study: JudgedStudy) -> Dataset:
    """Make the report that programs read.

    Args:
        study: The study.

    Returns:
        A Comprehensive 3D SR. Views with an outline are measurement groups, the others evaluations: OHIF
        shows nothing of a report in which any group has no place.

    Source:
        DICOM PS3.3, A.35.13 and C.17; PS3.16, TID 1500, 1001, 1204, 1410, 1419, 4019.
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
    groups = [_group(study, view) for view in study.views if view.outline is not None]
    if groups:
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


def _group(study: JudgedStudy, view: JudgedView) -> Dataset:
    """Return the measurements of a view's region. Source: TID 1410."""
    tracked = derived_uid("region", *study.model, view.envelope.sop_uid, view.digest.hex())
    content = [
        _text("HAS OBS CONTEXT", ("112039", "DCM", "Tracking Identifier"), OUTLINE_LABEL),
        _uid("HAS OBS CONTEXT", ("112040", "DCM", "Tracking Unique Identifier"), tracked),
        _finding(view.answer),
        *_algorithm(study),
        _region("CONTAINS", view, ("111030", "DCM", "Image Region")),
        _area(view),
        *_figures("CONTAINS", view.answer),
        _text("CONTAINS", _COMMENT, f"{in_words(view.answer)} ({_in_figures(view.answer)}). {NOTICE}"),
    ]
    return _container("CONTAINS", ("125007", "DCM", "Measurement Group"), content, "1410")


def _evaluation(view: JudgedView) -> Dataset:
    """Return what was found in a view without a region."""
    item = _finding(view.answer)
    item.ContentSequence = [*_figures("HAS PROPERTIES", view.answer), _image("INFERRED FROM", view)]
    return item


def _finding(answer: Answer) -> Dataset:
    return _coded("CONTAINS", ("121071", "DCM", "Finding"), _finding_code(answer))


def _finding_code(answer: Answer) -> tuple[str, str, str]:
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


def _region(relation: str, view: JudgedView, name: tuple[str, str, str] | None = None) -> Dataset:
    """Return where in the picture it was measured."""
    assert view.outline is not None
    region = _item(relation, "SCOORD", name)
    region.GraphicType = "POLYLINE"
    closed = [*view.outline.tolist(), view.outline[0].tolist()]
    region.GraphicData = [coordinate for point in closed for coordinate in point]
    region.ContentSequence = [_image("SELECTED FROM", view)]
    return region


def _area(view: JudgedView) -> Dataset:
    """Return a region's area, which is a group's first number since OHIF takes the first for it."""
    assert view.outline is not None
    area, name = area_px(view.outline), ("42798000", "SCT", "Area")
    if view.spacing_mm is None:
        item = _number("CONTAINS", name, area, code("{pixels}", "UCUM", "pixels"))
    else:
        row_mm, column_mm = view.spacing_mm
        item = _number(
            "CONTAINS", name, area * row_mm * column_mm, code("mm2", "UCUM", "square millimeter")
        )
    item.ContentSequence = [_region("INFERRED FROM", view)]
    return item


def _figures(relation: str, answer: Answer) -> Iterator[Dataset]:
    probability = (f"{KIND}-probability", OWN_SCHEME, "Probability of fracture")
    yield _number(relation, probability, answer.probability, _NO_UNITS)
    threshold = (f"{KIND}-threshold", OWN_SCHEME, "Decision threshold")
    yield _number(relation, threshold, answer.threshold, _NO_UNITS)


def _evaluations(study: JudgedStudy) -> Iterator[Dataset]:
    """Yield what was found in views without a region, and for people what holds for the whole study."""
    yield from (_evaluation(view) for view in study.views if view.outline is None)
    yield _text("CONTAINS", _COMMENT, f"Study: {in_words(study.answer)} ({_in_figures(study.answer)}).")
    if study.version > 1:
        changed = f"Changed: a late X-ray came; answer {study.version} to this study."
        yield _text("CONTAINS", _COMMENT, changed)
    yield _text("CONTAINS", _COMMENT, NOTICE)


def _in_figures(answer: Answer) -> str:
    return f"probability {answer.probability:.3f}, threshold {answer.threshold:.3f}"


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


def _number(relation: str, name: tuple[str, str, str], value: float, unit: Dataset) -> Dataset:
    item = _item(relation, "NUM", name)
    measured = Dataset()
    measured.NumericValue = f"{value:.6g}"
    measured.FloatingPointValue = value
    measured.MeasurementUnitsCodeSequence = [unit]
    item.MeasuredValueSequence = [measured]
    return item


def _image(relation: str, view: JudgedView) -> Dataset:
    item = _item(relation, "IMAGE", None)
    item.ReferencedSOPSequence = [reference(view)]
    return item
