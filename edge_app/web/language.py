"""The page's languages: which there are, and in which one a request is answered."""

from __future__ import annotations

from flask import Flask, request
from flask_babel import Babel, format_percent

ENGLISH = "en"
LANGUAGES = {
    ENGLISH: "English",
    "fr": "Français",
    "es": "Español",
    "pt": "Português",
    "sw": "Kiswahili",
    "hi": "हिन्दी",
    "bn": "বাংলা",
    "ar": "العربية",
}
RIGHT_TO_LEFT = frozenset({"ar"})
PARAMETER = "lang"


def speak_languages(app: Flask) -> None:
    """Let the app answer in the language of each request.

    Args:
        app: The app.
    """
    Babel(app, default_translation_directories="translations", locale_selector=language_of_request)
    app.context_processor(_words_for_templates)


def language_of_request() -> str:
    """Return the code of the language that the address names, or that the browser likes best."""
    named = request.args.get(PARAMETER)
    return named if named in LANGUAGES else request.accept_languages.best_match(LANGUAGES, ENGLISH)


def direction_of(language: str) -> str:
    """Return `rtl` for a language that is written from right to left, else `ltr`."""
    return "rtl" if language in RIGHT_TO_LEFT else "ltr"


def _words_for_templates() -> dict[str, object]:
    language = language_of_request()
    return {
        "language": language,
        "direction": direction_of(language),
        "languages": LANGUAGES,
        "format_percent": format_percent,
    }
