"""The model card: what a bundle's manifest says, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from edge_app.model.manifest import FLOAT32
from export.proof.gate import LOSSES

CARD = "MODEL_CARD.md"


def model_card(description: Mapping[str, Any]) -> str:
    """Write the model card.

    Args:
        description: The manifest, with or without `files`.

    Returns:
        Markdown.
    """
    environment = Environment(
        loader=PackageLoader("export.bundle", ""),
        autoescape=select_autoescape(),  # Markdown has nothing to escape
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(figure=_figure, interval=_interval, percent=_percent)
    return environment.get_template("model_card.md.jinja").render(
        m=description,
        games=_games(description["heatmap"]["pointing_game"] or {}),
        figures=_figures(description["variants"]),
        rule_out=description.get("rule_out"),
        folds=description["validation"].get("out_of_fold"),
        held_out_samples=description["validation"].get("held_out", description["validation"])["samples"],
        shortcuts=description["validation"].get("shortcuts"),
        gate=description.get("input_gate"),
        losses=LOSSES,
    )


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _interval(estimate: Mapping[str, float | None]) -> str:
    if estimate["low"] is None:
        return "not known: nothing varied"
    return f"{estimate['low']:.3f} to {estimate['high']:.3f}"


def _games(by_method: Mapping[str, dict[str, Any]]) -> list[tuple[list[str], dict[str, Any]]]:
    """Put methods with the same result together: where evidence is linear, several have one peak."""
    games: list[tuple[list[str], dict[str, Any]]] = []
    for method, game in by_method.items():
        names = next((names for names, other in games if other == game), None)
        if names is None:
            games.append(([method], game))
        else:
            names.append(method)
    return games


def _figures(variants: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return each variant's figures; those of float32 are what the others were compared with."""
    smaller = {name: each["validation"] for name, each in variants.items() if name != FLOAT32}
    references = [figures[FLOAT32] for figures in smaller.values()]
    return {FLOAT32: references[0], **smaller} if references else {}
