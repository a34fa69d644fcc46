"""The DICOM conformance statement, made from what the code accepts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pydicom.uid import UID

from edge_app.dicom_node.accepted import accepted_contexts
from edge_app.dicom_node.peers import ANSWER_CLASSES, ANSWER_SYNTAXES
from edge_app.dicom_node.peers import TIMEOUT_S as CALLING_TIMEOUT_S
from edge_app.dicom_node.provider import SILENCE_S
from edge_app.dicom_node.statuses import STATUS_OF
from edge_app.dicom_node.tls import CIPHERS
from edge_app.dicom_node.waiting import PATIENCE_S, ROOM_BYTES
from edge_app.imaging.dicom.envelope import IDENTITY
from edge_app.imaging.dicom.tags import CAPTURED, MODALITIES, tag_name
from edge_app.multipart import MAX_PARTS
from edge_app.node_settings import ANSWERS, NodeSettings
from edge_app.settings import Settings

_MIB = 1024 * 1024
_OBJECTS = ("Secondary Capture", "Structured Report (TID 1500)", "report as PDF", "presentation state")
_WEB_SERVICES = (
    ("user agent", "STOW-RS", "`--answer-to URL`", "the answers, each in a request of its own"),
    (
        *("user agent", "QIDO-RS", "`--fetch-from URL`"),
        "studies by Patient ID, or by the beginning of Patient's Name (wildcards `*` and `?`); their "
        "series; the instances of these",
    ),
    (
        *("user agent", "WADO-RS", "`--fetch-from URL`"),
        'instances as `multipart/related; type="application/dicom"; transfer-syntax=*`',
    ),
    (
        *("origin server", "STOW-RS", "`--stow`"),
        "`POST /dicom-web/studies` and `/dicom-web/studies/{study}` on the page's port, "
        '`multipart/related; type="application/dicom"`',
    ),
)


def statement() -> str:
    """Return the statement as Markdown."""
    return "\n".join([*_head(), *_receiving(), *_refusing(), *_sending(), *_web(), *_rest()]) + "\n"


def _head() -> Iterator[str]:
    yield "# DICOM conformance statement"
    yield ""
    yield "Made by `python -m edge_app.dicom_node conformance` from what the code does,"
    yield "and held to that by a test. The node is off unless `--dicom` is given ([PACS.md](PACS.md))."
    yield ""
    yield "| role | services |"
    yield "|---|---|"
    yield "| SCP (is called) | Verification (C-ECHO), Storage (C-STORE) |"
    yield "| SCU (calls) | Verification, Storage |"


def _receiving() -> Iterator[str]:
    limit = NodeSettings.max_associations
    yield from _section(
        "What it receives", f"Modalities: {', '.join(MODALITIES)}; {CAPTURED} as Secondary Capture."
    )
    yield "Single grey pictures; what else must be true of them is told in [FORMATS.md](FORMATS.md)."
    yield ""
    yield from _contexts(accepted_contexts())
    yield ""
    yield "Of several transfer syntaxes in one context, the first that the caller names is taken."
    yield from _section(
        "Who may call",
        "The called AE title must be the node's own. The calling AE title and its address must",
    )
    yield f"stand together on the allow-list. At most {limit} associations are open at once;"
    yield f"{SILENCE_S} s of silence end one. A picture may have {Settings.max_upload_bytes // _MIB} MiB."
    yield f"Pictures that wait take {ROOM_BYTES // _MIB} MiB at most; a sender without room is kept waiting"
    yield f"for {PATIENCE_S:g} s."


def _refusing() -> Iterator[str]:
    yield from _section("What a refused picture is answered with", "The beginning of the reason is in")
    yield "(0000,0902) Error Comment. The same bytes under one SOP Instance UID are answered with 0x0000."
    yield ""
    yield "| error | status |"
    yield "|---|---|"
    yield from (f"| `{kind.code}` and its kinds | 0x{status:04X} |" for kind, status in STATUS_OF.items())


def _sending() -> Iterator[str]:
    yield from _section(
        "What it sends", f"To the node of `--answer-to`, {CALLING_TIMEOUT_S} s of silence allowed:"
    )
    yield ""
    yield "| `--answers` | object | SOP class |"
    yield "|---|---|---|"
    for word, name, sop_class in zip(ANSWERS, _OBJECTS, ANSWER_CLASSES, strict=True):
        yield f"| `{word}` | {name} | {sop_class.name} `{sop_class}` |"
    yield ""
    yield f"Transfer syntaxes: {', '.join(syntax.name for syntax in ANSWER_SYNTAXES)}."
    yield ""
    yield "An answer has the study's Study Instance UID, a series of its own for each kind, and UIDs under"
    yield "2.25, derived from the pictures' bytes and the model: the same input gives the same UIDs."
    yield "These attributes are copied as they came:"
    yield ""
    yield from (f"- {tag_name(keyword)}" for keyword in IDENTITY)


def _web() -> Iterator[str]:
    yield from _section("DICOMweb", "Each is off unless its option is given.")
    yield ""
    yield "| role | service | option | what |"
    yield "|---|---|---|---|"
    yield from (f"| {' | '.join(row)} |" for row in _WEB_SERVICES)
    yield ""
    yield f"Brought in are series of modality {', '.join(MODALITIES)}, in the SOP classes above."
    limit = f"{Settings.max_upload_bytes // _MIB} MiB and {MAX_PARTS} instances"
    yield f"A request by STOW-RS may have {limit}."
    yield "Senders must have an address of the allow-list, and the page's password where it has one. The"
    yield "answer is 200, 202 (some refused) or 409 (all refused) with Failure Reason (0008,1197) as in the"
    yield "table above; 403 from another address, 413 above the size, 415 for another kind of body, 422 for"
    yield "one that is cut short, 503 with Retry-After while too many pictures wait."


def _rest() -> Iterator[str]:
    yield from _section(
        "Character sets", "Those of the pictures; the node's own texts are in the default repertoire."
    )
    yield from _section(
        "Security", "TLS on DICOM's own port where `--dicom-certificate` is given, and towards the archive"
    )
    yield "where `--dicom-authority` is: the BCP 195 (RFC 8996, 9325) profile of PS3.15."
    yield f"Versions 1.2 and 1.3; of 1.2 the suites `{CIPHERS}` of OpenSSL. Callers must"
    yield "show a certificate where `--dicom-authority` is given. An archive must show one that is valid"
    yield "and names its host. No lists of revoked certificates are read. Without these options the port"
    yield "belongs into the X-ray room's own network. No user identity is asked for or sent."
    yield ""
    yield "DICOMweb goes through TLS where the URL begins with https, or the page has a certificate."
    yield from _section("Media", "None: nothing is written.")


def _section(title: str, sentence: str) -> Sequence[str]:
    return "", f"## {title}", "", sentence


def _contexts(contexts: Iterable[object]) -> Iterator[str]:
    yield "| SOP class | UID | transfer syntaxes |"
    yield "|---|---|---|"
    for context in contexts:
        sop_class = UID(context.abstract_syntax)  # type: ignore[attr-defined]
        names = ", ".join(UID(syntax).name for syntax in context.transfer_syntax)  # type: ignore[attr-defined]
        yield f"| {sop_class.name} | `{sop_class}` | {names} |"
