from __future__ import annotations

import copy
from typing import Any

import pytest

from export.bundle.card import model_card
from tests.drawn_run import contents


@pytest.fixture
def description() -> dict[str, Any]:
    """Return a manifest as the card needs it."""
    files = copy.deepcopy(contents(["fracture"]))
    evaluation = files["evaluation.json"]
    figures = {
        "threshold": 0.72,
        "auroc": 0.9111,
        "sensitivity": 0.9,
        "specificity": 0.7,
        "pointing_game": 0.5,
    }
    return {
        "name": "small-64",
        "version": "2026.01.02-abcdef01",
        "architecture": "small",
        "opset": 18,
        "input": {"size_px": 64},
        "classes": ["normal", "fracture"],
        "finding": "fracture",
        "variants": {
            "float32": {},
            "int8": {"validation": {**figures, "threshold": 0.7, "auroc": 0.9088, "float32": figures}},
        },
        "heatmap": {**evaluation["heatmap"], "layer": "features", "grid": [4, 5]},
        "operating_point": evaluation["operating_point"],
        "validation": evaluation,
        "training": {"settings": files["config.json"], **files["provenance.json"]},
        "parity": [{"tensor": "logit", "value": 1.23e-6}],
    }


def test_card_holds_the_measured_figures(description: dict[str, Any]) -> None:
    card = model_card(description)
    assert "| AUROC | 0.900 | 0.800 to 0.950 |" in card
    assert "8 validation X-rays, 4 of them positive (fracture), in 2 groups" in card
    assert "- Drawn pictures only." in card
    assert "ONNX opset 18. Classes: normal, fracture." in card
    assert "largest differences: logit 1e-06" in card
    assert "{" not in card


def test_card_tells_methods_with_one_result_once(description: dict[str, Any]) -> None:
    heatmap = description["heatmap"]
    heatmap["method"] = "layercam"
    heatmap["pointing_game"]["grad-cam++"] = {**heatmap["pointing_game"]["grad-cam++"], "value": 0.85}
    card = model_card(description)
    assert "Made by layercam from a map of 4 x 5 cells, the output of the layer features." in card
    assert "inside a box, on 4 validation" in card
    assert (
        "| grad-cam, hirescam, layercam | 0.900 | 0.800 to 0.950 |\n| grad-cam++ | 0.850 | 0.800 to 0.950 |"
        in card
    )


def test_card_compares_the_variants(description: dict[str, Any]) -> None:
    card = model_card(description)
    assert "lost at most 0.005 of the AUROC, 0.02 of the specificity where" in card
    assert "in ONNX Runtime on the same 8 validation X-rays" in card
    assert "| float32 | 0.720 | 0.911 | 0.900 | 0.700 | 0.500 |" in card
    assert "| int8 | 0.700 | 0.909 | 0.900 | 0.700 | 0.500 |" in card


def test_card_says_what_is_not_known(description: dict[str, Any]) -> None:
    description["heatmap"]["pointing_game"] = None
    description["validation"]["auroc"] = {"value": 0.9, "low": None, "high": None}
    del description["variants"]["int8"]
    card = model_card(description)
    assert "| AUROC | 0.900 | not known: nothing varied |" in card
    assert "not known: the data hold no boxes" in card
    assert "## Variants\n32-bit only.\n" in card


def test_card_says_where_a_variants_pointing_game_is_not_known(description: dict[str, Any]) -> None:
    description["variants"]["int8"]["validation"]["pointing_game"] = None
    assert "| int8 | 0.700 | 0.909 | 0.900 | 0.700 | not known |" in model_card(description)


def test_card_without_gate_says_that_nothing_notices_other_pictures(description: dict[str, Any]) -> None:
    assert "Nothing in it notices that a picture is no X-ray." in model_card(description)


def test_card_tells_what_the_input_gate_catches(description: dict[str, Any]) -> None:
    kind = {
        "kind": "film_photo",
        "was_learnt": False,
        "samples": 60,
        "caught": 0.95,
        "refused": 0.1,
        "fpr_at_95_caught": 0.012,
    }
    figures = {
        "held_out": "X-rays that were kept aside",
        "xrays": {"samples": 200, "flagged": 0.015, "refused": 0.0},
        "varied": {"samples": 50, "flagged": 0.04, "refused": 0.0},
        "negatives": [kind],
    }
    card = model_card({**description, "input_gate": {"figures": figures}})
    assert "Judged by 200 X-rays that were kept aside: **1.5 % flagged**, 0.0 % refused." in card
    assert "| film photo | no | 60 | 95.0 % | 10.0 % | 1.2 % |" in card
    assert "An input gate notices many pictures" in card


def test_card_tells_of_the_rule_out_point(description: dict[str, Any]) -> None:
    point = description["operating_point"]
    card = model_card(
        {**description, "rule_out": {**point, "threshold": 0.031, "target_sensitivity": 0.95}}
    )
    assert (
        "Between the rule-out threshold of 0.031 (chosen for a sensitivity of 0.95) and the threshold"
        in card
    )


def test_card_tells_of_shortcuts(description: dict[str, Any]) -> None:
    auroc = {"samples": 8, "value": 0.9, "low": 0.8, "high": 0.95}
    description["validation"]["shortcuts"] = {
        "auroc": auroc,
        "auroc_without_markers": {**auroc, "value": 0.88},
        "auroc_of_smaller_pictures": None,
        "auroc_of_larger_pictures": auroc,
        "auroc_of_smaller_fractures": auroc,
        "falls": {
            "samples": 4,
            "box": 1.5,
            "elsewhere": 0.2,
            "background": 0.6,
            "box_falls_more_than_elsewhere": 0.75,
        },
    }
    card = model_card(description)
    assert "| without side markers | 8 | 0.880 | 0.800 to 0.950 |" in card
    assert "smaller pictures" not in card
    assert "falls on average by 1.50 when the boxes are blanked, by\n0.20 when" in card
    assert "in 75.0 % of them" in card
