from __future__ import annotations

import argparse

import pytest

from edge_app.errors import DataError
from training.cli import add_option, run_explained


def test_both_spellings_are_one_option() -> None:
    parser = argparse.ArgumentParser()
    add_option(parser, "batch_size", type=int)
    for spelling in ("--batch_size", "--batch-size"):
        assert parser.parse_args([spelling, "8"]).batch_size == 8


def explain(error: BaseException) -> int:
    def command() -> None:
        raise error

    return run_explained(command)


def test_explained_errors_end_with_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    assert explain(DataError("There is no X-ray.")) == 1
    assert caplog.messages == ["There is no X-ray."]


def test_full_memory_says_what_to_do(caplog: pytest.LogCaptureFixture) -> None:
    def command() -> None:
        raise MemoryError

    assert run_explained(command, "Try less.") == 1
    assert caplog.messages == ["The memory is not enough. Try less."]


def test_file_trouble_names_the_file(caplog: pytest.LogCaptureFixture) -> None:
    assert explain(PermissionError(13, "Permission denied", "/data/x.jpg")) == 1
    assert caplog.messages == ["/data/x.jpg: Permission denied"]


def test_trouble_without_a_file_is_told_as_well(caplog: pytest.LogCaptureFixture) -> None:
    assert explain(OSError("Unable to open file")) == 1
    assert caplog.messages == ["Unable to open file"]


def test_errors_of_the_program_itself_are_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        explain(ZeroDivisionError())


def test_done_is_zero() -> None:
    assert run_explained(lambda: None) == 0
