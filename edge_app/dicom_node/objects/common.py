"""What every answer has: the patient and the study as they came, identifiers of its own, who made it."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from pydicom import config
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from edge_app.dicom_node.objects.subject import JudgedStudy, JudgedView, ModelFacts
from edge_app.imaging.dicom.envelope import IDENTITY

MAKER = "Fracture Edge"
# Required even where nothing is known: DICOM PS3.3, C.7.1.1 and C.7.2.1.
_MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex"),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
)
# What came is passed on as it came, even where it breaks a rule; pydicom's warnings would quote it.
config.settings.writing_validation_mode = config.IGNORE


def derived_uid(*parts: str) -> str:
    """Return a UID that is the same for the same parts, and another for others.

    Args:
        parts: What it stands for.

    Source:
        DICOM PS3.5, annex B.2: a UUID as a decimal number under 2.25.
    """
    digest = hashlib.sha256("\0".join(parts).encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def new_object(
    sop_class: UID, modality: str, kind: str, study: JudgedStudy, about: Sequence[JudgedView]
) -> Dataset:
    """Begin an answer.

    Args:
        sop_class: Its SOP class.
        modality: Its modality.
        kind: A word for this kind of answer; each kind is a series.
        study: What it is about.
        about: The views that it tells of.

    Returns:
        A data set with the modules that all answers share.
    """
    dataset = _identity(about[0])
    pictures = [f"{view.envelope.sop_uid} {view.digest.hex()}" for view in about]
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = derived_uid(kind, *study.model, *pictures)
    dataset.SeriesInstanceUID = derived_uid(kind, *study.model, about[0].envelope.study_uid)
    dataset.Modality = modality
    dataset.SeriesNumber = 9900
    dataset.InstanceNumber = 1
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = moment(study)
    dataset.SeriesDate, dataset.SeriesTime = moment(study)
    _add_equipment(dataset, study.model)
    _add_meta(dataset)
    return dataset


def to_file(dataset: Dataset) -> bytes:
    """Return an answer as a file's bytes, with an empty preamble."""
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def moment(study: JudgedStudy) -> tuple[str, str]:
    """Return the date and the time at which a study was judged, as DICOM writes them."""
    return study.judged_at.strftime("%Y%m%d"), study.judged_at.strftime("%H%M%S")


def code(value: str, scheme: str, meaning: str) -> Dataset:
    """Return a coded concept.

    Args:
        value: Its code.
        scheme: The scheme's designator.
        meaning: What it says.
    """
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def reference(view: JudgedView) -> Dataset:
    """Return what points to a picture."""
    item = Dataset()
    item.ReferencedSOPClassUID = view.envelope.sop_class_uid
    item.ReferencedSOPInstanceUID = view.envelope.sop_uid
    return item


def references_by_series(views: Sequence[JudgedView], keyword: str) -> list[Dataset]:
    """Return what points to pictures, an item for each series.

    Args:
        views: The pictures.
        keyword: Of the sequence that holds an item's pictures.
    """
    series: dict[str, list[Dataset]] = {}
    for view in views:
        series.setdefault(view.envelope.series_uid, []).append(reference(view))
    items = []
    for uid, references in series.items():
        item = Dataset()
        item.SeriesInstanceUID = uid
        setattr(item, keyword, references)
        items.append(item)
    return items


def _identity(view: JudgedView) -> Dataset:
    dataset = Dataset()
    for keyword in _MAY_BE_EMPTY:
        setattr(dataset, keyword, None)
    for keyword in IDENTITY:
        if keyword in view.envelope.identity:
            dataset[keyword] = view.envelope.identity[keyword]
    return dataset


def _add_equipment(dataset: Dataset, model: ModelFacts) -> None:
    """Say who made it.

    Source:
        DICOM PS3.3, C.7.5.1 and C.7.5.2.
    """
    dataset.Manufacturer = MAKER
    dataset.ManufacturerModelName = f"{MAKER} {model.name}"[:64]
    dataset.DeviceSerialNumber = model.hash[:64] or "unknown"
    dataset.SoftwareVersions = [app_version(), f"{model.version} {model.variant}"[:64]]


def app_version() -> str:
    """Return the app's version, where it is installed as a package, else that it runs from its source."""
    try:
        return version("fracture-edge")
    except PackageNotFoundError:
        return "source"


def _add_meta(dataset: Dataset) -> None:
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
