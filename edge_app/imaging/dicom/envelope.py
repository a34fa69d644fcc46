"""What a DICOM file says of itself, read before anybody looks at its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pydicom.dataset import Dataset

from edge_app.imaging.dicom.dataset import KEYWORDS, check_values, open_dataset, refusing_broken
from edge_app.imaging.dicom.header import read_patient
from edge_app.imaging.dicom.tags import check_kind, read_encoding, required_uid, value_of
from edge_app.imaging.images import MAX_PIXELS, MIN_SIDE_PX
from edge_app.imaging.picture import Patient

# What an answer has in common with the picture that it is about: DICOM PS3.3, C.7.1.1 and C.7.2.1.
IDENTITY = (
    *("SpecificCharacterSet", "PatientName", "PatientID", "IssuerOfPatientID"),
    *("PatientBirthDate", "PatientBirthTime", "PatientSex", "OtherPatientIDsSequence"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription"),
    *("AccessionNumber", "IssuerOfAccessionNumberSequence", "ReferringPhysicianName"),
)
# What says how its pixels are to be shown: C.11.1, C.11.2.
GREY_LEVELS = (
    *("PhotometricInterpretation", "RescaleSlope", "RescaleIntercept", "ModalityLUTSequence"),
    *("WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence"),
)
_READ = tuple({*KEYWORDS, *IDENTITY} - {"PixelData"})


@dataclass(frozen=True)
class Envelope:
    """Which picture this is, and whose.

    `identity` and `grey_levels` hold the attributes of `IDENTITY` and of `GREY_LEVELS` as they came.
    """

    sop_class_uid: str
    sop_uid: str
    series_uid: str
    study_uid: str
    patient: Patient
    identity: Dataset
    grey_levels: Dataset


def read_envelope(data: bytes, max_pixels: int = MAX_PIXELS, min_side_px: int = MIN_SIDE_PX) -> Envelope:
    """Read which picture a DICOM file holds, and refuse what could not be judged anyway.

    Args:
        data: The file's bytes.
        max_pixels: The largest rows times columns that is decoded.
        min_side_px: The fewest rows or columns.

    Returns:
        The envelope.

    Raises:
        ImageError: the file holds no picture that is read, or contradicts itself; the message says why.
    """
    with refusing_broken():
        dataset, _, file_sop_class = open_dataset(data, _READ)
        check_kind(dataset, file_sop_class)
        check_values(dataset)
        read_encoding(dataset, max_pixels, min_side_px)
        return Envelope(
            sop_class_uid=required_uid(dataset, "SOPClassUID"),
            sop_uid=required_uid(dataset, "SOPInstanceUID"),
            series_uid=required_uid(dataset, "SeriesInstanceUID"),
            study_uid=required_uid(dataset, "StudyInstanceUID"),
            patient=read_patient(dataset),
            identity=_part(dataset, IDENTITY),
            grey_levels=_part(dataset, GREY_LEVELS),
        )


def _part(dataset: Dataset, keywords: Sequence[str]) -> Dataset:
    part = Dataset()
    for keyword in keywords:
        if value_of(dataset, keyword) is not None:
            part[keyword] = dataset[keyword]
    return part
