"""What the command line says of the DICOM node: who may send, and who gets the answers."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from edge_app.errors import SettingsError

AE_TITLE = "FRACTURE_EDGE"
ANSWERS = ("sc", "sr", "pdf", "gsps")
STUDY_IDLE_S = 10.0
# Source: DICOM PS3.5, section 6.2, AE: 16 characters of the default repertoire, no backslash or control.
_AE_TITLE = re.compile(r"(?! +$)[ -\[\]-~]{1,16}")
_OPTIONS = ("dicom", "ae_title", "allow", "answer_to", "answers", "study_idle")


class Peer(NamedTuple):
    """Another DICOM node: its AE title, its host, and the port it listens on (0: it only calls)."""

    ae_title: str
    host: str
    port: int = 0

    def __str__(self) -> str:
        return f"{self.ae_title}@{self.host}" + (f":{self.port}" if self.port else "")


@dataclass(frozen=True)
class NodeSettings:
    """How the DICOM node runs.

    It listens on `port` under `ae_title` and takes pictures from `allowed` only; more than
    `max_associations` at once are turned away. A study counts as whole `study_idle_s` after its last
    picture came. Of a whole study the kinds of objects in `answers` go to `archive`, where one is named.
    """

    port: int
    ae_title: str = AE_TITLE
    allowed: tuple[Peer, ...] = ()
    archive: Peer | None = None
    answers: tuple[str, ...] = ANSWERS
    study_idle_s: float = STUDY_IDLE_S
    max_associations: int = 24

    def __post_init__(self) -> None:
        check_port("--dicom", self.port)
        check_ae_title("--ae-title", self.ae_title)
        if not self.allowed:
            raise SettingsError(
                "--dicom needs at least one --allow AE@HOST: the AE title and the address of a node that "
                "may send. Nobody else can."
            )
        unknown = set(self.answers) - set(ANSWERS)
        if unknown or not self.answers:
            raise SettingsError(
                f"--answers {','.join(self.answers)}: expected some of {', '.join(ANSWERS)}."
            )
        if not 0 <= self.study_idle_s <= 3600:
            raise SettingsError(f"--study-idle {self.study_idle_s:g}: expected seconds from 0 to 3600.")


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
    node.add_argument("--answer-to", metavar="AE@HOST:PORT", help="send the answers to this archive")
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
    if given["dicom"] is None:
        if given["allow"] or given["answer_to"]:
            raise SettingsError("--allow and --answer-to need --dicom PORT as well.")
        return None
    return NodeSettings(
        port=given["dicom"],
        ae_title=given["ae_title"],
        allowed=tuple(read_peer("--allow", text) for text in given["allow"]),
        archive=None if given["answer_to"] is None else read_peer("--answer-to", given["answer_to"], True),
        answers=tuple(word for word in given["answers"].split(",") if word),
        study_idle_s=given["study_idle"],
    )


def node_words(options: Mapping[str, Any]) -> list[str]:
    """Return the words that give another program the node's options of a command line as they were given.

    Args:
        options: The options by name.

    Returns:
        The words; none where the node was not asked for.
    """
    words = [word for text in options["allow"] for word in ("--allow", text)]
    single = {name: options[name] for name in _OPTIONS if name != "allow"}
    if options["dicom"] is None:
        return words
    return words + [
        word
        for name, value in single.items()
        if value is not None
        for word in (f"--{name.replace('_', '-')}", str(value))
    ]


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
