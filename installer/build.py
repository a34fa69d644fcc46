"""The order of a build: stage, seal, pack, list."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from edge_app.errors import InstallError
from edge_app.installed.release import SUMS, SUMS_SIGNATURE, read_release, render_sums, sha256_of_file
from installer import pack, seal
from installer.recipe import Recipe
from installer.stage import stage

logger = logging.getLogger("installer")


def build(recipe: Recipe) -> list[Path]:
    """Build every file of a target.

    Args:
        recipe: What goes in.

    Returns:
        The files, with SHA256SUMS and, where there is a key, its signature.

    Raises:
        InstallError: a part cannot be had or packed.
    """
    recipe.out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=recipe.out_dir, prefix=".build-") as folder:
        tree = Path(folder) / recipe.name
        stage(recipe, tree)
        files = pack_release(recipe, tree)
    return [*files, *write_list(recipe, files)]


def pack_release(recipe: Recipe, tree: Path) -> list[Path]:
    """Pack a sealed release in each form that its system takes."""
    logger.info("Packing")
    name = recipe.out_dir / recipe.name
    if recipe.target.system == "windows":
        return [pack.pack_setup(recipe, tree, name.with_name(f"{name.name}-Setup.exe"))]
    packages = [pack.pack_tar(tree, name.with_name(f"{name.name}.tar.gz"), recipe.epoch_s)]
    if recipe.target.device == "cpu":
        glibc = read_release(tree).system_version
        deb = recipe.out_dir / f"fracture-edge_{recipe.version}_amd64.deb"
        packages.append(pack.pack_deb(recipe, tree, deb, glibc))
    return packages


def write_list(recipe: Recipe, files: list[Path]) -> list[Path]:
    """Write the hashes of everything in the output folder, so that one list holds for all targets."""
    known = [path for path in sorted(recipe.out_dir.glob("fracture-edge*")) if path.is_file()]
    if not set(files) <= set(known):
        raise InstallError(f"{recipe.out_dir} lacks what was just built. Is another build at work there?")
    sums = recipe.out_dir / SUMS
    sums.write_text(render_sums({path.name: sha256_of_file(path) for path in known}), encoding="utf-8")
    if recipe.sign_key is None:
        return [sums]
    seal.sign(sums, recipe.out_dir / SUMS_SIGNATURE, recipe.sign_key)
    return [sums, recipe.out_dir / SUMS_SIGNATURE]
