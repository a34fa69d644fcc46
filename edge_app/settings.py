"""One frozen Settings; nothing else reads the command line or the environment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import SettingsError
from edge_app.imaging.images import MAX_PIXELS
from edge_app.node_settings import NodeSettings, add_node_arguments, take_node_settings

MIB = 1024 * 1024
DEVICES = ("auto", "cpu", "cuda")
LOOPBACK = "127.0.0.1"
_EVERY_IPV4_ADDRESS = "0.0.0.0"  # noqa: S104 # nosec B104 # compared with, never a default
OWN_HOSTNAMES = frozenset({"localhost", "127.0.0.1", "::1"})
DEFAULT_BUNDLE_DIR = Path(__file__).resolve().parent.parent / "models" / "default"


@dataclass(frozen=True)
class Settings:
    """How the app runs.

    `threads` is the number of CPU threads for the model; 0 takes one for each core. Results are
    forgotten after `result_minutes`, or earlier when all of them exceed `results_bytes`. With a
    `trusted_key`, an Ed25519 public key in PEM form, only a bundle signed with it is used.

    A `host` beyond this computer needs a `password_file`, written by `python -m edge_app.password`. With a
    `certificate` and its `certificate_key`, both in PEM form, pages are served through TLS. Browsers may
    open the page under the names of `names` besides the host's and this computer's own. The log goes to the
    terminal, and to a disk only with a `log_file`; nothing in it is about a patient. With a `node`,
    pictures are received over DICOM as well.
    """

    host: str = LOOPBACK
    port: int = 5000
    bundle_dir: Path = DEFAULT_BUNDLE_DIR
    device: str = "auto"
    threads: int = 0
    max_upload_bytes: int = 32 * MIB
    max_pixels: int = MAX_PIXELS
    results_bytes: int = 48 * MIB
    result_minutes: float = 15.0
    trusted_key: Path | None = None
    password_file: Path | None = None
    certificate: Path | None = None
    certificate_key: Path | None = None
    names: tuple[str, ...] = ()
    log_file: Path | None = None
    node: NodeSettings | None = None

    def __post_init__(self) -> None:
        if self.host != LOOPBACK and self.password_file is None:
            raise SettingsError(
                f"--host {self.host} would let other computers in, and nothing would ask them who they "
                f"are. Expected {LOOPBACK} or localhost, or a --password-file as well."
            )
        if (self.certificate is None) != (self.certificate_key is None):
            raise SettingsError("--certificate and --certificate-key belong together: give both or none.")
        if not 1 <= self.port <= 65535:
            raise SettingsError(f"--port {self.port}: expected a number from 1 to 65535.")
        if self.device not in DEVICES:
            raise SettingsError(f"--device {self.device}: expected one of {', '.join(DEVICES)}.")
        if not 0 <= self.threads <= 256:
            raise SettingsError(f"--threads {self.threads}: expected a number from 0 to 256.")

    @property
    def hostnames(self) -> frozenset[str]:
        """The exact names under which browsers may open the page, in lower case."""
        return OWN_HOSTNAMES | {self.host.lower()} | {name.lower() for name in self.names}

    @property
    def is_on_every_address(self) -> bool:
        """Whether it listens on every network address of this computer."""
        return self.host in (_EVERY_IPV4_ADDRESS, "::")

    @property
    def address(self) -> str:
        """Where the page is opened on this computer."""
        scheme = "http" if self.certificate is None else "https"
        host = "localhost" if self.host == LOOPBACK or self.is_on_every_address else self.host
        return f"{scheme}://{host}:{self.port}"


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read the app's command line.

    Args:
        arguments: The words after the program's name; by default those of this process.

    Returns:
        The settings.

    Raises:
        SettingsError: a value is out of range.
    """
    parser = _parser("edge_app", "Serve the Fracture Edge page on this computer. Uploads stay in memory.")
    parser.add_argument("--host", default=Settings.host, help="address to listen on")
    parser.add_argument("--port", type=int, default=Settings.port, help="port to listen on")
    parser.add_argument(
        "--log-file",
        type=Path,
        metavar="FILE",
        help="write the log here as well, as JSON",
    )
    _add_beyond(parser)
    add_node_arguments(parser)
    options = vars(parser.parse_args(arguments))
    options["node"] = take_node_settings(options)
    if options["host"] == "localhost":
        options["host"] = LOOPBACK
    options["names"] = tuple(options["names"])
    return Settings(**options)


def parse_choose_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line of `edge_app.choose`: what is about the model.

    Args:
        arguments: The words after the program's name; by default those of this process.

    Returns:
        The settings.

    Raises:
        SettingsError: a value is out of range.
    """
    parser = _parser("edge_app.choose", "Measure which variant of a model is the best on this computer.")
    return Settings(**vars(parser.parse_args(arguments)))


def parse_batch_settings(arguments: Sequence[str] | None = None) -> tuple[Settings, Path, Path]:
    """Read the command line of `edge_app.batch`.

    Args:
        arguments: The words after the program's name; by default those of this process.

    Returns:
        The settings, the folder of X-rays, and the table to write.

    Raises:
        SettingsError: a value is out of range.
    """
    parser = _parser("edge_app.batch", "Predict for every X-ray in a folder; write a table, worst first.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder of X-rays")
    parser.add_argument("--out", type=Path, required=True, metavar="CSV", help="the table to write")
    options = vars(parser.parse_args(arguments))
    folder, out_path = options.pop("folder"), options.pop("out")
    return Settings(**options), folder, out_path


def _add_beyond(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("listening beyond this computer")
    group.add_argument(
        "--password-file", type=Path, metavar="FILE", help="written by python -m edge_app.password"
    )
    group.add_argument("--certificate", type=Path, metavar="PEM", help="serve through TLS with it")
    group.add_argument("--certificate-key", type=Path, metavar="PEM")
    group.add_argument(
        "--name",
        dest="names",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which other computers open the page; may be given several times",
    )


def _parser(module: str, description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {module}",
        description=description,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "--bundle",
        type=Path,
        default=DEFAULT_BUNDLE_DIR,
        dest="bundle_dir",
        metavar="DIR",
        help="model bundle",
    )
    parser.add_argument("--device", choices=DEVICES, default=Settings.device)
    parser.add_argument(
        "--threads", type=int, default=Settings.threads, metavar="N", help="0: one for each core"
    )
    parser.add_argument(
        "--trusted-key", type=Path, metavar="KEY", help="use no bundle but one signed with this public key"
    )
    return parser
