"""The bill of materials (CycloneDX): every part of a release, its version, licence and hash."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import Distribution
from pathlib import Path

from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from edge_app.installed.release import MODEL, sha256_of_file
from edge_app.model.bundle import MANIFEST
from installer.recipe import Recipe


def bill_of_materials(recipe: Recipe, tree: Path, python: str, packages: Sequence[Distribution]) -> str:
    """List the parts of a staging tree.

    Args:
        recipe: The build.
        tree: The staging tree.
        python: The version of its Python.
        packages: The Python packages in it.

    Returns:
        CycloneDX 1.6 as JSON; the same parts give the same text.
    """
    bom = Bom(serial_number=uuid.uuid5(uuid.NAMESPACE_URL, recipe.name))
    bom.metadata.timestamp = datetime.fromtimestamp(recipe.epoch_s, UTC)
    bom.metadata.component = Component(
        name="fracture-edge",
        version=recipe.version,
        type=ComponentType.APPLICATION,
        bom_ref="fracture-edge",
    )
    bom.components.add(_python(python))
    bom.components.add(_model(tree))
    bom.components.update(map(_package, packages))
    bom.components.update(_library(path) for path in sorted((tree / "runtime" / "lib").glob("*.so*")))
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def licence_of(package: Distribution) -> str:
    """Return a package's licence as it tells it, in a line; empty where it tells none."""
    about = package.metadata
    told = [*(about.get_all("License-Expression") or []), *(about.get_all("License") or [])]
    classified = [each for each in about.get_all("Classifier") or [] if each.startswith("License ::")]
    lines = [text.splitlines()[0] for text in told if text]
    return lines[0] if lines else ", ".join(each.rpartition(" :: ")[2] for each in classified)


def _python(version: str) -> Component:
    return Component(
        name="CPython",
        version=version,
        type=ComponentType.PLATFORM,
        bom_ref="cpython",
        licenses=[DisjunctiveLicense(id="Python-2.0.1")],
    )


def _model(tree: Path) -> Component:
    manifest = tree / MODEL / MANIFEST
    content = json.loads(manifest.read_bytes())
    return Component(
        name=content["name"],
        version=content["version"],
        type=ComponentType.MACHINE_LEARNING_MODEL,
        bom_ref="model",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256_of_file(manifest))],
    )


def _package(package: Distribution) -> Component:
    licence = licence_of(package)
    purl = PackageURL("pypi", name=package.name.lower().replace("_", "-"), version=package.version)
    return Component(
        name=package.name,
        version=package.version,
        purl=purl,
        bom_ref=str(purl),
        licenses=[DisjunctiveLicense(name=licence)] if licence else [],
    )


def _library(path: Path) -> Component:
    return Component(
        name=path.name,
        type=ComponentType.LIBRARY,
        bom_ref=path.name,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256_of_file(path))],
    )
