"""An archive with DICOMweb: answers go there by STOW-RS, studies come from there by QIDO-RS and WADO-RS."""

from __future__ import annotations

import io
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import requests
from dicomweb_client.web import DICOMwebClient
from pydicom import dcmread
from pydicom.dataset import Dataset

from edge_app.arrivals import FiledStudy
from edge_app.dicom_node.accepted import STORAGE_CLASSES
from edge_app.dicom_node.objects.common import to_file
from edge_app.dicom_node.tls import web_fault
from edge_app.errors import ImageTooLarge, InvalidImage, PeerError, UnsupportedImage
from edge_app.imaging.dicom.tags import MODALITIES
from edge_app.imaging.picture import Patient
from edge_app.multipart import split_parts
from edge_app.node_settings import WebAddress

TIMEOUT_S = 20
MAX_STUDIES = 20
REASONS = {
    "unreachable": (
        "Nothing answers at {url}. Check that the archive runs, the address, and the firewalls between."
    ),
    "certificate": "{url} has a certificate that is not trusted. Name its authority with --web-authority.",
    "certificate_date": (
        "The certificate of {url} has expired or is not valid yet: renew it, or set the clocks right."
    ),
    "certificate_name": (
        "The certificate of {url} is for another name: call it by a name in it, or have one made for this."
    ),
    "no_tls": "{url} speaks no TLS 1.2 or newer: begin the address with http:, or switch https on there.",
    "login": "{url} asks for another name and password. Put NAME:PASSWORD into a file for --web-login.",
    "not_web": "There is no DICOMweb service at {url}. Look up its address in the archive's settings.",
    "status": "The archive answered with status {detail}. Its log says why.",
}
_REASON_OF = {401: "login", 403: "login", 404: "not_web", 405: "not_web"}
_WHOLE_FILE = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
_WRAPPING_BYTES = 64 * 1024
_CHUNK_BYTES = 1024 * 1024
_STUDY_FIELDS = ("StudyDescription", "ModalitiesInStudy")
_NOT_AS_AGREED = (ValueError, TypeError, KeyError, AttributeError, InvalidImage, UnsupportedImage)
_UID = re.compile(r"[0-9.]{1,64}")


