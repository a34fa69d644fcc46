"""Studies that whoever is at the page brings in from an archive, one after another."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from edge_app.arrivals import FiledStudy, Source
from edge_app.dicom_node.intake import Intake
from edge_app.errors import EdgeError, RequestRefused

if TYPE_CHECKING:
    from edge_app.dicom_node.web_archive import WebArchive

WADO = "WADO-RS"
PATIENCE_S = 600.0  # nobody's connection is kept open meanwhile
_UID = re.compile(r"[0-9.]{1,64}")


class Library:
    """Looks for studies and brings them in.

    Args:
        archive: Where they are.
        source: What pictures from there are told to come from.
        intake: Takes the pictures.
    """

    def __init__(self, archive: WebArchive, source: Source, intake: Intake) -> None:
        self._archive = archive
        self._source = source
        self._intake = intake
        self._worker = ThreadPoolExecutor(1, "library")

    def find(self, words: str) -> Sequence[FiledStudy]:
        """Look for a patient's studies; see `WebArchive.find`."""
        return self._archive.find(words)

    def bring_in(self, study_uid: str) -> None:
        """Let a study be brought in; what goes wrong is told as an incident.

        Args:
            study_uid: Its identifier.

        Raises:
            RequestRefused: this is no identifier.
        """
        if not _UID.fullmatch(study_uid):
            raise RequestRefused("Expected the Study Instance UID of a study in the archive.")
        self._worker.submit(self._fetch, study_uid)

    def close(self) -> None:
        """Begin no further study."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _fetch(self, study_uid: str) -> None:
        count = 0
        try:
            for data in self._archive.pictures(study_uid):
                self._take(data)
                count += 1
        except EdgeError as error:
            self._intake.note("not_brought_in", self._source, str(error))
        else:
            if not count:
                self._intake.note("nothing_brought_in", self._source, "The study holds no X-ray pictures.")

    def _take(self, data: bytes) -> None:
        try:
            self._intake.bring(data, self._source, PATIENCE_S)
        except EdgeError as error:  # the others of the study are as good as they were
            self._intake.note(error.code, self._source, str(error))
