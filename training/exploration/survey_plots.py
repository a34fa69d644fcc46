"""Plots of a surveyed data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from edge_app.imaging.images import decode_image
from training.data.samples import Sample
from training.data.splits import BLOCK_SIZE
from training.evaluation.html_report import BLUE, VERMILION, Plot, new_axes
from training.exploration.survey import Survey

SHEET_COLUMNS = 6
_WIDE_IN = 9.6
_BINS = 40
_GRID = 25
_NAME_LENGTH = 24


def bars(survey: Survey, members: Mapping[str, Sequence[int]], what: str) -> Plot:
    """Plot how many X-rays of both classes stand under each name.

    Args:
        survey: The data set.
        members: The indices of readable X-rays by name.
        what: What the names are.

    Returns:
        A bar for each name.
    """
    names, rows = list(members)[::-1], range(len(members))
    figure, axes = new_axes(f"X-rays by {what}", "X-rays", "", height_in=1.6 + 0.3 * len(names))
    start = np.zeros(len(names))
    for name, colour, label in _classes(survey):
        counts = np.array([(survey.labels[list(members[row])] == label).sum() for row in names])
        axes.barh(rows, counts, left=start, color=colour, label=name)
        start += counts
    axes.set_yticks(rows, names, parse_math=False)
    axes.legend(frameon=False, loc="lower right")
    return Plot(figure, f"Readable X-rays of both classes by {what}.")


def histogram(
    survey: Survey, values: NDArray[Any], title: str, unit: str, logarithmic: bool = False
) -> Plot:
    """Plot how a fact is spread in each class.

    Args:
        survey: The data set.
        values: (N,), one a readable X-ray.
        title: What the fact is.
        unit: Its unit.
        logarithmic: Whether the values' axis is; then they must be above 0.

    Returns:
        Two histograms over each other, each as shares of its class.
    """
    figure, axes = new_axes(title, unit, "share of the class (%)")
    spaced = np.geomspace if logarithmic else np.linspace
    edges = spaced(0.99 * values.min(), 1.01 * values.max(), _BINS + 1).tolist()
    for name, colour, label in _classes(survey):
        of_class = values[survey.labels == label]
        shares = np.full(len(of_class), 100 / len(of_class))
        axes.hist(of_class, edges, weights=shares, color=colour, alpha=0.5, label=name)
    if logarithmic:
        axes.set_xscale("log")
    axes.legend(frameon=False)
    return Plot(figure, f"{title} in each class; each class adds up to 100 %.")


def sizes_of_groups(counts: Counter[str], what: str) -> Plot:
    """Plot how many groups, such as patients, have how many X-rays.

    Args:
        counts: X-rays by group.
        what: What the groups are, in the plural.

    Returns:
        A histogram.
    """
    figure, axes = new_axes(f"X-rays of {what}", "X-rays", what)
    sizes = Counter(counts.values())
    axes.bar(list(sizes), list(sizes.values()), color=BLUE)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return Plot(figure, f"How many {what} have how many X-rays.")


def order_of_export(survey: Survey) -> Plot:
    """Plot the share of the positive class along the export numbers, which all samples must have."""
    blocks = np.array([(sample.number or 0) // BLOCK_SIZE for sample in survey.scan.samples])
    present = np.unique(blocks)
    shares = [100 * survey.labels[blocks == block].mean() for block in present]
    positive = survey.dataset.positive
    figure, axes = new_axes("Order of export", "export number", f"share with {positive} (%)", _WIDE_IN)
    axes.bar(present * BLOCK_SIZE, shares, BLOCK_SIZE, align="edge", color=VERMILION)
    caption = (
        f"The share with {positive} in each block of {BLOCK_SIZE} export numbers. Where it jumps, the "
        "number alone tells the label; a split keeps blocks whole."
    )
    return Plot(figure, caption)


def box_centres(centres: NDArray[np.float64]) -> Plot:
    """Plot where boxes lie.

    Args:
        centres: float64 (n, 2), y and x as fractions of the picture.

    Returns:
        A heat map over the picture.
    """
    figure, axes = new_axes("Where the boxes' centres lie", "share of width", "share of height")
    counts, _ = np.histogramdd(centres, _GRID, ((0, 1), (0, 1)))
    drawn = axes.imshow(counts, cmap="magma", extent=(0, 1, 1, 0))
    axes.grid(visible=False)
    figure.colorbar(drawn, label="boxes")
    return Plot(figure, "Centres of all boxes, laid over one picture; black means none.")


def box_lengths(shares: NDArray[np.float64]) -> Plot:
    """Plot how long boxes are.

    Args:
        shares: float64 (n,), each box's longer side as a fraction of its picture's.

    Returns:
        A histogram.
    """
    figure, axes = new_axes("Sizes of the boxes", "longer side, share of the picture's (%)", "boxes")
    axes.hist(100 * shares, _BINS, color=VERMILION)
    return Plot(figure, "How long the boxes are, compared with the picture's longer side.")


def draw_samples(samples: Sequence[Sample]) -> Figure:
    """Draw X-rays with their boxes and the ends of their names, `SHEET_COLUMNS` in a row.

    Args:
        samples: Readable ones.

    Returns:
        The figure.
    """
    figure, places = _sheet(len(samples))
    for axes, sample in zip(places, samples, strict=True):
        image = decode_image(sample.path.read_bytes())
        height, width = image.shape
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.set_title(sample.image_id[-_NAME_LENGTH:], fontsize=6, parse_math=False)
        for box in sample.boxes:
            corner, size = (box.x * width, box.y * height), (box.width * width, box.height * height)
            axes.add_patch(Rectangle(corner, *size, fill=False, edgecolor=VERMILION))
    return figure


def draw_squares(squares: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.uint8]]) -> Figure:
    """Draw squares with the outlines of their masks, `SHEET_COLUMNS` in a row.

    Args:
        squares: uint8 (S, S) each.
        masks: uint8 (S, S) each, 255 inside a box and 0 elsewhere.

    Returns:
        The figure.
    """
    figure, places = _sheet(len(squares))
    for axes, square, mask in zip(places, squares, masks, strict=True):
        axes.imshow(square, cmap="gray", vmin=0, vmax=255)
        axes.contour(mask, [127.5], colors=VERMILION)
    return figure


def _sheet(count: int) -> tuple[Figure, list[Axes]]:
    """Start a figure with `count` places for pictures."""
    rows = -(-count // SHEET_COLUMNS)
    figure = Figure((_WIDE_IN, 2.1 * rows), layout="constrained")
    grid = figure.subplots(rows, SHEET_COLUMNS, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    return figure, list(grid.flat[:count])


def _classes(survey: Survey) -> list[tuple[str, str, int]]:
    """Return each class's name, its colour and its label."""
    return [(survey.dataset.positive, VERMILION, 1), ("normal", BLUE, 0)]
