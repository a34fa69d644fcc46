"""A study to a PDF, a sheet for each view: pictures, figures, disclaimer, room for the reader."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from fpdf import FPDF
from fpdf.enums import TextDirection, XPos, YPos

from edge_app.imaging.images import encode_png
from edge_app.imaging.overlay import overlay
from edge_app.predictor import Prediction
from edge_app.reports.content import View, Words

FONTS_DIR = Path(__file__).resolve().parent.parent / "web" / "static" / "fonts"
# The fonts of scripts that Noto Sans does not hold, by the code of a language that is written in them.
SCRIPT_FONTS = {"ar": "NotoSansArabic", "bn": "NotoSansBengali", "hi": "NotoSansDevanagari"}
LATIN_FONT = "NotoSans"
_PAGE_MM, _MARGIN_MM, _GAP_MM, _PICTURE_MM = 210.0, 15.0, 6.0, 95.0
_LINE_MM, _BOX_MM = 6.5, 32.0


def to_pdf(views: Sequence[View], facts: Sequence[tuple[str, str]], words: Words) -> bytes:
    """Write a report.

    Args:
        views: The study's views, at least one.
        facts: What is said of the study as a whole: pairs of a label and a text.
        words: The fixed texts.

    Returns:
        The bytes of a PDF file; only the letters in use are in it.
    """
    sheet = _Sheet(words)
    for number, view in enumerate(views, start=1):
        sheet.add_page()
        sheet.heading(f"{words.title} {number}/{len(views)}" if len(views) > 1 else words.title)
        sheet.facts(facts)
        sheet.pictures(view.prediction)
        sheet.answer(view.answer)
        sheet.facts(view.facts)
        for sentence in (*view.remarks, words.notice):
            sheet.answer(sentence)
        sheet.boxes()
    return bytes(sheet.output())


class _Sheet(FPDF):
    """Lays texts and pictures from top to bottom, from the side where the language begins."""

    def __init__(self, words: Words) -> None:
        super().__init__(format="A4")
        self._words = words
        self._begin = "R" if words.is_right_to_left else "L"
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(False)
        self.set_creator("Fracture Edge")
        families = [LATIN_FONT, *SCRIPT_FONTS.values()]
        for family in families:
            self.add_font(family, "", FONTS_DIR / f"{family}-Regular.ttf")
            self.add_font(family, "B", FONTS_DIR / f"{family}-Bold.ttf")
        self._family = SCRIPT_FONTS.get(words.language, LATIN_FONT)
        self.set_fallback_fonts(
            [family for family in families if family != self._family], exact_match=False
        )
        self.set_text_shaping(True, direction=TextDirection.RTL if words.is_right_to_left else None)

    def heading(self, text: str) -> None:
        self._write(text, 16, "B")

    def answer(self, text: str) -> None:
        self._write(text, 12, "B")

    def facts(self, facts: Sequence[tuple[str, str]]) -> None:
        for label, text in facts:
            self._write(f"{label}: {text}", 10)

    def pictures(self, prediction: Prediction) -> None:
        """Show the X-ray and, where there is one, its heat map side by side, each under its name."""
        shown = [(self._words.xray, encode_png(prediction.picture))]
        if prediction.has_evidence:
            warm = encode_png(overlay(prediction.picture, prediction.heatmap))
            shown.append((self._words.heatmap, warm))
        width_mm = (_PAGE_MM - 2 * _MARGIN_MM - _GAP_MM) / 2
        top_mm = self.get_y() + 2
        for place, (name, png) in enumerate(shown):
            left_mm = _MARGIN_MM + place * (width_mm + _GAP_MM)
            file = io.BytesIO(png)
            self.image(file, left_mm, top_mm, width_mm, _PICTURE_MM, keep_aspect_ratio=True)
            self.set_xy(left_mm, top_mm + _PICTURE_MM + 1)
            self.set_font(self._family, "", 9)
            self.cell(width_mm, 5, name, align="C")
        self.set_xy(_MARGIN_MM, top_mm + _PICTURE_MM + 8)

    def boxes(self) -> None:
        """Leave room for the reader's own judgement and signature."""
        for label, height_mm in ((self._words.judgement, _BOX_MM), (self._words.signature, _BOX_MM / 2)):
            self._write(label, 10)
            self.rect(_MARGIN_MM, self.get_y(), _PAGE_MM - 2 * _MARGIN_MM, height_mm)
            self.set_y(self.get_y() + height_mm + 2)

    def _write(self, text: str, size_pt: int, style: str = "") -> None:
        self.set_font(self._family, style, size_pt)
        self.multi_cell(0, _LINE_MM, text, align=self._begin, new_x=XPos.LMARGIN, new_y=YPos.NEXT)