class WebArchive:
    """Calls an archive's DICOMweb service.

    The library asks and stores; files are read here as bytes, since the library would take a file of any
    size and parse it at once.

    Args:
        address: Where the service is.
        max_bytes: Of one picture.
    """

    def __init__(self, address: WebAddress, max_bytes: int) -> None:
        for name in ("dicomweb_client", "urllib3"):
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)  # they name studies and patients
        self._url = address.url
        self._max_bytes = max_bytes
        self._session = _new_session(address)
        self._client = DICOMwebClient(address.url, self._session, timeout=TIMEOUT_S)
        self._client.set_http_retry_params(retry=False)

    def __str__(self) -> str:
        return self._url

    def check(self) -> None:
        """Ask whether it is there and lets this computer in.

        Raises:
            PeerError: it does not answer as it should; the message says why and what to do.
        """
        with self._telling():
            self._client.search_for_studies(limit=1)

    def send(self, objects: Iterable[Dataset]) -> Iterator[str]:
        """Store objects, each in a request of its own.

        Args:
            objects: What to send; each is made when its turn comes.

        Yields:
            The SOP Instance UID of each that was taken.

        Raises:
            PeerError: it was not taken; the message says why and what to do.
        """
        for dataset in objects:
            whole = dcmread(io.BytesIO(to_file(dataset)))  # the library writes no file meta of its own
            with self._telling():
                answer = self._client.store_instances([whole])
            for failed in answer.get("FailedSOPSequence", []):
                raise self._error("status", f"0x{failed.get('FailureReason', 0):04X}")
            yield dataset.SOPInstanceUID

    def find(self, words: str) -> list[FiledStudy]:
        """Look for a patient's studies.

        Args:
            words: The patient's number, or the beginning of the name.

        Returns:
            At most `MAX_STUDIES`, the newest first.

        Raises:
            PeerError: it does not answer as it should.
        """
        found: dict[str, FiledStudy] = {}
        name = re.sub(r"[^\w.-]", "?", words)  # "Doe Jane" finds Doe^Jane
        for filters in ({"PatientID": words}, {"PatientName": f"{name}*"}):
            with self._telling():
                answer = self._client.search_for_studies(
                    limit=MAX_STUDIES, fields=_STUDY_FIELDS, search_filters=filters
                )
                found |= {study.uid: study for study in map(_filed_study, answer)}
        return sorted(found.values(), key=lambda study: study.date, reverse=True)[:MAX_STUDIES]

    def pictures(self, study_uid: str) -> Iterator[bytes]:
        """Fetch a study's X-rays, one at a time.

        Args:
            study_uid: Its identifier.

        Yields:
            DICOM files, as they stand in the archive.

        Raises:
            PeerError: the archive does not answer as it should.
            ImageTooLarge: a picture has more bytes than the limit.
        """
        with self._telling():
            paths = list(self._xray_paths(study_uid))
        for path in paths:
            with self._telling():
                data = self._file(path)
            yield data

    def _xray_paths(self, study_uid: str) -> Iterator[str]:
        for series in self._client.search_for_series(study_uid):
            if _text(series, "00080060") not in MODALITIES:
                continue
            series_uid = _uid(series, "0020000E")
            for instance in self._client.search_for_instances(study_uid, series_uid):
                if _text(instance, "00080016") in STORAGE_CLASSES:
                    sop_uid = _uid(instance, "00080018")
                    yield f"/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}"

    def _file(self, path: str) -> bytes:
        place = self._url + path
        with self._session.get(place, headers=_WHOLE_FILE, stream=True, timeout=TIMEOUT_S) as answer:
            answer.raise_for_status()
            untrusted_body = self._read(answer)
            kind = answer.headers.get("Content-Type", "")
        if kind.startswith("application/dicom"):  # some archives leave the wrapping out
            return untrusted_body
        (data,) = split_parts(untrusted_body, kind)
        return data

    def _read(self, answer: requests.Response) -> bytes:
        body = bytearray()
        for chunk in answer.iter_content(_CHUNK_BYTES):
            body += chunk
            if len(body) > self._max_bytes + _WRAPPING_BYTES:
                raise ImageTooLarge(f"A picture in the archive has more than {self._max_bytes} bytes.")
        return bytes(body)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        """Turn what can go wrong on the way into the sentence about it."""
        try:
            yield
        except requests.HTTPError as error:
            status = error.response.status_code
            raise self._error(_REASON_OF.get(status, "status"), str(status)) from error
        except requests.TooManyRedirects as error:
            raise self._error("status", str(error.response.status_code)) from error
        except requests.exceptions.SSLError as error:
            raise self._error(web_fault(error)) from error
        except requests.JSONDecodeError as error:
            raise self._error("not_web") from error
        except (requests.RequestException, OSError) as error:
            raise self._error("unreachable") from error
        except _NOT_AS_AGREED as error:
            raise self._error("not_web") from error

    def _error(self, reason: str, detail: str = "") -> PeerError:
        return PeerError(REASONS[reason].format(url=self._url, detail=detail), reason)


class _Session(requests.Session):
    """Leaves the wildcards of a query as they are: older archives do not decode them.

    Source:
        RFC 3986, section 3.4: both may stand in a query.
    """

    def get(self, url: str | bytes, **options: Any) -> requests.Response:
        return super().get(str(url).replace("%2A", "*").replace("%3F", "?"), **options)


def _new_session(address: WebAddress) -> requests.Session:
    session = _Session()
    session.trust_env = False  # neither a proxy nor a password from elsewhere on this computer
    session.max_redirects = 0
    session.auth = address.login
    if address.authority_path is not None:
        session.verify = str(address.authority_path)
    return session


def _filed_study(item: dict[str, Any]) -> FiledStudy:
    return FiledStudy(
        uid=_uid(item, "0020000D"),
        patient=Patient(_text(item, "00100020"), _text(item, "00100010")),
        date=_date(_text(item, "00080020")),
        description=_text(item, "00081030"),
        modalities=", ".join(str(value) for value in item.get("00080061", {}).get("Value", [])),
    )


def _date(text: str) -> str:
    """Write a date of DICOM's (20260105) as people do; what is none stays as it is."""
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if len(text) == 8 and text.isdecimal() else text


def _text(item: dict[str, Any], tag: str) -> str:
    """Return an attribute's first value.

    Source:
        DICOM PS3.18, annex F.2.
    """
    values = item.get(tag, {}).get("Value") or [""]
    first = values[0]
    return str(first.get("Alphabetic", "") if isinstance(first, dict) else first)


def _uid(item: dict[str, Any], tag: str) -> str:
    uid = _text(item, tag)
    if not _UID.fullmatch(uid):
        raise ValueError(tag)
    return uid
