from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydicom.dataset import Dataset

from edge_app.imaging.decode import decode
from edge_app.imaging.picture import Patient, Window
from export.proof.drawn import draw_xray
from tests.dicom_files import xray_file


def code(meaning: str) -> list[Dataset]:
    item = Dataset()
    item.CodeMeaning = meaning
    return [item]


def header_of(**attributes: Any) -> Any:
    return decode(xray_file(draw_xray(1), **attributes)).header


def test_facts_are_read() -> None:
    header = header_of(
        BodyPartExamined="HAND", ViewPosition="PA", ImageLaterality="L", StudyDate="20260102", StudyID="7"
    )
    assert (header.modality, header.body_part, header.view, header.laterality) == ("DX", "HAND", "PA", "L")
    assert (header.study_date, header.study_id, header.accession_number) == ("20260102", "7", "")


def test_codes_stand_in_for_words() -> None:
    header = header_of(AnatomicRegionSequence=code("Wrist joint"), ViewCodeSequence=code("lateral"))
    assert (header.body_part, header.view) == ("Wrist joint", "lateral")


def test_patient_is_read_in_any_script() -> None:
    header = header_of(
        SpecificCharacterSet="ISO_IR 192", PatientName="দাস^রিতা", PatientBirthDate="19900101", PatientSex="F"
    )
    assert header.patient == Patient("drawn", "দাস^রিতা", "19900101", "F")


@pytest.mark.parametrize(
    ("attributes", "spacing"),
    [
        ({}, None),
        ({"PixelSpacing": [0.1, 0.1]}, None),
        ({"ImagerPixelSpacing": [0.1, 0.1]}, None),
        ({"PixelSpacing": [0.1, 0.1], "ImagerPixelSpacing": [0.1, 0.1]}, None),
        ({"PixelSpacing": [0.09, 0.09], "ImagerPixelSpacing": [0.1, 0.1]}, (0.09, 0.09)),
        ({"PixelSpacing": [0.1, 0.1], "PixelSpacingCalibrationType": "FIDUCIAL"}, (0.1, 0.1)),
    ],
)
def test_spacing_is_told_only_where_it_is_calibrated(
    attributes: dict[str, Any], spacing: tuple[float, float] | None
) -> None:
    assert header_of(**attributes).spacing_mm == spacing


def test_windows_are_counted_in_levels_of_the_displayed_picture() -> None:
    attributes = {
        "WindowCenter": [100, 150],
        "WindowWidth": [200, 50],
        "WindowCenterWidthExplanation": ["soft", "bone"],
    }
    assert header_of(**attributes).windows == (Window(127.5, 255, "soft"), Window(191.25, 63.75, "bone"))
    inverted = header_of(**attributes, PhotometricInterpretation="MONOCHROME1")
    assert inverted.windows[1] == Window(63.75, 63.75, "bone")


@pytest.mark.parametrize(
    ("photometric", "padding"), [("MONOCHROME2", 4000), ("MONOCHROME1", 0), ("MONOCHROME1", 4000)]
)
def test_padding_is_black_and_does_not_set_the_window(photometric: str, padding: int) -> None:
    plain = draw_xray(1).astype(np.uint16) * 4 + 8
    padded = plain.copy()
    padded[:, :100] = padding
    shown = decode(xray_file(padded, 12, PhotometricInterpretation=photometric, PixelPaddingValue=padding))
    expected = decode(xray_file(plain[:, 100:].copy(), 12, PhotometricInterpretation=photometric))
    assert shown.pixels[:, :100].max() == 0
    np.testing.assert_array_equal(shown.pixels[:, 100:], expected.pixels)


def test_padding_range_is_black() -> None:
    pixels = draw_xray(1).copy()
    pixels[:10], pixels[10:20] = 250, 255
    shown = decode(xray_file(pixels, PixelPaddingValue=255, PixelPaddingRangeLimit=250)).pixels
    assert shown[:20].max() == 0
    np.testing.assert_array_equal(shown[20:], np.where(pixels[20:] >= 250, 0, pixels[20:]))


def test_padding_of_signed_values_lies_outside_the_stored_bits() -> None:
    pixels = (draw_xray(1).astype(np.int16) - 128) * 8
    pixels[:10] = -32768
    shown = decode(xray_file(pixels, 12, PixelPaddingValue=-32768, WindowCenter=0, WindowWidth=2048)).pixels
    assert shown[:10].max() == 0
    assert shown[10:].max() > 200
