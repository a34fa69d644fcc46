"""Draw what a command printed as an SVG: `COMMAND | python -m tools.terminal docs/NAME.svg "COMMAND"`."""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

WIDTH_PX, LINE_PX, MARGIN_PX = 8.4, 19, 16


def draw(command: str, text: str) -> str:
    """Return an SVG of a terminal.

    Args:
        command: What was typed.
        text: What it printed, unchanged.

    >>> "3 &lt; 4" in draw("compare", "3 < 4")
    True
    """
    lines = [f"$ {command}", *text.expandtabs().rstrip().splitlines()]
    width_px = round(max(map(len, lines)) * WIDTH_PX) + 2 * MARGIN_PX
    height_px = len(lines) * LINE_PX + 2 * MARGIN_PX
    rows = "\n".join(
        f'<text x="{MARGIN_PX}" y="{MARGIN_PX + (number + 0.8) * LINE_PX:.0f}">{escape(line)}</text>'
        for number, line in enumerate(lines)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width_px}" height="{height_px}" '
        f'viewBox="0 0 {width_px} {height_px}">\n'
        "<style>text{font:14px monospace;white-space:pre;fill:#e8e8e8}</style>\n"
        f'<rect width="100%" height="100%" rx="8" fill="#1b1f24"/>\n{rows}\n</svg>\n'
    )


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(draw(sys.argv[2], sys.stdin.read()), encoding="utf-8")
