"""The staging tree: everything that the stick's folder holds, before it is sealed."""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from edge_app.errors import InstallError
from edge_app.installed.release import MODEL
from edge_app.model.bundle import MANIFEST, SIGNATURE, load_bundle
from edge_app.model.bundle import MODEL as WHOLE_MODEL
from installer import guides, launchers, parts, seal, wheels
from installer.recipe import ROOT, Recipe
from installer.runtime import LAYOUTS, lay_runtime

RUNTIME = "runtime"
LICENCES = "licences"
_CACHES = shutil.ignore_patterns("__pycache__", "*.pyc")

logger = logging.getLogger("installer")


def stage(recipe: Recipe, tree: Path) -> None:
    """Lay out a release and seal it.

    Args:
        recipe: What goes in.
        tree: The folder to make; must not exist.

    Raises:
        InstallError: a part cannot be had.
        BundleError: the model bundle must not be used, or is not signed with the recipe's key.
    """
    layout = LAYOUTS[recipe.target.system]
    runtime_dir, licences_dir = tree / RUNTIME, tree / LICENCES
    licences_dir.mkdir(parents=True)
    logger.info("Python")
    source = lay_runtime(recipe, runtime_dir, licences_dir)
    site_dir = runtime_dir / layout.site
    logger.info("Wheels of %s", recipe.target.lock)
    wheels.lay_wheels(recipe.target, site_dir, runtime_dir)
    logger.info("App, model, guides")
    shutil.copytree(ROOT / "edge_app", site_dir / "edge_app", ignore=_CACHES)
    _compile(runtime_dir, layout.library)
    _copy_model(recipe, tree)
    packages = sorted(distributions(path=[str(site_dir)]), key=lambda package: package.name.lower())
    _write_licences(packages, licences_dir)
    launchers.lay_launchers(recipe, tree, site_dir)
    guides.write_guides(recipe, tree)
    logger.info("Bill of materials, hashes%s", ", signature" if recipe.sign_key else "")
    seal.seal(recipe, tree, source, packages)


def _compile(runtime_dir: Path, library: str) -> None:
    """Write byte code that is taken without a look at the source, so that the clinic writes none."""
    folder = runtime_dir / library
    command = [sys.executable, "-m", "compileall", "-q", "-j", "0", "--invalidation-mode", "unchecked-hash"]
    options = ["-s", str(runtime_dir), "-x", r"lib2to3|/tests?/|bad_coding|badsyntax", str(folder)]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    done = subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise InstallError(f"Byte code could not be written: {done.stdout}{done.stderr}")


def _copy_model(recipe: Recipe, tree: Path) -> None:
    """Copy what the manifest lists, and its signature; a choice made on this machine stays here."""
    names = [MANIFEST, *load_names(recipe.bundle_dir)]
    if (recipe.bundle_dir / SIGNATURE).is_file():
        names.append(SIGNATURE)
    (tree / MODEL).mkdir()
    for name in names:
        shutil.copy(recipe.bundle_dir / name, tree / MODEL / name)
    if recipe.sign_key is not None:
        load_bundle(tree / MODEL, trusted_key=seal.write_signer(recipe.sign_key, tree))


def load_names(bundle_dir: Path) -> list[str]:
    """Return the names of the files that a bundle's manifest lists, without the whole model.

    That is for other runtimes: the same weights a second time.
    """
    return sorted(json.loads((bundle_dir / MANIFEST).read_bytes())["files"].keys() - {WHOLE_MODEL})


def _write_licences(packages: list[Distribution], licences_dir: Path) -> None:
    """Say under which licence each package is; the texts lie beside the packages and here."""
    lines = []
    for package in packages:
        licence = parts.licence_of(package) or "see its folder"
        lines.append(f"{package.name} {package.version}: {licence}")
    (licences_dir / "PACKAGES.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, licences_dir / name)
