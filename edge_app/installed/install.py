"""A release from the stick, or a model alone, becomes what this PC runs, or nothing changes."""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edge_app.errors import BundleError, DamagedFiles, EdgeError, NotCertified, NotWritable, ReleaseRefused
from edge_app.installed import preflight, processes
from edge_app.installed.certificate import TEXT
from edge_app.installed.home import Deployment, Home, replace_file
from edge_app.installed.release import (
    COPY_AGAIN,
    MODEL,
    SIGNER,
    Release,
    read_release,
    release_id,
    verify_release,
    verify_signer,
)
from edge_app.model.bundle import load_bundle

DEFAULT_PORT = 5000
_MODEL_LIMIT_BYTES = 2_000_000_000

logger = logging.getLogger("fracture-edge")


@dataclass(frozen=True)
class Wishes:
    """What whoever installs asked for; None takes what the PC has, or the default."""

    port: int | None = None
    trusted_key: Path | None = None
    allow_older: bool = False
    link: bool = False


def install(source: Path, home: Home, wishes: Wishes) -> Deployment:
    """Check, copy, prove, switch.

    Args:
        source: A release's folder, on the stick or already in its place.
        home: Where to; an earlier installation there is upgraded.
        wishes: What was asked for.

    Returns:
        The deployment that is current now.

    Raises:
        InstallError: why not; what ran before runs on.
    """
    count = verify_release(source)
    release = read_release(source)
    logger.info(
        "%d files are as they were released: Fracture Edge %s, %s.", count, release.version, release.target
    )
    installed = home.known()
    key = wishes.trusted_key or (home.key(installed.number) if installed else None) or _signer(source)
    if key is not None:
        verify_signer(source, key)
        logger.info("Signed with the key %s.", key)
    _refuse_older(release, home, wishes)
    port = wishes.port or (installed.port if installed else DEFAULT_PORT)
    _preflight(release, source, home, port, wishes)
    with home.changing():
        program = _bring(source, home, release, wishes.link)
        deployment = _prove_newest(home, program, port, key)
        _switch(home, deployment, lambda: lay_commands(home, program))
    return deployment


def update_model(file: Path, home: Home) -> Deployment:
    """Put another model under the program that runs.

    Args:
        file: A model file that `python -m installer model` wrote, or a bundle's folder.
        home: The installation.

    Returns:
        The deployment that is current now.

    Raises:
        InstallError, BundleError: why not; what ran before runs on.
    """
    current = home.current()
    key = home.key(current.number)
    with home.changing(), tempfile.TemporaryDirectory(dir=home.path, prefix=".model-") as folder:
        bundle_dir = file if file.is_dir() else _unpack(file, Path(folder))
        manifest = load_bundle(bundle_dir, trusted_key=key).manifest
        logger.info("Model %s %s is as it was released.", manifest.name, manifest.version)
        deployment = home.deploy(home.program(current), bundle_dir, current.port, key)
        prove(home, deployment)
        _switch(home, deployment)
    return deployment


def roll_back(home: Home) -> Deployment:
    """Return to the deployment before the current one.

    Raises:
        InstallError: there is none, or it is damaged; what runs goes on.
    """
    with home.changing():
        current = home.current()
        if current.previous is None or not home.folder(current.previous).is_dir():
            raise ReleaseRefused(
                "There is no earlier version on this PC to return to. Install from a stick."
            )
        earlier = home.deployment(current.previous)
        verify_release(home.program(earlier))
        load_bundle(home.model(earlier.number), trusted_key=home.key(earlier.number))
        lay_commands(home, home.program(earlier))
        home.switch_to(earlier)
    return earlier


def prove(home: Home, deployment: Deployment) -> None:
    """Certify a deployment with its own Python, as it will run; delete it where that fails.

    Raises:
        NotCertified: with the words of the process that tried.
    """
    command = [str(home.python(deployment)), "-IB", "-m", "edge_app.installed"]
    words = ["certify", "--prefix", str(home.path), "--deployment", str(deployment.number)]
    done = subprocess.run([*command, *words], capture_output=True, text=True, check=False)
    if done.returncode:
        shutil.rmtree(home.folder(deployment.number), ignore_errors=True)
        raise NotCertified(done.stderr.strip() or f"Certification ended with exit code {done.returncode}.")
    for line in (home.folder(deployment.number) / TEXT).read_text(encoding="utf-8").splitlines():
        logger.info("  %s", line)


def _signer(source: Path) -> Path | None:
    """Return the key that a signed release brings: the first one is trusted, later ones must have it."""
    return source / SIGNER if (source / SIGNER).is_file() else None


def _refuse_older(release: Release, home: Home, wishes: Wishes) -> None:
    present = home.known()
    if present is None or wishes.allow_older:
        return
    try:
        installed = read_release(home.program(present))
    except DamagedFiles:
        return  # what stands there is to be repaired
    if release.order < installed.order:
        raise ReleaseRefused(
            f"This PC has Fracture Edge {installed.version}; the stick has the older {release.version}. "
            "Nothing was changed. `fracture-edge rollback` returns to the version before; with "
            "--allow-older this one is taken."
        )


