"""Keep the page's languages: `python -m tools.catalogues` collects sentences, compiles translations."""

from __future__ import annotations

import io
import sys
from datetime import UTC, datetime
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from edge_app.web.language import ENGLISH, LANGUAGES

ROOT = Path(__file__).resolve().parent.parent / "edge_app"
METHODS = [("**.py", "python"), ("web/templates/**.html", "jinja2")]
# Header lines that change at every run, or that nobody has filled in.
NOISE = (b'"POT-Creation', b'"PO-Revision', b'"Report-Msgid', b'"Last-Translator', b'"Language-Team')
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
CATALOGUES_DIR = ROOT / "web" / "translations"
HEADER = """# {language} translation of Fracture Edge's page and report.
# Made by a machine; no native reader has seen it yet. Whoever corrects it: put your name here.
#"""


def main() -> int:
    """Bring every language's catalogue up to date with the sources, and compile it."""
    for language in LANGUAGES:
        if language != ENGLISH:
            catalogue = read_catalogue(language)
            catalogue.update(collect(), no_fuzzy_matching=True)
            catalogue.obsolete.clear()
            path_of(language).parent.mkdir(parents=True, exist_ok=True)
            path_of(language).write_bytes(po_bytes(catalogue))
            path_of(language).with_suffix(".mo").write_bytes(mo_bytes(catalogue))
    return 0


def path_of(language: str) -> Path:
    """Return where a language's catalogue stands."""
    return CATALOGUES_DIR / language / "LC_MESSAGES" / "messages.po"


def collect() -> Catalog:
    """Return every sentence of the sources, with the file where it stands, sorted."""
    template = Catalog(charset="utf-8")
    found = extract_from_dir(ROOT, METHODS, options_map={"web/templates/**.html": {"silent": "false"}})
    for name, _line, message, _comments, context in sorted(found, key=lambda each: (each[0], each[1])):
        template.add(message, locations=[(f"edge_app/{name}", 0)], context=context)
    return template


def read_catalogue(language: str) -> Catalog:
    """Return a language's catalogue; an empty one where there is none yet."""
    path = path_of(language)
    if not path.exists():
        header = HEADER.format(language=LANGUAGES[language])
        return Catalog(language, header_comment=header, project="Fracture Edge", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=language, charset="utf-8")


def po_bytes(catalogue: Catalog) -> bytes:
    """Return a catalogue as a text for translators; the same text for the same sentences."""
    file = io.BytesIO()
    write_po(file, catalogue, width=108, omit_header=False, include_lineno=False, sort_by_file=True)
    lines = file.getvalue().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(NOISE))


def mo_bytes(catalogue: Catalog) -> bytes:
    """Return a catalogue as gettext reads it; the same bytes for the same sentences."""
    file = io.BytesIO()
    catalogue.creation_date = catalogue.revision_date = EPOCH
    write_mo(file, catalogue)
    return file.getvalue()


if __name__ == "__main__":
    sys.exit(main())
