"""What decoding gives: a grey picture, and what its file's header says about it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Window(NamedTuple):
    """A range of grey levels to spread from black to white.

    `centre` and `width` count in grey levels of the picture as displayed (0..255), and may lie beyond
    them; `name` is the header's own word for it, or empty.
    """

    centre: float
    width: float
    name: str = ""


@dataclass(frozen=True)
class Patient:
    """Who was X-rayed, as a DICOM header says it; what it does not say is empty.

    Used to tell patients apart, and in a report only when a person asks for it. Never logged.
    """

    identifier: str = ""
    name: str = ""
    birth_date: str = ""
    sex: str = ""


@dataclass(frozen=True)
class DicomHeader:
    """What a DICOM file says about its picture; what it does not say is empty or None.

    `spacing_mm` is the distance of rows and of columns in mm, told only where the header says that it is
    calibrated at the patient. `windows` start with the one that the picture is displayed in.

    Source:
        DICOM PS3.3, C.7.1.1, C.7.2.1, C.7.3.1, C.8.11.1 and C.11.2.
    """

    sop_class_uid: str
    sop_instance_uid: str
    study_uid: str
    series_uid: str
    modality: str
    body_part: str = ""
    view: str = ""
    laterality: str = ""
    study_date: str = ""
    study_time: str = ""
    accession_number: str = ""
    study_id: str = ""
    spacing_mm: tuple[float, float] | None = None
    windows: tuple[Window, ...] = ()
    patient: Patient = field(default_factory=Patient)


@dataclass(frozen=True)
class Picture:
    """A decoded picture: `pixels` is uint8 (H, W), grey, as displayed (0 is black).

    `is_coloured` tells that the file showed colours, which an X-ray does not have.
    """

    pixels: NDArray[np.uint8]
    header: DicomHeader | None = None
    is_coloured: bool = False
