"""A release becomes files for a stick: tar.gz and .deb for Linux, Setup.exe for Windows, a model alone."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from edge_app.errors import InstallError
from edge_app.installed.preflight import longest_prefix, space_bytes
from edge_app.installed.release import read_release, release_id
from edge_app.model.bundle import MANIFEST, SIGNATURE, load_bundle
from installer.launchers import HERE
from installer.recipe import Recipe
from installer.stage import load_names

# Of gzip; 9 takes twice as long for half a percent.
_LEVEL = 6
DEB_PREFIX = Path("/opt/fracture-edge")


def pack_tar(tree: Path, out: Path, epoch_s: int) -> Path:
    """Pack a release as tar.gz.

    Args:
        tree: The sealed release; its folder's name is kept.
        out: The file to write.
        epoch_s: The time that every entry bears.
    """
    with (
        out.open("wb") as raw,
        gzip.GzipFile("", "wb", _LEVEL, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for path in [tree, *sorted(tree.rglob("*"))]:
            name = f"{tree.name}/{path.relative_to(tree).as_posix()}".removesuffix("/.")
            entry = archive.gettarinfo(path, name)
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = "root"
            entry.mtime = epoch_s
            if entry.isdir():
                archive.addfile(entry)
            else:
                with path.open("rb") as file:
                    archive.addfile(entry, file)
    return out


def pack_deb(recipe: Recipe, tree: Path, out: Path, glibc: Sequence[int]) -> Path:
    """Pack a release as a Debian package; dpkg owns a copy, which the installation links to.

    Args:
        recipe: The build.
        tree: The sealed release.
        out: The file to write.
        glibc: The oldest glibc that it runs on.

    Raises:
        InstallError: dpkg-deb is missing or fails.
    """
    root = tree.parent / "deb"
    package = root / DEB_PREFIX.relative_to("/") / "package"
    shutil.copytree(tree, package, copy_function=os.link)
    control = root / "DEBIAN"
    control.mkdir()
    (control / "control").write_text(_control(recipe, tree, glibc), encoding="utf-8")
    for script in ("postinst", "prerm"):
        text = (HERE / "linux" / f"deb-{script}").read_text(encoding="utf-8")
        (control / script).write_text(text.replace("@PREFIX@", str(DEB_PREFIX)), encoding="utf-8")
        (control / script).chmod(0o755)
    for path in [*package.parents, *package.rglob("*"), *control.iterdir(), control, package]:
        if path.is_relative_to(root):
            os.utime(path, (recipe.epoch_s, recipe.epoch_s))
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", f"-z{_LEVEL}", "--build", str(root), str(out)]
    _run(command, "dpkg-deb", "dpkg", {"SOURCE_DATE_EPOCH": str(recipe.epoch_s)})
    shutil.rmtree(root)
    return out


def _control(recipe: Recipe, tree: Path, glibc: Sequence[int]) -> str:
    size_kib = sum(path.stat().st_size for path in tree.rglob("*") if path.is_file()) // 1024
    return (
        f"Package: fracture-edge\nVersion: {recipe.version}\nArchitecture: amd64\n"
        "Maintainer: Fracture Edge <fracture-edge@localhost>\nSection: science\nPriority: optional\n"
        f"Installed-Size: {size_kib}\nDepends: libc6 (>= {'.'.join(map(str, glibc))})\n"
        "Description: fracture detection on X-rays, on this PC alone\n"
        " Assistive tool, not a diagnosis. A page at localhost; no network is needed.\n"
    )


def pack_setup(recipe: Recipe, tree: Path, out: Path) -> Path:
    """Pack a release as a Windows installer.

    Args:
        recipe: The build.
        tree: The sealed release.
        out: The file to write.

    Raises:
        InstallError: makensis is missing or fails.
    """
    release = read_release(tree)
    words = {
        "TREE": tree,
        "OUT": out.resolve(),
        "VERSION": recipe.version,
        "NAME": f"{recipe.version}-{release_id(tree)}",
        "SIZE_KIB": release.disk_bytes // 1024,
        "SPACE_BYTES": space_bytes(release),
        "SPACE_MB": space_bytes(release) // 1_000_000,
        "LONGEST_PREFIX": longest_prefix(release),
    }
    defines = [f"-D{word}={value}" for word, value in words.items()]
    command = ["makensis", "-V2", "-INPUTCHARSET", "UTF8", *defines, str(HERE / "windows" / "setup.nsi")]
    _run(command, "makensis", "nsis", {"SOURCE_DATE_EPOCH": str(recipe.epoch_s)})
    return out


def pack_model(bundle_dir: Path, out_dir: Path, epoch_s: int) -> Path:
    """Pack a model bundle alone, for `fracture-edge update-model`.

    Args:
        bundle_dir: The bundle; its signature goes along if it has one.
        out_dir: Where to.
        epoch_s: The time that every entry bears.

    Returns:
        The file.
    """
    manifest = load_bundle(bundle_dir).manifest
    name = re.sub(r"[^A-Za-z0-9.-]+", "-", f"{manifest.name}-{manifest.version}")
    out_dir.mkdir(parents=True, exist_ok=True)
    out = out_dir / f"fracture-edge-model-{name}.zip"
    day = datetime.fromtimestamp(epoch_s, UTC).timetuple()[:6]
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for file_name in [MANIFEST, SIGNATURE, *load_names(bundle_dir)]:
            if (bundle_dir / file_name).is_file():
                entry = zipfile.ZipInfo(file_name, day)
                entry.external_attr = 0o644 << 16
                archive.writestr(entry, (bundle_dir / file_name).read_bytes(), zipfile.ZIP_DEFLATED)
    return out


def _run(command: list[str], program: str, package: str, environment: dict[str, str]) -> None:
    if shutil.which(program) is None:
        raise InstallError(f"{program} is needed to build this: apt install {package}")
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )
    if done.returncode:
        raise InstallError(f"{program} failed: {done.stdout[-2000:]}{done.stderr[-2000:]}")
