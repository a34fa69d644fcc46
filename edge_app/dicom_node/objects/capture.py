"""A view to a Secondary Capture: the X-ray with its heat map and outline, the words beneath it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import SecondaryCaptureImageStorage

from edge_app.dicom_node.objects.common import code, new_object, reference
from edge_app.dicom_node.objects.subject import NOTICE, JudgedStudy, JudgedView, in_words
from edge_app.imaging.overlay import overlay
from edge_app.predictor import Prediction

KIND = "sc"
_WHITE, _CYAN = (255, 255, 255), (0, 255, 255)
_FONT = cv2.FONT_HERSHEY_SIMPLEX
_NARROWEST_PX = 480  # in which a line of words can be read


def to_capture(study: JudgedStudy, view: JudgedView, prediction: Prediction) -> Dataset:
    """Make the picture that every viewer shows.

    Args:
        study: The study.
        view: One of its views.
        prediction: What the model found in it.

    Returns:
        A Secondary Capture in colour.

    Source:
        DICOM PS3.3, A.8.1 and C.8.6.
    """
    dataset = new_object(SecondaryCaptureImageStorage, "OT", KIND, study, [view])
    dataset.SeriesDescription = "Fracture Edge: heat map"
    dataset.SeriesNumber = 9901
    dataset.ConversionType = "WSD"
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    dataset.PatientOrientation = None
    dataset.Laterality = None
    dataset.BurnedInAnnotation = "NO"  # words, but none that tells who the patient is
    dataset.DerivationDescription = f"{in_words(view.answer)}. {NOTICE}"
    source = reference(view)
    source.PurposeOfReferenceCodeSequence = [
        code("121322", "DCM", "Source image for image processing operation")
    ]
    dataset.SourceImageSequence = [source]
    _add_pixels(dataset, with_words(prediction, view, study))
    return dataset


def with_words(prediction: Prediction, view: JudgedView, study: JudgedStudy) -> NDArray[np.uint8]:
    """Draw what the capture shows.

    Args:
        prediction: With the picture and the heat map.
        view: With the outline and the answer.
        study: For the model's name.

    Returns:
        uint8 (H, W, 3), RGB; the X-ray is on top, nothing covers it but its heat map and outline.
    """
    picture = overlay(prediction.picture, prediction.heatmap)
    if view.outline is not None:
        scale = np.float32(picture.shape[1] / view.size_px[1])
        points = np.round(view.outline * scale).astype(np.int32)
        cv2.polylines(picture, [points], True, _CYAN, max(1, picture.shape[1] // 400), cv2.LINE_AA)
    answer = view.answer
    lines = [
        f"{in_words(answer)}: probability {answer.probability:.0%}, threshold {answer.threshold:.0%}",
        f"{study.model.name} {study.model.version}",
        NOTICE,
    ]
    return np.concatenate([_widened(picture), _strip(lines, max(picture.shape[1], _NARROWEST_PX))])


def _widened(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    missing_px = max(0, _NARROWEST_PX - picture.shape[1])
    return np.pad(picture, ((0, 0), (0, missing_px), (0, 0)))


def _strip(lines: list[str], width_px: int) -> NDArray[np.uint8]:
    """Write white lines on black, as large as the longest of them lets."""
    widest = max(cv2.getTextSize(line, _FONT, 1.0, 2)[0][0] for line in lines)
    scale = min(1.2, 0.94 * width_px / widest)
    step_px = round(42 * scale)
    strip = np.zeros((step_px * len(lines) + step_px // 2, width_px, 3), np.uint8)
    for number, line in enumerate(lines, start=1):
        place = (round(0.03 * width_px), number * step_px)
        cv2.putText(strip, line, place, _FONT, scale, _WHITE, max(1, round(2 * scale)), cv2.LINE_AA)
    return strip


def _add_pixels(dataset: Dataset, pixels: NDArray[np.uint8]) -> None:
    """Add the Image Pixel module.

    Source:
        DICOM PS3.3, C.7.6.3.
    """
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = pixels.shape
    dataset.PhotometricInterpretation, dataset.PlanarConfiguration = "RGB", 0
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelRepresentation = 0
    data = pixels.tobytes()
    dataset.PixelData = data + b"\0" * (len(data) % 2)
    dataset["PixelData"].VR = "OB"
