"""Real pictures that are no X-rays: the samples that installed packages bring, and folders of one's own."""

from __future__ import annotations

import gzip
import importlib.util
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import ImageError
from edge_app.imaging.decode import decode
from edge_app.imaging.images import shrink

Picture = NDArray[np.uint8]
_LONGEST_PX = 1400
_ENDINGS = (".jpg", ".jpeg", ".png")

logger = logging.getLogger("export")


class Album(NamedTuple):
    """Pictures of one kind in an installed package: the folder inside it, and which ones are meant."""

    package: str
    folder: str
    names: tuple[str, ...]


PHOTOGRAPHS_TO_FIT = (
    Album(
        "skimage",
        "data",
        (
            "astronaut.png",
            "brick.png",
            "camera.png",
            "cell.png",
            "chelsea.png",
            "coffee.png",
            "coins.png",
            "grass.png",
            "gravel.png",
            "hubble_deep_field.jpg",
            "ihc.png",
            "moon.png",
            "motorcycle_left.png",
            "retina.jpg",
            "rocket.jpg",
        ),
    ),
    Album("sklearn", "datasets/images", ("china.jpg", "flower.jpg")),
)
PHOTOGRAPHS_TO_TEST = (
    Album("matplotlib", "mpl-data/sample_data", ("grace_hopper.jpg", "Minduka_Present_Blue_Pack.png")),
    Album("mahotas", "demos/data", ("DepartmentStore.jpg", "lena.jpg", "luispedro.jpg", "nuclear.png")),
)
DOCUMENTS_TO_TEST = (Album("skimage", "data", ("page.png", "text.png", "horse.png", "logo.png")),)
SLICES_TO_TEST = (Album("pydicom", "data/test_files", ("CT_small.dcm", "MR_small.dcm")),)
_HEAD_SLICE = Album("matplotlib", "mpl-data/sample_data", ("s1045.ima.gz",))
_HEAD_SLICE_SHAPE = (256, 256)


def read_album(albums: tuple[Album, ...]) -> list[Picture]:
    """Read the pictures of those albums whose packages are installed.

    Args:
        albums: Where to look.

    Returns:
        uint8 (H, W) each, at most `_LONGEST_PX` on a side.
    """
    return _readable(path for album in albums for path in _paths(album))


def read_folder(folder: Path) -> list[Picture]:
    """Read every picture of a folder and its sub-folders that the app can read.

    Args:
        folder: The folder.

    Returns:
        uint8 (H, W) each, at most `_LONGEST_PX` on a side.
    """
    return _readable(sorted(path for path in folder.rglob("*") if path.suffix.lower() in _ENDINGS))


def head_slices() -> list[Picture]:
    """Read the slice through a head that Matplotlib brings, in three windows; magnetic resonance."""
    slices = []
    for path in _paths(_HEAD_SLICE):
        levels = np.frombuffer(gzip.decompress(path.read_bytes()), ">u2").reshape(_HEAD_SLICE_SHAPE)
        for brightest in (97, 99.5, 100):
            scaled = levels * 255.0 / np.percentile(levels, brightest)
            slices.append(np.clip(scaled, 0, 255).astype(np.uint8))
    return slices


def cropped(picture: Picture, generator: np.random.Generator) -> Picture:
    """Cut a part out of a picture, at least a third of each side, and turn half of them round."""
    height, width = (max(64, int(side * generator.uniform(0.35, 1))) for side in picture.shape)
    top = int(generator.integers(0, max(1, picture.shape[0] - height + 1)))
    left = int(generator.integers(0, max(1, picture.shape[1] - width + 1)))
    part = picture[top : top + height, left : left + width]
    return part[:, ::-1] if generator.random() < 0.5 else part


def _paths(album: Album) -> Iterator[Path]:
    found = importlib.util.find_spec(album.package)
    if found is None or found.origin is None:
        logger.info("Without the package %s its %d pictures are missing.", album.package, len(album.names))
        return
    folder = Path(found.origin).parent / album.folder
    yield from (folder / name for name in album.names if (folder / name).is_file())


def _readable(paths: Iterable[Path]) -> list[Picture]:
    pictures = []
    for path in paths:
        try:
            pictures.append(shrink(decode(path.read_bytes()).pixels, _LONGEST_PX))
        except ImageError as error:
            logger.info("%s is passed over: %s", path.name, error)
    return pictures
