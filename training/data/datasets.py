"""A folder of X-rays to one table, whatever its layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from edge_app.errors import DataError
from training.data.layouts import class_folders, fracatlas, mura
from training.data.samples import Dataset, Sample

_LAYOUTS = (fracatlas, mura, class_folders)


def read_dataset(data_dir: Path) -> Dataset:
    """Read a folder, telling its layout by what stands in it.

    Args:
        data_dir: A folder in the FracAtlas or MURA layout, or with class folders.

    Returns:
        The data set, with both classes.

    Raises:
        DataError: the folder fits no layout, a table names absent images, or only one class occurs.
    """
    if not data_dir.is_dir():
        raise DataError(f"There is no folder {data_dir}. Name a folder of X-rays with --data.")
    layout = next((layout for layout in _LAYOUTS if layout.fits(data_dir)), None)
    if layout is None:
        found = sorted(path.name for path in data_dir.iterdir())[:5]
        raise DataError(
            f"{data_dir} fits no layout that is known. It holds {', '.join(found) or 'nothing'}. "
            f"Expected {'; or '.join(layout.EXPECTED for layout in _LAYOUTS)}."
        )
    dataset = layout.read(data_dir)
    _check(data_dir, dataset.samples)
    return dataset


def _check(data_dir: Path, samples: Sequence[Sample]) -> None:
    doubled = [image_id for image_id, n in Counter(s.image_id for s in samples).items() if n > 1]
    if doubled:
        raise DataError(f"The tables in {data_dir} list {doubled[0]} more than once. Keep one row of it.")
    absent = [sample for sample in samples if not sample.path.is_file()]
    if absent:
        raise DataError(
            f"The tables in {data_dir} name {len(absent)} images that are not there, the first is "
            f"{absent[0].path}. Restore the images or remove their rows."
        )
    classes = {sample.fractured for sample in samples}
    if len(classes) < 2:
        found = {True: "fractured", False: "normal"}
        told = f"all {len(samples)} X-rays are {found[classes.pop()]}" if classes else "there is no X-ray"
        raise DataError(f"Both fractured and normal X-rays are needed; in {data_dir} {told}.")
