"""Cut the fonts of page and report from Debian's: `python -m tools.fonts` (apt install fonts-noto-core)."""

from __future__ import annotations

import sys
from pathlib import Path

from fontTools import subset

SOURCE_DIR = Path("/usr/share/fonts/truetype/noto")
TARGET_DIR = Path(__file__).resolve().parent.parent / "edge_app" / "web" / "static" / "fonts"
WEIGHTS = ("Regular", "Bold")
PUNCTUATION = "U+0020-007E,U+00A0-00FF,U+2010-2027,U+2030,U+2032-2033,U+2039-203A,U+2212,U+25CC"
# Whole scripts, not only the letters of the catalogues: a person types names into the report.
SCRIPTS = {
    "NotoSans": "U+0100-024F,U+02BC,U+02C6-02DD,U+0300-030C,U+1E00-1EFF,U+20AC,U+2190-2193,U+2264-2265",
    "NotoSansArabic": "U+0600-06FF,U+0750-077F,U+200C-200F,U+FB50-FDFF,U+FE70-FEFF",
    "NotoSansBengali": "U+0964-0965,U+0980-09FF,U+200C-200D,U+20B9",
    "NotoSansDevanagari": "U+0900-097F,U+200C-200D,U+20B9,U+A8E0-A8FF",
}


def main() -> int:
    """Write one TrueType file for each script and weight; browsers and PDF writers both read these."""
    TARGET_DIR.mkdir(parents=True, exist_ok=True)
    for family, letters in SCRIPTS.items():
        for weight in WEIGHTS:
            name = f"{family}-{weight}.ttf"
            cut(SOURCE_DIR / name, TARGET_DIR / name, f"{PUNCTUATION},{letters}")
    return 0


def cut(source_path: Path, target_path: Path, unicodes: str) -> None:
    """Keep some letters of a font, with everything that shapes them.

    Args:
        source_path: A TrueType font.
        target_path: Where the smaller font is written.
        unicodes: Code points and ranges, as pyftsubset takes them.
    """
    options = subset.Options(layout_features=["*"], hinting=False, name_IDs=[0, 1, 2, 3, 4, 5, 6, 13, 14])
    font = subset.load_font(str(source_path), options)
    worker = subset.Subsetter(options)
    worker.populate(unicodes=subset.parse_unicodes(unicodes))
    worker.subset(font)
    font.recalcTimestamp = False
    subset.save_font(font, str(target_path), options)


if __name__ == "__main__":
    sys.exit(main())
