"""An HTML report in one file: text, tables and plots, without scripts, readable on paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, PackageLoader
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from edge_app.files import write_whole

# Okabe & Ito's colours stay apart for colour-blind readers. The pale ones are left out, and the purple is
# darker than theirs, so that every line can be seen on paper.
# Source: Okabe & Ito, Color universal design, 2008.
BLUE, VERMILION, GREEN, PURPLE, GREY = "#0072B2", "#D55E00", "#009E73", "#AA4499", "#666666"
PALETTE = (BLUE, VERMILION, GREEN, PURPLE, GREY)
_DPI = 150
_TEMPLATES = Environment(
    loader=PackageLoader("training.evaluation"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True)
class Plot:
    """A figure with its caption, which says in words what the figure shows."""

    figure: Figure
    caption: str

    @property
    def width_px(self) -> int:
        """The width on the page, in CSS pixels, of which an inch has 96."""
        return round(self.figure.get_size_inches()[0] * 96)

    @property
    def png_url(self) -> str:
        """The picture as a `data:` URL."""
        return figure_png(self.figure)


@dataclass(frozen=True)
class Table:
    """Rows of text under named columns; the first column names the row.

    `numbers` sets the other columns flush right, as figures are read.
    """

    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@dataclass(frozen=True)
class Section:
    """A part of a report: paragraphs, then warnings, tables and plots."""

    title: str
    text: Sequence[str] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    warnings: Sequence[str] = ()

    def _repr_html_(self) -> str:
        """Return the section as HTML, by which notebooks show it."""
        return _TEMPLATES.get_template("section.html").render(section=self)


def new_axes(
    title: str, x_label: str, y_label: str, width_in: float = 4.6, height_in: float = 3.8
) -> tuple[Figure, Axes]:
    """Start a figure with one plot, in the report's style.

    Args:
        title: Above the plot.
        x_label: What the horizontal axis shows, with its unit.
        y_label: What the vertical axis shows, with its unit.
        width_in: Width in inches.
        height_in: Height in inches.

    Returns:
        The figure and its axes.
    """
    figure = Figure((width_in, height_in), layout="constrained")
    axes = figure.add_subplot()
    axes.set_prop_cycle(color=PALETTE)
    axes.set_title(title, fontsize=11, loc="left")
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def figure_png(figure: Figure) -> str:
    """Return a figure as a `data:` URL of a PNG; the same figure gives the same URL."""
    buffer = BytesIO()
    FigureCanvasAgg(figure).print_figure(buffer, format="png", dpi=_DPI, metadata={"Software": None})
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def write_report(path: Path, title: str, subtitle: str, sections: Sequence[Section]) -> None:
    """Write a report in one step: a file under its name is always whole.

    Args:
        path: The HTML file; its directory must exist.
        title: The heading.
        subtitle: One line below it.
        sections: What the report says, in order.
    """
    page = _TEMPLATES.get_template("report.html").render(title=title, subtitle=subtitle, sections=sections)
    with write_whole(path) as place:
        place.write_text(page, encoding="utf-8")
