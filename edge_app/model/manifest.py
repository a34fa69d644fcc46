"""What a model bundle says of itself: its manifest as values that were checked."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import BundleError
from edge_app.imaging.preprocess import INTERPOLATION, PADDING
from edge_app.model.gradcam import METHODS

SCHEMA_VERSION = 2
FLOAT32 = "float32"
DEVICES = ("cpu", "cuda")
_SIZE_RANGE_PX = (32, 2048)


@dataclass(frozen=True)
class TrainingData:
    """What a model was trained on, for people: a name, a citation, a licence, and body parts."""

    name: str
    citation: str
    licence: str
    body_parts: tuple[str, ...]


class Tensors(NamedTuple):
    """The names that the tensors have in the graphs."""

    image: str
    features: str
    logit: str
    probability: str
    gradient: str


class VariantFigures(NamedTuple):
    """What a variant reached on validation X-rays at the threshold, in 0..1.

    `pointing` is the share of fractured ones on which the heat map's peak lay in a fracture's box, None
    where that is not known.
    """

    sensitivity: float
    specificity: float
    pointing: float | None


class Variant(NamedTuple):
    """One precision of the model: the files of its two graphs, the devices it is for, what it reached."""

    features: str
    classifier: str
    devices: tuple[str, ...]
    figures: VariantFigures


class GoldenAnswer(NamedTuple):
    """An answer that was recorded at export: `heatmap` is float32 (h, w), 0..1, over the model's square."""

    probability: float
    heatmap: NDArray[np.float32]


class GoldenCase(NamedTuple):
    """A picture in the bundle, and what each variant must answer to it."""

    picture: str
    expected: Mapping[str, GoldenAnswer]


@dataclass(frozen=True)
class Manifest:
    """What serving needs to know about a model.

    `size_px` is the input side; `finding`, one of the `classes`, is reported from the probability
    `threshold` up. `sensitivity`, `specificity` and `pointing` are the figures of the variant float32, or
    of the one that `with_figures_of` was asked for. The heat map is made by `method` and has (h, w) `grid`.
    `dataset` is what the model was trained on.
    """

    name: str
    version: str
    created: str
    size_px: int
    classes: tuple[str, ...]
    finding: str
    threshold: float
    sensitivity: float
    specificity: float
    pointing: float | None
    tensors: Tensors
    variants: Mapping[str, Variant]
    method: str
    grid: tuple[int, int]
    golden: tuple[GoldenCase, ...]
    dataset: TrainingData

    def with_figures_of(self, variant: str) -> Manifest:
        """Return the manifest with the figures of the variant that runs, for people to read."""
        return replace(self, **self.variants[variant].figures._asdict())


def parse_manifest(content: Mapping[str, Any]) -> Manifest:
    """Turn a manifest's JSON object into what serving needs.

    Args:
        content: The JSON object.

    Returns:
        The manifest.

    Raises:
        BundleError: the schema, how pictures must be laid into the input, or how the heat map is made, is
            not known here.
        KeyError, TypeError, ValueError: a value is missing or of the wrong kind.
    """
    _require_known(content)
    classes = tuple(_text(name, "classes") for name in _list(content["classes"], "classes"))
    size_px = _whole(content["input"]["size_px"], *_SIZE_RANGE_PX, "input.size_px")
    rows, columns = (_whole(side, 1, size_px, "heatmap.grid") for side in content["heatmap"]["grid"])
    own = _own_figures(content)
    variants = _variants(content["variants"], own)
    dataset = content["training"]["dataset"]
    return Manifest(
        name=_text(content["name"], "name"),
        version=_text(content["version"], "version"),
        created=_text(content["created"], "created"),
        size_px=size_px,
        classes=classes,
        finding=_one_of(content["finding"], classes, "finding"),
        threshold=_share(content["operating_point"]["threshold"], "operating_point.threshold"),
        **own._asdict(),
        tensors=_tensors(content["tensors"]),
        variants=variants,
        method=content["heatmap"]["method"],
        grid=(rows, columns),
        golden=tuple(_golden_case(case, variants, (rows, columns)) for case in content["golden"]),
        dataset=TrainingData(
            name=_text(dataset["name"], "dataset.name"),
            citation=_text(dataset["citation"], "dataset.citation"),
            licence=_text(dataset["licence"], "dataset.licence"),
            body_parts=tuple(_text(part, "body_parts") for part in dataset["body_parts"]),
        ),
    )


