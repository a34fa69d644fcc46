"""An HTML report in one file: text, tables and plots, without scripts, readable on paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

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
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff;
  max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { margin-bottom: 0; }
h2 { margin-top: 2.5rem; border-bottom: 2px solid #0072b2; break-after: avoid; }
p { max-width: 46rem; }
.subtitle { color: #555; margin-top: 0.2rem; }
.warning { border-left: 5px solid #d55e00; background: #fdf1ea; padding: 0.5rem 0.8rem; }
.exhibits { display: flex; flex-wrap: wrap; gap: 1.5rem 3rem; align-items: flex-start; margin: 1.2rem 0; }
figure { margin: 0; max-width: 100%; overflow-x: auto; }
img { max-width: 100%; height: auto; break-inside: avoid; }
figcaption { color: #555; font-size: 0.88rem; max-width: 40rem; }
table { border-collapse: collapse; font-size: 0.92rem; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 1rem 0.25rem 0; text-align: left; vertical-align: top; }
thead th { border-bottom: 1px solid #1a1a1a; }
tbody tr { border-bottom: 1px solid #ddd; break-inside: avoid; }
tbody th { font-weight: normal; }
.numbers td, .numbers thead th + th { text-align: right; padding: 0.25rem 0 0.25rem 0.9rem; }
.numbers th, .numbers td { white-space: nowrap; }
@media print { body { font-size: 9pt; margin: 0; max-width: none; } figure { overflow-x: visible; } }
"""


@dataclass(frozen=True)
class Plot:
    """A figure with its caption, which says in words what the figure shows."""

    figure: Figure
    caption: str


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
        return _section(self)


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
    body = "".join(_section(section) for section in sections)
    page = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p class="subtitle">{escape(subtitle)}</p>
{body}</body>
</html>
"""
    with write_whole(path) as place:
        place.write_text(page, encoding="utf-8")


def _section(section: Section) -> str:
    parts = [f"<section>\n<h2>{escape(section.title)}</h2>\n"]
    parts += [f"<p>{escape(paragraph)}</p>\n" for paragraph in section.text]
    parts += [f'<p class="warning">{escape(warning)}</p>\n' for warning in section.warnings]
    exhibits = [*map(_table, section.tables), *map(_plot, section.plots)]
    if exhibits:
        parts += ['<div class="exhibits">\n', *exhibits, "</div>\n"]
    return "".join([*parts, "</section>\n"])


def _table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(column)}</th>' for column in table.columns)
    rows = "".join(_row(row) for row in table.rows)
    kind = ' class="numbers"' if table.numbers else ""
    return (
        f"<figure><figcaption>{escape(table.caption)}</figcaption>\n<table{kind}>\n"
        f"<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></figure>\n"
    )


def _row(row: Sequence[str]) -> str:
    name, *cells = row
    values = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(name)}</th>{values}</tr>\n'


def _plot(plot: Plot) -> str:
    width_px = round(plot.figure.get_size_inches()[0] * 96)
    caption = escape(plot.caption)
    image = f'<img width="{width_px}" src="{figure_png(plot.figure)}" alt="{caption}">'
    return f'<figure style="width: {width_px}px">{image}<figcaption>{caption}</figcaption></figure>\n'
