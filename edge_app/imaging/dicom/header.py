"""What a DICOM file says about its picture, as facts that the app shows and groups by."""

from __future__ import annotations

from pydicom.dataset import Dataset

from edge_app.imaging.dicom.tags import contradiction, required_uid, value_of
from edge_app.imaging.picture import DicomHeader, Patient, Window

_CALIBRATED = ("GEOMETRY", "FIDUCIAL")
_LONGEST = 64


def read_header(dataset: Dataset, windows: tuple[Window, ...]) -> DicomHeader:
    """Read the facts.

    Args:
        dataset: The attributes.
        windows: Those that the header offers, in grey levels of the picture as displayed.

    Returns:
        The facts.

    Raises:
        TagError: an identifier is missing or cannot be, or two tags name different sides.
    """
    return DicomHeader(
        sop_class_uid=required_uid(dataset, "SOPClassUID"),
        sop_instance_uid=required_uid(dataset, "SOPInstanceUID"),
        study_uid=required_uid(dataset, "StudyInstanceUID"),
        series_uid=required_uid(dataset, "SeriesInstanceUID"),
        modality=_text(dataset, "Modality"),
        body_part=_text(dataset, "BodyPartExamined") or _meaning(dataset, "AnatomicRegionSequence"),
        view=_text(dataset, "ViewPosition") or _meaning(dataset, "ViewCodeSequence"),
        laterality=_laterality(dataset),
        study_date=_text(dataset, "StudyDate"),
        study_time=_text(dataset, "StudyTime"),
        accession_number=_text(dataset, "AccessionNumber"),
        study_id=_text(dataset, "StudyID"),
        spacing_mm=_calibrated_spacing_mm(dataset),
        windows=windows,
        patient=read_patient(dataset),
    )


def read_patient(dataset: Dataset) -> Patient:
    """Read who was X-rayed, as texts that can be shown.

    Args:
        dataset: The attributes.
    """
    return Patient(
        identifier=_text(dataset, "PatientID"),
        name=_text(dataset, "PatientName"),
        birth_date=_text(dataset, "PatientBirthDate"),
        sex=_text(dataset, "PatientSex"),
    )


def _text(dataset: Dataset, keyword: str) -> str:
    value = value_of(dataset, keyword)
    text = "" if value is None else str(value)
    return "".join(letter for letter in text if letter.isprintable()).strip()[:_LONGEST]


def _meaning(dataset: Dataset, keyword: str) -> str:
    sequence = value_of(dataset, keyword)
    return _text(sequence[0], "CodeMeaning") if sequence else ""


def _laterality(dataset: Dataset) -> str:
    """Return R, L, B, U or nothing.

    Source:
        DICOM PS3.3, C.7.3.1 and C.8.11.2.
    """
    image, series = _text(dataset, "ImageLaterality"), _text(dataset, "Laterality")
    if image and series and image != series:
        raise contradiction("ImageLaterality", "Laterality names another side")
    return image or series


def _calibrated_spacing_mm(dataset: Dataset) -> tuple[float, float] | None:
    """Return the pixel spacing only where it holds at the patient, not at the detector.

    Source:
        DICOM PS3.3, section 10.7.1.3: Pixel Spacing that equals Imager Pixel Spacing is not calibrated,
        and without either that or a calibration type its meaning is unknown.
    """
    spacing, at_detector = (
        value_of(dataset, keyword) for keyword in ("PixelSpacing", "ImagerPixelSpacing")
    )
    if spacing is None:
        return None
    is_calibrated = _text(dataset, "PixelSpacingCalibrationType") in _CALIBRATED
    differs = at_detector is not None and list(spacing) != list(at_detector)
    rows_mm, columns_mm = (float(distance) for distance in spacing)
    return (rows_mm, columns_mm) if is_calibrated or differs else None
