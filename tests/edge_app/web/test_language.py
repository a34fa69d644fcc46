from __future__ import annotations

import pytest
from flask import Flask

from edge_app.web.language import direction_of, language_of_request


@pytest.mark.parametrize(
    ("address", "liked", "language"),
    [
        ("/", "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("/", "de, hi;q=0.5", "hi"),
        ("/", "de", "en"),
        ("/?lang=sw", "fr", "sw"),
        ("/?lang=tlh", "pt-BR", "pt"),
    ],
)
def test_address_goes_before_the_browser_and_english_is_last(
    address: str, liked: str, language: str
) -> None:
    with Flask(__name__).test_request_context(address, headers={"Accept-Language": liked}):
        assert language_of_request() == language


def test_arabic_runs_from_right_to_left() -> None:
    assert (direction_of("ar"), direction_of("hi")) == ("rtl", "ltr")
