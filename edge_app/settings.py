"""One frozen Settings; nothing else reads the command line or the environment."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import SettingsError
from edge_app.images import MAX_PIXELS

MIB = 1024 * 1024
DEVICES = ("auto", "cpu", "cuda")
LOOPBACK = "127.0.0.1"
DEFAULT_BUNDLE_DIR = Path(__file__).resolve().parent.parent / "models" / "default"


@dataclass(frozen=True)
class Settings:
    """How the app runs.

    `threads` is the number of CPU threads for the model; 0 takes one for each core. Results are
    forgotten after `result_minutes`, or earlier when all of them exceed `results_bytes`.
    """

    host: str = LOOPBACK
    port: int = 5000
    bundle_dir: Path = DEFAULT_BUNDLE_DIR
    device: str = "auto"
    threads: int = 0
    max_upload_bytes: int = 32 * MIB
    max_pixels: int = MAX_PIXELS
    results_bytes: int = 128 * MIB
    result_minutes: float = 15.0

    def __post_init__(self) -> None:
        if self.host != LOOPBACK:
            raise SettingsError(
                f"--host {self.host} would let other computers in, and nothing would ask them who they "
                f"are. Expected {LOOPBACK} or localhost."
            )
        if not 1 <= self.port <= 65535:
            raise SettingsError(f"--port {self.port}: expected a number from 1 to 65535.")
        if self.device not in DEVICES:
            raise SettingsError(f"--device {self.device}: expected one of {', '.join(DEVICES)}.")
        if not 0 <= self.threads <= 256:
            raise SettingsError(f"--threads {self.threads}: expected a number from 0 to 256.")


def parse_settings(arguments: Sequence[str] | None = None) -> Settings:
    """Read the command line.

    Args:
        arguments: The words after the program's name; by default those of this process.

    Returns:
        The settings.

    Raises:
        SettingsError: a value is out of range.
    """
    parser = argparse.ArgumentParser(
        prog="python -m edge_app",
        description="Serve the Fracture Edge page on this computer. Uploads stay in memory.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--host", default=Settings.host, help="address to listen on")
    parser.add_argument("--port", type=int, default=Settings.port, help="port to listen on")
    parser.add_argument(
        "--bundle", type=Path, default=DEFAULT_BUNDLE_DIR, metavar="DIR", help="model bundle"
    )
    parser.add_argument("--device", choices=DEVICES, default=Settings.device)
    parser.add_argument(
        "--threads", type=int, default=Settings.threads, metavar="N", help="0: one for each core"
    )
    options = parser.parse_args(arguments)
    return Settings(
        host=LOOPBACK if options.host == "localhost" else options.host,
        port=options.port,
        bundle_dir=options.bundle,
        device=options.device,
        threads=options.threads,
    )
