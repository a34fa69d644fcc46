"""An archive, however it is called: by DICOM's own network, or by DICOMweb."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from pydicom.dataset import Dataset

from edge_app.dicom_node.peers import DicomArchive
from edge_app.dicom_node.tls import calling_context
from edge_app.node_settings import Peer, TlsFiles, WebAddress
from edge_app.settings import Settings


class Archive(Protocol):
    """Who gets the answers; `str` gives its name."""

    def check(self) -> None:
        """Ask whether it is there and lets this computer in; raises PeerError where not."""

    def send(self, objects: Iterable[Dataset]) -> Iterator[str]:
        """Send objects; yields the SOP Instance UID of each that was taken, raises PeerError."""


def open_archive(
    own_title: str, place: Peer | WebAddress, settings: Settings, tls: TlsFiles | None = None
) -> Archive:
    """Return what calls an archive; nothing is called yet.

    Args:
        own_title: This node's AE title.
        place: Where the archive is.
        settings: Those of the app, with its caps.
        tls: How a DICOM archive is called through TLS; None: without.

    Raises:
        SettingsError: a file of the TLS cannot be used.
    """
    if isinstance(place, Peer):
        return DicomArchive(own_title, place, None if tls is None else calling_context(tls))
    # Loaded where it is asked for only: it brings an HTTP client along.
    from edge_app.dicom_node.web_archive import WebArchive

    return WebArchive(place, settings.max_upload_bytes)
