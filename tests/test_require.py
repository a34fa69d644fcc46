from __future__ import annotations

import pytest

from tests.conftest import require

MISSING = "no-such-program"


def test_program_that_is_there_is_found() -> None:
    assert require("sh").endswith("/sh")


def test_missing_program_fails_where_everything_must_be_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="no-such-program is not installed: apt install tools"):
        require(MISSING, package="tools")


def test_missing_program_skips_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    with pytest.raises(pytest.skip.Exception, match="apt install no-such-program"):
        require(MISSING)
