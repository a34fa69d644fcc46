from __future__ import annotations

import re

import pytest

from tests.conftest import ROOT

DOCUMENTS = ("THREAT-MODEL.md", "PRIVACY.md")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_each_test_that_a_document_names_is_there(name: str) -> None:
    references = re.findall(r"`([\w/]*test_\w+\.py)(?:::(\w+))?`", (ROOT / "docs" / name).read_text())
    assert len(references) > 5
    for path, test in references:
        assert f"def {test}(" in (ROOT / path).read_text() or not test, f"{path}::{test}"
