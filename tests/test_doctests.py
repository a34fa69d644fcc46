"""The examples in the docstrings hold."""

from __future__ import annotations

import doctest
import importlib

import pytest

from tests.conftest import ROOT

STAGES = ("edge_app", "training", "export", "installer")
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for stage in STAGES
    for path in (ROOT / stage).rglob("*.py")
    if "\n    >>> " in path.read_text(encoding="utf-8")
)


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0
