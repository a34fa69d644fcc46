"""What a sender is told of a refused picture, in DICOM's numbers."""

from __future__ import annotations

from typing import Any

from edge_app.errors import (
    DuplicateInstance,
    EdgeError,
    ImageError,
    ImageTooLarge,
    InvalidImage,
    MislabelledInstance,
    NoRoom,
    OtherPatient,
)

# Source: DICOM PS3.4, table B.2-1; PS3.7, annex C; PS3.18, table 10.5.3-2 takes the same numbers.
STATUS_OF: dict[type[Any], int] = {
    DuplicateInstance: 0x0111,  # Duplicate SOP Instance
    NoRoom: 0xA700,  # Refused: out of resources
    ImageTooLarge: 0xA700,
    MislabelledInstance: 0xA900,  # Data set does not match SOP class
    ImageError: 0xA900,
    InvalidImage: 0xC000,  # Cannot understand
    OtherPatient: 0xC100,
}
_PROCESSING_FAILURE = 0x0110


def status_of(error: EdgeError) -> int:
    """Return the status of an error's kind, or of the nearest kind above it."""
    return next((STATUS_OF[kind] for kind in type(error).__mro__ if kind in STATUS_OF), _PROCESSING_FAILURE)
