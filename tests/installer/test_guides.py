from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from edge_app.installed.release import MODEL
from installer.guides import write_guides
from installer.recipe import Recipe, find_target
from tests.conftest import DEFAULT_BUNDLE, require
from tests.installer.bare import output_of


@pytest.mark.slow
@pytest.mark.parametrize("target", ["linux-x86_64", "windows-x86_64"])
def test_each_guide_is_filled_in_and_prints_on_one_page(target: str, tmp_path: Path) -> None:
    chromium, pdfinfo = require("chromium"), require("pdfinfo", "poppler-utils")
    shutil.copytree(DEFAULT_BUNDLE, tmp_path / MODEL)
    write_guides(Recipe(find_target(target, "cpu"), DEFAULT_BUNDLE, tmp_path, "1.2.3"), tmp_path)
    for name in ("guide-it", "guide-staff"):
        page, pdf = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
        assert not re.search(r"@[A-Z]+@", page.read_text())
        options = ("--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path / 'profile'}")
        output_of(chromium, *options, "--no-pdf-header-footer", f"--print-to-pdf={pdf}", page.as_uri())
        assert "Pages:           1\n" in output_of(pdfinfo, str(pdf))
