"""What is accepted over the network: what `edge_app.imaging.dicom` reads, and nothing else."""

from __future__ import annotations

from pydicom.uid import (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    SecondaryCaptureImageStorage,
    XRayAngiographicImageStorage,
    XRayRadiofluoroscopicImageStorage,
)
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from edge_app.imaging.dicom.stored import SYNTAXES

STORAGE_CLASSES = (
    ComputedRadiographyImageStorage,
    DigitalXRayImageStorageForPresentation,
    DigitalXRayImageStorageForProcessing,
    XRayRadiofluoroscopicImageStorage,
    XRayAngiographicImageStorage,
    SecondaryCaptureImageStorage,
)


def accepted_contexts() -> list[PresentationContext]:
    """Return what is offered to a node that calls: verification, and storage of X-ray pictures."""
    storage = [build_context(sop_class, list(SYNTAXES)) for sop_class in STORAGE_CLASSES]
    return [build_context(Verification), *storage]