def _require_known(content: Mapping[str, Any]) -> None:
    """Refuse what a later release may have brought: the message must not speak of damage."""
    version = content["schema_version"]
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"The model bundle has schema version {version}; this app reads version {SCHEMA_VERSION}. "
            "Install an app and a model of the same release."
        )
    asked = {**content["input"], "heat map": content["heatmap"]["method"]}
    known = {"interpolation": [INTERPOLATION], "padding": [PADDING], "heat map": list(METHODS)}
    for key, values in known.items():
        if asked[key] not in values:
            raise BundleError(
                f"The model expects {key} {asked[key]!r}; this app knows {', '.join(values)}. "
                "Install an app and a model of the same release."
            )


def _own_figures(content: Mapping[str, Any]) -> VariantFigures:
    point, game = content["operating_point"], content["validation"]["pointing_game"]
    return VariantFigures(
        sensitivity=_share(point["sensitivity"]["value"], "operating_point.sensitivity"),
        specificity=_share(point["specificity"]["value"], "operating_point.specificity"),
        pointing=None if game is None else _share(game["value"], "validation.pointing_game"),
    )


def _tensors(content: Mapping[str, Any]) -> Tensors:
    names = Tensors(*(_text(content[role], f"tensors.{role}") for role in Tensors._fields))
    if len(set(names)) < len(names):
        raise ValueError(f"tensors: expected a name for each, found {', '.join(names)}")
    return names


def _variants(content: Mapping[str, Any], own: VariantFigures) -> dict[str, Variant]:
    """Read the variants; the manifest's own figures are those of float32."""
    others = dict(content)
    variants = {FLOAT32: _variant(others.pop(FLOAT32), own, FLOAT32)}
    for name, variant in others.items():
        variants[name] = _variant(variant, _figures(variant["validation"], name), name)
    return variants


def _variant(content: Mapping[str, Any], figures: VariantFigures, name: str) -> Variant:
    devices = _list(content["devices"], f"{name}.devices")
    return Variant(
        features=_text(content["features"], f"{name}.features"),
        classifier=_text(content["classifier"], f"{name}.classifier"),
        devices=tuple(_one_of(device, DEVICES, f"{name}.devices") for device in devices),
        figures=figures,
    )


def _figures(measured: Mapping[str, Any], name: str) -> VariantFigures:
    game = measured["pointing_game"]
    return VariantFigures(
        sensitivity=_share(measured["sensitivity"], f"{name}.sensitivity"),
        specificity=_share(measured["specificity"], f"{name}.specificity"),
        pointing=None if game is None else _share(game, f"{name}.pointing_game"),
    )


def _golden_case(
    content: Mapping[str, Any], variants: Mapping[str, Variant], grid: tuple[int, int]
) -> GoldenCase:
    picture = _text(content["picture"], "golden.picture")
    return GoldenCase(picture, {name: _expected(content["expected"][name], grid) for name in variants})


def _expected(content: Mapping[str, Any], grid: tuple[int, int]) -> GoldenAnswer:
    values = np.frombuffer(base64.b64decode(content["heatmap"], validate=True), "<f4")
    heatmap = values.reshape(grid).astype(np.float32)
    if not ((heatmap >= 0) & (heatmap <= 1)).all():
        raise ValueError("golden.heatmap: expected values from 0 to 1")
    return GoldenAnswer(_share(content["probability"], "golden.probability"), heatmap)


def _list(value: Any, name: str) -> list[Any]:
    if not isinstance(value, list) or not value or len(set(map(str, value))) < len(value):
        raise ValueError(f"{name}: expected a list of different values, found {value!r}")
    return value


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name}: expected a text, found {value!r}")
    return value


def _one_of(value: Any, choices: tuple[str, ...], name: str) -> str:
    if value not in choices:
        raise ValueError(f"{name}: expected one of {', '.join(choices)}, found {value!r}")
    return str(value)


def _share(value: Any, name: str) -> float:
    return float(_within(value, 0, 1, name))


def _whole(value: Any, low: int, high: int, name: str) -> int:
    if _within(value, low, high, name) != int(value):
        raise ValueError(f"{name}: expected a whole number, found {value!r}")
    return int(value)


def _within(value: Any, low: float, high: float, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise ValueError(f"{name}: expected a number from {low} to {high}, found {value!r}")
    return value
