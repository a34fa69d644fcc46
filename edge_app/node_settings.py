"""What the command line says of the DICOM node: who may send, who gets the answers, where studies are."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from edge_app.errors import SettingsError

AE_TITLE = "FRACTURE_EDGE"
ANSWERS = ("sc", "sr", "pdf", "gsps")
STUDY_IDLE_S = 10.0
# Source: DICOM PS3.5, section 6.2, AE: 16 characters of the default repertoire, no backslash or control.
_AE_TITLE = re.compile(r"(?! +$)[ -\[\]-~]{1,16}")
_WEB_ADDRESS = re.compile(r"https?://[A-Za-z0-9._-]+(:\d{1,5})?(/[\w.~-]+)*/?", re.IGNORECASE)
_OPTIONS = (
    *("dicom", "stow", "fetch_from", "ae_title", "allow", "answer_to", "answers", "study_idle"),
    *("web_login", "web_authority"),
    *("dicom_certificate", "dicom_certificate_key", "dicom_authority", "dicom_tls"),
)
TLS_WAYS = ("both", "receive", "answer")


class Peer(NamedTuple):
    """Another DICOM node: its AE title, its host, and the port it listens on (0: it only calls)."""

    ae_title: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}" + (f":{self.port}" if self.port else "")


class WebAddress(NamedTuple):
    """Where an archive's DICOMweb service is.

    `login` is the name and the password that it asks for, `authority_path` the certificate, in PEM form, by
    which its own is trusted; None: by those of well-known authorities.
    """

    url: str
    login: tuple[str, str] | None = None
    authority_path: Path | None = None

    def __str__(self) -> str:
        return self.url


class TlsFiles(NamedTuple):
    """The files, in PEM form, by which a DICOM connection goes through TLS.

    `certificate_path` with `key_path` shows others who this node is; by `authority_path` their certificates
    are trusted.
    """

    certificate_path: Path | None = None
    key_path: Path | None = None
    authority_path: Path | None = None


@dataclass(frozen=True)
class NodeSettings:
    """How the DICOM node runs.

    It listens on `port`, where there is one, under `ae_title`, and takes pictures from `allowed` only; more
    than `max_associations` at once are turned away. With `takes_web` it takes them from these addresses by
    STOW-RS, too. A study counts as whole `study_idle_s` after its last picture came. Of a whole study the
    kinds of objects in `answers` go to `archive`, where one is named. Whoever is at the page can bring
    studies in from `library`, where one is named. With `receiving_tls` the port speaks TLS only, with
    `calling_tls` a DICOM archive is called through it.
    """

    port: int | None = None
    ae_title: str = AE_TITLE
    allowed: tuple[Peer, ...] = ()
    archive: Peer | WebAddress | None = None
    library: WebAddress | None = None
    takes_web: bool = False
    answers: tuple[str, ...] = ANSWERS
    study_idle_s: float = STUDY_IDLE_S
    max_associations: int = 24
    receiving_tls: TlsFiles | None = None
    calling_tls: TlsFiles | None = None

    def __post_init__(self) -> None:
        if self.port is not None:
            check_port("--dicom", self.port)
        check_ae_title("--ae-title", self.ae_title)
        if not self.allowed and (self.port is not None or self.takes_web):
            option = "--stow" if self.port is None else "--dicom"
            raise SettingsError(
                f"{option} needs at least one --allow AE@HOST: the AE title and the address of a node that "
                "may send. Nobody else can."
            )
        unknown = set(self.answers) - set(ANSWERS)
        if unknown or not self.answers:
            raise SettingsError(
                f"--answers {','.join(self.answers)}: expected some of {', '.join(ANSWERS)}."
            )
        if not 0 <= self.study_idle_s <= 3600:
            raise SettingsError(f"--study-idle {self.study_idle_s:g}: expected seconds from 0 to 3600.")
        self._require_tls_files()

    def _require_tls_files(self) -> None:
        receiving, calling = self.receiving_tls, self.calling_tls
        if receiving is not None and self.port is not None and receiving.certificate_path is None:
            raise SettingsError(
                "A --dicom port with TLS needs --dicom-certificate and --dicom-certificate-key. Where only "
                "the archive has TLS, add --dicom-tls answer."
            )
        if calling is not None and isinstance(self.archive, Peer) and calling.authority_path is None:
            raise SettingsError(
                "An archive that is called through TLS needs --dicom-authority: without it, anyone could "
                "take its place. Where the archive has no TLS, add --dicom-tls receive."
            )


def add_node_arguments(parser: argparse.ArgumentParser) -> None:
    """Let a command line speak of the node.

    Args:
        parser: The app's parser.
    """
    node = parser.add_argument_group("receiving from X-ray machines and archives (DICOM)")
    node.add_argument("--dicom", type=int, metavar="PORT", help="receive DICOM pictures on this port")
    node.add_argument("--ae-title", default=AE_TITLE, help="this node's AE title")
    node.add_argument(
        "--allow", action="append", default=[], metavar="AE@HOST", help="who may send; several times"
    )
    node.add_argument(
        "--stow", action="store_true", help="let them send by STOW-RS to the page's port, too"
    )
    node.add_argument(
        "--answer-to",
        metavar="AE@HOST:PORT",
        help="send the answers to this archive; a URL where it has DICOMweb",
    )
    node.add_argument(
        "--fetch-from", metavar="URL", help="bring studies in from this archive, which has DICOMweb"
    )
    node.add_argument(
        "--web-login",
        type=Path,
        metavar="FILE",
        help="holds NAME:PASSWORD, which the archive's DICOMweb asks for",
    )
    node.add_argument(
        "--web-authority", type=Path, metavar="PEM", help="trust the archive's certificate by this one"
    )
    add_tls_arguments(node)
    node.add_argument(
        "--dicom-tls",
        choices=TLS_WAYS,
        default=TLS_WAYS[0],
        help="where one way only goes through TLS: to this port, or to the archive",
    )
    node.add_argument(
        "--answers",
        default=",".join(ANSWERS),
        help="Secondary Captures, Structured Report, PDF, presentation state",
    )
    node.add_argument(
        "--study-idle",
        type=float,
        default=STUDY_IDLE_S,
        metavar="SECONDS",
        help="a study is whole so long after its last picture",
    )


def add_tls_arguments(parser: argparse._ActionsContainer) -> None:
    """Let a command line name the files of DICOM's TLS.

    Args:
        parser: A parser, or a group of one.
    """
    parser.add_argument(
        "--dicom-certificate", type=Path, metavar="PEM", help="go through TLS on DICOM's ports, with it"
    )
    parser.add_argument("--dicom-certificate-key", type=Path, metavar="PEM")
    parser.add_argument(
        "--dicom-authority", type=Path, metavar="PEM", help="trust the certificates of others by this one"
    )


def take_node_settings(options: dict[str, Any]) -> NodeSettings | None:
    """Take what is about the node out of a command line's options.

    Args:
        options: The options by name; those of the node are removed.

    Returns:
        The node's settings; None when it is not switched on.

    Raises:
        SettingsError: a value cannot be.
    """
    given = {name: options.pop(name) for name in _OPTIONS}
    if given["dicom"] is None and not given["stow"] and given["fetch_from"] is None:
        if given["allow"] or given["answer_to"] or given["dicom_certificate"]:
            raise SettingsError(
                "--allow, --answer-to and --dicom-certificate need --dicom PORT, --stow or --fetch-from as "
                "well."
            )
        return None
    login = None if given["web_login"] is None else read_login(given["web_login"])
    authority_path = given["web_authority"]
    tls = read_tls(given)
    return NodeSettings(
        port=given["dicom"],
        ae_title=given["ae_title"],
        allowed=tuple(read_peer("--allow", text) for text in given["allow"]),
        archive=given["answer_to"]
        and read_archive("--answer-to", given["answer_to"], login, authority_path),
        library=given["fetch_from"]
        and read_web("--fetch-from", given["fetch_from"], login, authority_path),
        takes_web=given["stow"],
        answers=tuple(word for word in given["answers"].split(",") if word),
        study_idle_s=given["study_idle"],
        receiving_tls=None if given["dicom_tls"] == "answer" else tls,
        calling_tls=None if given["dicom_tls"] == "receive" else tls,
    )


def node_words(options: Mapping[str, Any]) -> list[str]:
    """Return the words that give another program the node's options of a command line as they were given.

    Args:
        options: The options by name.

    Returns:
        The words; those that say what is so anyway are left out.
    """
    parser = argparse.ArgumentParser()
    add_node_arguments(parser)
    words = [word for text in options["allow"] for word in ("--allow", text)]
    for name in _OPTIONS:
        if name != "allow" and options[name] != parser.get_default(name):
            value = [] if options[name] is True else [str(options[name])]
            words += [f"--{name.replace('_', '-')}", *value]
    return words


def read_tls(options: Mapping[str, Any]) -> TlsFiles | None:
    """Read the files of DICOM's TLS from a command line.

    Args:
        options: The options by name.

    Returns:
        The files; None where none is named.

    Raises:
        SettingsError: a file is missing, or is named without the one that it belongs to.
    """
    names = ("dicom_certificate", "dicom_certificate_key", "dicom_authority")
    files = TlsFiles(*(options[name] for name in names))
    for name, path in zip(names, files, strict=True):
        if path is not None and not path.is_file():
            raise SettingsError(f"--{name.replace('_', '-')} {path}: there is no such file.")
    if (files.certificate_path is None) != (files.key_path is None):
        raise SettingsError(
            "--dicom-certificate and --dicom-certificate-key belong together: give both or none."
        )
    return None if files == TlsFiles() else files


def read_archive(
    option: str, text: str, login: tuple[str, str] | None = None, authority_path: Path | None = None
) -> Peer | WebAddress:
    """Read an archive from a command line.

    Args:
        option: Where it stands, for messages.
        text: `AE@HOST:PORT`, or the URL of a DICOMweb service.
        login: What that service asks for.
        authority_path: By what its certificate is trusted.

    Returns:
        The archive.

    Raises:
        SettingsError: it has another form.
    """
    is_web = text.lower().startswith(("http://", "https://"))
    return read_web(option, text, login, authority_path) if is_web else read_peer(option, text, True)


def read_web(
    option: str, text: str, login: tuple[str, str] | None = None, authority_path: Path | None = None
) -> WebAddress:
    """Read the address of a DICOMweb service from a command line.

    Args:
        option: Where it stands, for messages.
        text: Its URL.
        login: What it asks for.
        authority_path: By what its certificate is trusted.

    Returns:
        The address.

    Raises:
        SettingsError: it has another form.
    """
    if not _WEB_ADDRESS.fullmatch(text):
        raise SettingsError(
            f"{option} {text}: expected the URL of a DICOMweb service, as https://HOST:PORT/dicom-web; a "
            "name and a password stand in the file of --web-login."
        )
    if authority_path is not None and not authority_path.is_file():
        raise SettingsError(f"--web-authority {authority_path}: there is no such file.")
    return WebAddress(text.rstrip("/"), login, authority_path)


def read_login(path: Path) -> tuple[str, str]:
    """Read what an archive's DICOMweb service asks for.

    Args:
        path: A file that holds `NAME:PASSWORD`.

    Returns:
        The name and the password.

    Raises:
        SettingsError: it cannot be read, or holds something else.
    """
    try:
        name, colon, password = path.read_text(encoding="utf-8").strip().partition(":")
    except (OSError, ValueError) as error:
        raise SettingsError(f"--web-login {path} cannot be read: {error}.") from error
    if not (name and colon and password):
        raise SettingsError(f"--web-login {path}: expected NAME:PASSWORD in it.")
    return name, password


def read_peer(option: str, text: str, has_port: bool = False) -> Peer:
    """Read another node from a command line.

    Args:
        option: Where it stands, for messages.
        text: `AE@HOST`, or `AE@HOST:PORT`.
        has_port: Whether the port must be there.

    Returns:
        The node.

    Raises:
        SettingsError: it has another form.
    """
    ae_title, at, place = text.partition("@")
    host, colon, port = place.rpartition(":") if has_port else (place, ":", "0")
    if not (at and host and colon and port.isdecimal()):
        raise SettingsError(f"{option} {text}: expected AE@HOST{':PORT' if has_port else ''}.")
    if has_port:
        check_port(option, int(port))
    check_ae_title(option, ae_title)
    return Peer(ae_title.strip(), host.strip("[]"), int(port))


def check_port(option: str, port: int) -> None:
    """Refuse what is no port.

    Args:
        option: Where it stands, for the message.
        port: The number.

    Raises:
        SettingsError: it is out of range.
    """
    if not 1 <= port <= 65535:
        raise SettingsError(f"{option} {port}: expected a port from 1 to 65535.")


def check_ae_title(option: str, ae_title: str) -> None:
    """Refuse what is no AE title.

    Args:
        option: Where it stands, for the message.
        ae_title: The title.

    Raises:
        SettingsError: it is none.
    """
    if not _AE_TITLE.fullmatch(ae_title):
        raise SettingsError(
            f"{option} {ae_title}: expected an AE title of 1 to 16 letters, digits and signs, without "
            "backslash."
        )