def _preflight(release: Release, source: Path, home: Home, port: int, wishes: Wishes) -> None:
    own = home.is_installed and processes.health(port) is not None
    copied = not wishes.link and not source.is_relative_to(home.versions)
    strangers = () if home.is_installed else home.strangers()
    facts = preflight.facts_of(home.path, own or preflight.is_free(port), strangers)
    results = preflight.checks(release, facts, copied, port)
    logger.info("This PC:")
    for result in results:
        logger.info("%s", result)
    preflight.require(results)


def _bring(source: Path, home: Home, release: Release, link: bool) -> Path:
    """Bring a release to its place, unless it is there and whole."""
    if source.is_relative_to(home.versions):
        return source
    name = _folder_name(source, release)
    for place in (home.versions / name, *(home.versions / f"{name}.{n}" for n in range(2, 100))):
        if not place.exists():
            break
        try:
            verify_release(place)
        except DamagedFiles:
            continue  # may be running: a whole copy comes beside it
        return place
    logger.info("Copying to %s.", place)
    with home.arriving(place) as folder:
        _copy_tree(source, folder, os.link if link else shutil.copy2)
    verify_release(place)
    return place


def _folder_name(source: Path, release: Release) -> str:
    return f"{release.version}-{release_id(source)}"


def _copy_tree(source: Path, folder: Path, copy: Callable[[Path, Path], object]) -> None:
    """Copy files until one fails, unlike copytree, which goes through all of them and tells no reason."""
    for path in sorted(source.rglob("*")):
        target = folder / path.relative_to(source)
        target.mkdir() if path.is_dir() else copy(path, target)
    for path in [folder, *folder.rglob("*")]:
        if path.is_dir() or copy is shutil.copy2:
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)


def _prove_newest(home: Home, program: Path, port: int, key: Path | None) -> Deployment:
    """Prove the release with the newest model: the stick's, or a newer one that came since."""
    for bundle_dir in _newest_first(home, program):
        deployment = home.deploy(program, bundle_dir, port, key, _repairs(home, program, bundle_dir))
        try:
            prove(home, deployment)
        except NotCertified as error:
            if bundle_dir == program / MODEL:
                raise
            logger.warning("The model that runs now does not fit this release: %s", error)
        else:
            return deployment
    raise AssertionError("the stick's own model is always tried")


def _repairs(home: Home, program: Path, bundle_dir: Path) -> bool:
    """Tell whether a release with a model is what runs already, or what ran before it was damaged."""
    current = home.known()
    name = _folder_name(program, read_release(program))
    if current is None or not Path(current.program).name.startswith(name):
        return False
    try:
        present = load_bundle(home.model(current.number)).manifest
    except BundleError:
        return True
    return present == load_bundle(bundle_dir).manifest


def _newest_first(home: Home, program: Path) -> list[Path]:
    own = program / MODEL
    deployed = home.known()
    if deployed is None:
        return [own]
    present = home.model(deployed.number)
    try:
        newer = load_bundle(present).manifest.created > load_bundle(own).manifest.created
    except EdgeError:
        return [own]
    return [present, own] if newer else [own]


def _switch(home: Home, deployment: Deployment, before: Callable[[], None] = lambda: None) -> None:
    try:
        before()
        home.switch_to(deployment)
    except NotWritable:
        shutil.rmtree(home.folder(deployment.number), ignore_errors=True)
        raise
    home.prune()


def lay_commands(home: Home, program: Path) -> None:
    """Put what starts the app, whatever version is current, beside `current`."""
    for source in sorted((program / "system").glob("bin/*")):
        target = home.path / "bin" / source.name
        if not target.is_file() or target.read_bytes() != source.read_bytes():
            replace_file(target, source.read_bytes(), 0o755)
    for source in sorted([*program.glob("icon.*"), *program.glob("guide-*.html")]):
        replace_file(home.path / source.name, source.read_bytes())


def _unpack(file: Path, folder: Path) -> Path:
    """Unpack a model file; its manifest's hashes are checked afterwards."""
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if any(Path(name).name != name for name in names):
                raise BundleError(f"{file} holds folders, which a model file never does. Do not use it.")
            if sum(entry.file_size for entry in archive.infolist()) > _MODEL_LIMIT_BYTES:
                raise BundleError(f"{file} would unpack to more than any model's size. Do not use it.")
            archive.extractall(folder)
    except FileNotFoundError as error:
        raise BundleError(f"There is no file {file}. Name the model file on the stick.") from error
    except OSError as error:
        raise NotWritable(
            f"{file} cannot be unpacked: {error.strerror}. Free space, and try again."
        ) from error
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise DamagedFiles(f"{file} is no whole model file. {COPY_AGAIN}") from error
    return folder


def windows_prefix() -> Path:
    """Return where the Windows installer puts the app by default."""
    local = os.environ.get("LOCALAPPDATA")
    return Path(local or tempfile.gettempdir()) / "Programs" / "FractureEdge"


def default_prefix() -> Path:
    """Return where an installation goes that names no other place."""
    if sys.platform == "win32":
        return windows_prefix()
    return (
        Path("/opt/fracture-edge")
        if os.geteuid() == 0
        else Path.home() / ".local" / "share" / "fracture-edge"
    )
