from __future__ import annotations

import base64
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.evaluation.html_report import (
    PALETTE,
    Plot,
    Section,
    Table,
    figure_png,
    new_axes,
    write_report,
)


def line_plot() -> Plot:
    figure, axes = new_axes("title", "x", "y", width_in=4, height_in=3)
    axes.plot([0, 1], [0, 1])
    return Plot(figure, 'caption with <b> & "quotes"')


def decoded(url: str) -> np.ndarray:
    header, data = url.split(",")
    assert header == "data:image/png;base64"
    return cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)


def test_figure_becomes_a_png_of_its_size() -> None:
    assert decoded(figure_png(line_plot().figure)).shape == (450, 600, 3)


def test_same_figure_gives_the_same_bytes() -> None:
    assert figure_png(line_plot().figure) == figure_png(line_plot().figure)


def test_report_holds_everything_in_one_file_without_scripts(tmp_path: Path) -> None:
    table = Table("counts", ["part", "X-rays"], [["hand", "12"]])
    section = Section("Parts", ["A paragraph."], [table], [line_plot()], ["A warning."])
    write_report(tmp_path / "report.html", "A title", "a subtitle", [section])
    page = (tmp_path / "report.html").read_text()
    for text in ("A title", "a subtitle", "A paragraph.", "A warning.", "counts", "X-rays", "hand", "12"):
        assert f">{text}<" in page
    assert "<script" not in page
    assert "://" not in page
    assert "default-src 'none'" in page
    assert page.count('src="data:image/png;base64,') == 1
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize("place", ["title", "subtitle", "section", "text", "warning", "caption", "cell"])
def test_text_is_escaped_wherever_it_stands(tmp_path: Path, place: str) -> None:
    def at(here: str) -> str:
        return '<img src="x">' if here == place else "plain"

    table = Table(at("caption"), ["name", at("cell")], [[at("cell"), at("cell")]])
    section = Section(at("section"), [at("text")], [table], warnings=[at("warning")])
    write_report(tmp_path / "report.html", at("title"), at("subtitle"), [section])
    page = (tmp_path / "report.html").read_text()
    assert "<img" not in page
    assert "&lt;img src=&#34;x&#34;&gt;" in page


def test_caption_of_a_plot_is_escaped_in_its_attribute(tmp_path: Path) -> None:
    write_report(tmp_path / "report.html", "t", "s", [Section("Plots", plots=[line_plot()])])
    assert 'alt="caption with &lt;b&gt; &amp; &#34;quotes&#34;"' in (tmp_path / "report.html").read_text()


def test_every_colour_stands_out_from_the_page() -> None:
    # WCAG 2.2, success criterion 1.4.11: graphics need a contrast of 3 to 1
    def contrast(colour: str) -> float:
        channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return 1.05 / (linear @ [0.2126, 0.7152, 0.0722] + 0.05)

    assert min(map(contrast, PALETTE)) > 3
