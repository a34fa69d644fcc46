"""The model card: what a bundle's manifest says, for people."""

from __future__ import annotations

from collections.abc import Mapping
from string import Template
from typing import Any

from edge_app.model.manifest import FLOAT32
from export.proof.gate import AUROC_LOSS, POINTING_LOSS

CARD = "MODEL_CARD.md"

_TEMPLATE = Template("""\
# Model card: $name $version

**Assistive tool, not a diagnosis.** It has not been tried on patients, and no authority has cleared it.

## What it is for
It tells whether an X-ray ($body_parts) is suspected to show a finding ($finding), how probable that is,
and which places of the picture spoke most for it. It supports a person who can judge the patient; it
replaces nobody.

It is not for other body parts, other findings, other kinds of pictures, or for deciding that there is
none. Nothing in it notices that a picture is no X-ray.

## How good it is
Measured on $samples validation X-rays, $fractured of them positive ($finding), in $groups groups, with 95 %
intervals from a bootstrap over whole groups. Groups are $grouping.

| measure | value | 95 % interval |
|---|---|---|
| AUROC | $auroc | $auroc_interval |
| sensitivity at the threshold | $sensitivity | $sensitivity_interval |
| specificity at the threshold | $specificity | $specificity_interval |

The finding is reported from a probability of $threshold up. That threshold was chosen on these same
validation X-rays for a sensitivity of $target. So were the best epoch, the calibration (Platt scaling,
folded into the last layer) and the method of the heat map, and the intervals leave these choices out; with
few groups they are somewhat too narrow as well. Expect less on new X-rays from the same hospitals, and
perhaps much less on X-rays from elsewhere.

Probabilities fit a population in which $prevalence of the X-rays show the finding, as in the validation
data. Where it is rarer or more frequent, they are too high or too low.

## Heat map
Made by $method from a map of $grid cells, the output of the layer $layer. The gradient of the logit is
part of the exported graph, so nothing is approximated.

$pointing

## Variants
$variants

## How it was made
- Architecture: $architecture on $size_px x $size_px grey pictures. ONNX opset $opset. Classes: $classes.
- Data: $dataset. $citation. Licence: $data_licence.
- Split: $counts. Groups stay together; what is nearly the same as an X-ray that is held out is left out
  of training.
- Start: $weights. Licence: $weights_licence.
- Settings: $settings. Code: commit $commit.
- ONNX Runtime against Keras and TensorFlow, largest differences: $parity (a gradient's as a share of its
  largest value).

## Limits that are known
$limits
- The heat map shows what moved the score, on a coarse grid. Such maps can miss small findings (Saporta et
  al., Nature Machine Intelligence 2022).

## Licences
The data's licence ($data_licence) asks what it asks of whoever passes the model on: for CC BY 4.0, keep the
attribution above.
""")
_NO_BOXES = "Whether its peak lies on the finding is not known: the data hold no boxes."


def model_card(description: Mapping[str, Any]) -> str:
    """Write the model card.

    Args:
        description: The manifest, with or without `files`.

    Returns:
        Markdown.
    """
    validation, point = description["validation"], description["operating_point"]
    heatmap, training = description["heatmap"], description["training"]
    dataset, weights = training["dataset"], training["weights"]
    return _TEMPLATE.substitute(
        name=description["name"],
        version=description["version"],
        samples=validation["samples"],
        fractured=validation["fractured"],
        groups=validation["groups"],
        auroc=_value(validation["auroc"]),
        auroc_interval=_interval(validation["auroc"]),
        sensitivity=_value(point["sensitivity"]),
        sensitivity_interval=_interval(point["sensitivity"]),
        specificity=_value(point["specificity"]),
        specificity_interval=_interval(point["specificity"]),
        method=heatmap["method"],
        grid="{} x {}".format(*heatmap["grid"]),
        layer=heatmap["layer"],
        pointing=_pointing(heatmap),
        variants=_variants(description["variants"]),
        finding=description["finding"],
        classes=", ".join(description["classes"]),
        grouping=dataset["groups"],
        threshold=f"{point['threshold']:.3f}",
        target=f"{point['target_sensitivity']:.2f}",
        prevalence=f"{100 * validation['fractured'] / validation['samples']:.0f} %",
        architecture=description["architecture"],
        size_px=description["input"]["size_px"],
        opset=description["opset"],
        body_parts=", ".join(dataset["body_parts"]),
        limits="\n".join(f"- {limit}" for limit in dataset["limits"]),
        dataset=dataset["name"],
        citation=dataset["citation"],
        data_licence=dataset["licence"],
        counts=", ".join(f"{count} {side}" for side, count in training["sides"].items()),
        weights=weights["source"],
        weights_licence=weights["licence"],
        settings=", ".join(f"{key} {value}" for key, value in training["settings"].items()),
        commit=training["commit"],
        parity=", ".join(f"{d['tensor']} {d['value']:.1g}" for d in description["parity"]),
    )


def _value(measured: Mapping[str, float | None]) -> str:
    return _number(measured["value"])


def _interval(measured: Mapping[str, float | None]) -> str:
    if measured["low"] is None:
        return "not known: nothing varied"
    return f"{measured['low']:.3f} to {measured['high']:.3f}"


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"


def _pointing(heatmap: Mapping[str, Any]) -> str:
    games = heatmap["pointing_game"]
    if games is None:
        return _NO_BOXES
    (samples,) = {game["samples"] for game in games.values()}
    rows = [
        f"| {name}{', in use' * (name == heatmap['method'])} | {_value(game)} | {_interval(game)} |"
        for name, game in games.items()
    ]
    return "\n".join(
        [
            f"The method was chosen by how often the map's peak lies inside a box, on {samples} validation",
            "X-rays with boxes:",
            "",
            "| method | peak inside a box | 95 % interval |",
            "|---|---|---|",
            *rows,
        ]
    )


def _variants(variants: Mapping[str, Any]) -> str:
    measured = {name: each["validation"] for name, each in variants.items() if name != FLOAT32}
    if not measured:
        return "32-bit only."
    (reference, *_) = (figures[FLOAT32] for figures in measured.values())
    rows = {FLOAT32: reference, **measured}
    return "\n".join(
        [
            f"A smaller variant was kept only if AUROC fell by at most {AUROC_LOSS:g} and the pointing",
            f"game by at most {POINTING_LOSS:g}, in ONNX Runtime on the same {reference['samples']}",
            "validation X-rays:",
            "",
            "| variant | AUROC | sensitivity | specificity | peak inside a box |",
            "|---|---|---|---|---|",
            *(_variant_row(name, figures) for name, figures in rows.items()),
        ]
    )


def _variant_row(name: str, figures: Mapping[str, float | None]) -> str:
    keys = ("auroc", "sensitivity", "specificity", "pointing_game")
    return f"| {name} | {' | '.join(_number(figures[key]) for key in keys)} |"
