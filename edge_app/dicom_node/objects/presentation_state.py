"""A view to a Grayscale Softcopy Presentation State: the outline over the archive's own picture."""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.uid import GrayscaleSoftcopyPresentationStateStorage

from edge_app.dicom_node.objects.common import new_object, reference, references_by_series
from edge_app.dicom_node.objects.subject import NOTICE, JudgedStudy, JudgedView, in_words
from edge_app.imaging.dicom.tags import SHAPE_OF, value_of

KIND = "gsps"
_LAYER = "FRACTUREEDGE"
_WINDOW = (
    "WindowCenter",
    "WindowWidth",
    "WindowCenterWidthExplanation",
    "VOILUTFunction",
    "VOILUTSequence",
)


def to_presentation_state(study: JudgedStudy, view: JudgedView) -> Dataset:
    """Make the state.

    Args:
        study: The study.
        view: One of its views, with an outline.

    Returns:
        A presentation state that shows the picture as it came, with the outline and the answer.

    Source:
        DICOM PS3.3, A.33.1 and C.10, C.11.8, C.11.9.
    """
    dataset = new_object(GrayscaleSoftcopyPresentationStateStorage, "PR", KIND, study, [view])
    dataset.SeriesDescription = "Fracture Edge: outlines"
    dataset.SeriesNumber = 9904
    dataset.Laterality = None
    dataset.ContentLabel = "FRACTURE_EDGE"
    dataset.ContentDescription = f"{in_words(view.answer)}. {NOTICE}"
    dataset.ContentCreatorName = None
    dataset.PresentationCreationDate = dataset.InstanceCreationDate
    dataset.PresentationCreationTime = dataset.InstanceCreationTime
    dataset.ReferencedSeriesSequence = references_by_series([view], "ReferencedImageSequence")
    dataset.DisplayedAreaSelectionSequence = [_whole_picture(view)]
    _add_annotation(dataset, view)
    _add_grey_levels(dataset, view)
    return dataset


def _whole_picture(view: JudgedView) -> Dataset:
    height, width = view.size_px
    area = Dataset()
    area.DisplayedAreaTopLeftHandCorner, area.DisplayedAreaBottomRightHandCorner = [1, 1], [width, height]
    area.PresentationSizeMode = "SCALE TO FIT"
    area.PresentationPixelAspectRatio = [1, 1]
    return area


def _add_annotation(dataset: Dataset, view: JudgedView) -> None:
    layer = Dataset()
    layer.GraphicLayer, layer.GraphicLayerOrder = _LAYER, 1
    dataset.GraphicLayerSequence = [layer]
    annotation = Dataset()
    annotation.GraphicLayer = _LAYER
    annotation.ReferencedImageSequence = [reference(view)]
    annotation.GraphicObjectSequence = [_outline(view)]
    annotation.TextObjectSequence = [_words(view)]
    dataset.GraphicAnnotationSequence = [annotation]


def _outline(view: JudgedView) -> Dataset:
    assert view.outline is not None
    closed = [*view.outline.tolist(), view.outline[0].tolist()]
    graphic = Dataset()
    graphic.GraphicAnnotationUnits, graphic.GraphicDimensions = "PIXEL", 2
    graphic.NumberOfGraphicPoints = len(closed)
    graphic.GraphicData = [coordinate for point in closed for coordinate in point]
    graphic.GraphicType, graphic.GraphicFilled = "POLYLINE", "N"
    return graphic


def _words(view: JudgedView) -> Dataset:
    text = Dataset()
    text.AnchorPointAnnotationUnits, text.AnchorPointVisibility = "DISPLAY", "N"
    text.AnchorPoint = [0.02, 0.05]
    answer = view.answer
    text.UnformattedTextValue = f"{in_words(answer)}: probability {answer.probability:.0%}\r\n{NOTICE}"
    return text


def _add_grey_levels(dataset: Dataset, view: JudgedView) -> None:
    """Show the picture as its own header asks; a state that says nothing would show all levels."""
    source = view.envelope.grey_levels
    slope = value_of(source, "RescaleSlope")
    if value_of(source, "ModalityLUTSequence") is not None:
        dataset["ModalityLUTSequence"] = source["ModalityLUTSequence"]
    elif slope is not None:
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, source.RescaleIntercept
        dataset.RescaleType = "US"
    window = Dataset()
    for keyword in _WINDOW:
        if value_of(source, keyword) is not None:
            window[keyword] = source[keyword]
    if window:
        dataset.SoftcopyVOILUTSequence = [window]
    dataset.PresentationLUTShape = SHAPE_OF[source.PhotometricInterpretation]
