"""A study to an encapsulated PDF: the report that the page gives, in English."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import EncapsulatedPDFStorage

from edge_app.dicom_node.objects.common import code, new_object, references_by_series
from edge_app.dicom_node.objects.subject import JudgedStudy
from edge_app.reports.document import to_pdf
from edge_app.reports.wording import ENGLISH, joint_facts, view_in, words_in

KIND = "pdf"


def to_document(study: JudgedStudy) -> Dataset:
    """Make the report as a DICOM object.

    Args:
        study: The study; at least one of its pictures must be held.

    Returns:
        An encapsulated PDF.

    Source:
        DICOM PS3.3, A.45.1 and C.24.2.
    """
    dataset = new_object(EncapsulatedPDFStorage, "DOC", KIND, study, study.views)
    dataset.SeriesDescription = "Fracture Edge: report"
    dataset.SeriesNumber = 9903
    dataset.Laterality = None
    dataset.ConversionType = "WSD"
    dataset.BurnedInAnnotation = "YES"
    dataset.DocumentTitle = "Fracture Edge: report"
    dataset.ConceptNameCodeSequence = [code("18748-4", "LN", "Diagnostic imaging report")]
    dataset.ContentDate = dataset.InstanceCreationDate
    dataset.ContentTime = dataset.InstanceCreationTime
    dataset.AcquisitionDateTime = None
    dataset.SourceInstanceSequence = [
        item
        for series in references_by_series(study.views, "ReferencedSOPSequence")
        for item in series.ReferencedSOPSequence
    ]
    _add_document(dataset, pdf_of(study))
    return dataset


def pdf_of(study: JudgedStudy) -> bytes:
    """Return the report's PDF, with the patient as a person reads it."""
    patient = study.views[0].envelope.patient
    told = (patient.name.replace("^", " ").strip(), patient.identifier, patient.birth_date)
    predictions = [view.prediction for view in study.views if view.prediction is not None]
    facts = [
        ("Patient", ", ".join(part for part in told if part)),
        ("Time", study.judged_at.isoformat(" ", "minutes")),
        ("Model", str(study.model)),
        *joint_facts(predictions, ENGLISH),
    ]
    if study.version > 1:
        facts.append(("Changed", f"a late X-ray came; this is answer {study.version} to this study"))
    return to_pdf([view_in(prediction, ENGLISH) for prediction in predictions], facts, words_in(ENGLISH))


def _add_document(dataset: Dataset, pdf: bytes) -> None:
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)
