from __future__ import annotations

from edge_app.dicom_node.conformance import statement
from edge_app.imaging.dicom.stored import SYNTAXES
from tests.conftest import ROOT


def test_statement_in_the_documents_is_what_the_code_says() -> None:
    written = (ROOT / "docs" / "DICOM-CONFORMANCE.md").read_text(encoding="utf-8")
    assert written == statement(), (
        "run: python -m edge_app.dicom_node conformance > docs/DICOM-CONFORMANCE.md"
    )


def test_statement_names_every_transfer_syntax_that_is_read() -> None:
    for syntax in SYNTAXES:
        assert syntax.name in statement()
