"""Two printable pages: one for who installs, one for who uses it."""

from __future__ import annotations

import html
import json
from pathlib import Path

from edge_app.installed.release import MODEL
from edge_app.model.bundle import MANIFEST
from installer.recipe import Recipe

_GUIDES = Path(__file__).resolve().parent / "guides"


def write_guides(recipe: Recipe, tree: Path) -> None:
    """Fill in the pages and put them into the staging tree.

    Args:
        recipe: The build.
        tree: The staging tree, with the model in it.
    """
    model = json.loads((tree / MODEL / MANIFEST).read_bytes())
    words = {
        "VERSION": recipe.version,
        "NAME": recipe.name,
        # during an upgrade the old version and the new one lie side by side
        "DISK": "6 GB" if recipe.target.device == "gpu" else "1 GB",
        "MODEL": f"{model['name']} {model['version']}",
        "PARTS": ", ".join(model["training"]["dataset"]["body_parts"]),
        "STYLE": (_GUIDES / "page.css").read_text(encoding="utf-8"),
    }
    for name, source in {
        "guide-it.html": f"it-{recipe.target.system}.html",
        "guide-staff.html": "staff.html",
    }.items():
        text = (_GUIDES / source).read_text(encoding="utf-8")
        for word, value in words.items():
            text = text.replace(f"@{word}@", value if word == "STYLE" else html.escape(value))
        (tree / name).write_text(text, encoding="utf-8")
