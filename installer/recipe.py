"""What goes into an installer, validated before anything is built."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import SettingsError
from edge_app.model.bundle import load_bundle

ROOT = Path(__file__).resolve().parent.parent
LOCKS_DIR = Path("installer") / "locks"
PYTHON = "3.11"
AUTO = "auto"
# A UNIX time that every build may use for every file: 2026-01-01, unless the recipe names another.
EPOCH_S = 1_767_225_600


@dataclass(frozen=True)
class Target:
    """A kind of PC: `system` linux or windows, `device` cpu or gpu; `platform` is uv's word for it."""

    system: str
    device: str
    platform: str
    machine: str = "x86_64"

    @property
    def name(self) -> str:
        """The target's name in file names, such as linux-x86_64-cpu."""
        return f"{self.system}-{self.machine}-{self.device}"

    @property
    def lock(self) -> Path:
        """The requirements file with hashes, relative to the repository."""
        return LOCKS_DIR / f"{self.name}.txt"


_PLATFORMS = {"linux": "x86_64-manylinux_2_28", "windows": "x86_64-pc-windows-msvc"}
TARGETS = tuple(
    Target(system, device, platform) for system, platform in _PLATFORMS.items() for device in ("cpu", "gpu")
)


@dataclass(frozen=True)
class Recipe:
    """One build.

    `runtime` is `auto`, or a folder or an archive that holds a relocatable CPython of version `PYTHON`.
    `sign_key` is a private Ed25519 key in PEM form; with it the bundle must be signed by the same key.
    `epoch_s` is the time that every file in the result bears.
    """

    target: Target
    bundle_dir: Path
    out_dir: Path
    version: str
    runtime: str = AUTO
    sign_key: Path | None = None
    epoch_s: int = EPOCH_S

    def __post_init__(self) -> None:
        load_bundle(self.bundle_dir)
        if self.runtime != AUTO and not Path(self.runtime).exists():
            raise SettingsError(
                f"--runtime {self.runtime}: expected {AUTO}, or a folder or archive with CPython {PYTHON}; "
                "there is no such path."
            )
        if self.sign_key is not None and not self.sign_key.is_file():
            raise SettingsError(f"--sign-key {self.sign_key}: there is no such file.")

    @property
    def name(self) -> str:
        """The name of the folder on the stick."""
        return f"fracture-edge-{self.version}-{self.target.name}"


def find_target(target: str, device: str) -> Target:
    """Return the target that two words of the command line name.

    Args:
        target: `linux-x86_64` or `windows-x86_64`.
        device: `cpu` or `gpu`.

    Raises:
        SettingsError: there is no such target; the message lists those that are.
    """
    for each in TARGETS:
        if each.name == f"{target}-{device}":
            return each
    known = ", ".join(sorted(each.name for each in TARGETS))
    raise SettingsError(f"{target}-{device} is not built. Expected one of {known}.")


def project_version() -> str:
    """Return the version that pyproject.toml gives."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])
