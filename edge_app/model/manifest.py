"""What a model bundle says of itself: its manifest as values that were checked."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from edge_app.errors import BundleError
from edge_app.imaging.preprocess import INTERPOLATION, PADDING
from edge_app.model.gradcam import METHODS

SCHEMA_VERSION = 3
FLOAT32 = "float32"

Share = Annotated[float, Meta(ge=0, le=1)]
Text = Annotated[str, Meta(min_length=1)]
Texts = Annotated[tuple[Text, ...], Meta(min_length=1)]
_Side = Annotated[int, Meta(ge=1)]


class Input(Struct, frozen=True):
    """The model's input: a square of `size_px`, and how a picture is laid into it."""

    size_px: Annotated[int, Meta(ge=32, le=2048)]
    interpolation: str
    padding: str


class Tensors(Struct, frozen=True):
    """The names that the tensors have in the graphs."""

    image: Text
    features: Text
    logit: Text
    probability: Text
    gradient: Text

    def __post_init__(self) -> None:
        names = msgspec.structs.astuple(self)
        if len(set(names)) < len(names):
            raise ValueError(f"Expected a name for each tensor, got {', '.join(names)}")


class VariantFigures(Struct, frozen=True):
    """What a variant reached on validation X-rays at its own threshold, in 0..1.

    `pointing_game` is the share of X-rays with boxes on which the heat map's peak lay in one, None where
    that is not known.
    """

    threshold: Share
    sensitivity: Share
    specificity: Share
    pointing_game: Share | None


class Variant(Struct, frozen=True):
    """One precision of the model: the files of its two graphs, and the devices that it is for.

    `validation` is what it reached; None for float32, of which the manifest itself tells.
    """

    features: Text
    classifier: Text
    devices: Annotated[tuple[Literal["cpu", "cuda"], ...], Meta(min_length=1)]
    validation: VariantFigures | None = None


class HeatMap(Struct, frozen=True):
    """By which method the heat map is made, and its rows and columns."""

    method: str
    grid: tuple[_Side, _Side]


class PointEstimate(Struct, frozen=True):
    """A share, 0..1, that was measured."""

    value: Share


class OperatingPoint(Struct, frozen=True):
    """The probability from which the finding is reported, and what that reached on validation X-rays."""

    threshold: Share
    sensitivity: PointEstimate
    specificity: PointEstimate


class Validation(Struct, frozen=True):
    """On what share of the X-rays with boxes the heat map's peak lay in one; None where none has a box."""

    pointing_game: PointEstimate | None


class GoldenAnswer(Struct, frozen=True):
    """An answer that was recorded at export; `heatmap` as float32, little-endian, row by row, 0..1."""

    probability: Share
    heatmap: bytes

    def __post_init__(self) -> None:
        values = np.frombuffer(self.heatmap, "<f4")
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError("Expected a heat map with values from 0 to 1")

    def heatmap_over(self, grid: tuple[int, int]) -> NDArray[np.float32]:
        """Return the heat map over the model's square, float32 (h, w)."""
        return np.frombuffer(self.heatmap, "<f4").reshape(grid).astype(np.float32)


class GoldenCase(Struct, frozen=True):
    """A picture in the bundle, and what each variant must answer to it."""

    picture: Text
    expected: dict[str, GoldenAnswer]


class GateSettings(Struct, frozen=True):
    """The input gate: the file of its arrays, and what it accepts, as `InputGate` says.

    `averages` names what the features graph tells beside the features, `limits` one distance for each.
    """

    file: Text
    averages: Texts
    kinds: Texts
    acceptance: float
    refusal: float
    limits: tuple[float, ...]

    def __post_init__(self) -> None:
        _expect(len(self.limits) == len(self.averages), "a limit for each average of the input gate")


class Attribution(Struct, frozen=True):
    """The data that a model was trained on, for people."""

    name: Text
    citation: Text
    licence: Text
    body_parts: tuple[Text, ...]


class Origin(Struct, frozen=True):
    """Where a model comes from."""

    dataset: Attribution


class Manifest(Struct, frozen=True):
    """What serving needs to know about a model; what else `manifest.json` tells is for people.

    `finding`, one of the `classes`, is what is reported. `operating_point` and `validation` are those of
    the variant float32, or of the one that `with_figures_of` was asked for. `files` holds the SHA-256 of
    every file, by name. Below the operating point, an answer is uncertain from the threshold of `rule_out`
    up; None where no such point was chosen, as for smaller variants. `input_gate` is None where no picture
    is checked.
    """

    name: Text
    version: Text
    created: Text
    classes: Texts
    finding: str
    input: Input
    tensors: Tensors
    variants: dict[str, Variant]
    heatmap: HeatMap
    operating_point: OperatingPoint
    validation: Validation
    golden: tuple[GoldenCase, ...]
    training: Origin
    files: dict[str, str]
    rule_out: OperatingPoint | None = None
    input_gate: GateSettings | None = None

    def __post_init__(self) -> None:
        _expect(len(set(self.classes)) == len(self.classes), f"different classes, got {self.classes}")
        _expect(self.finding in self.classes, f"a finding among the classes, got {self.finding!r}")
        _expect(FLOAT32 in self.variants, f"a variant {FLOAT32}, got {', '.join(self.variants) or 'none'}")
        silent = [name for name, each in self.variants.items() if name != FLOAT32 and not each.validation]
        _expect(not silent, f"`validation` of the variant {' and '.join(silent)}")
        rows, columns = self.heatmap.grid
        _expect(max(rows, columns) <= self.input.size_px, f"a grid in the input, got {rows} x {columns}")
        for case in self.golden:
            sizes = [len(case.expected[name].heatmap) for name in self.variants if name in case.expected]
            whole = sizes == [4 * rows * columns] * len(self.variants)
            _expect(whole, f"for {case.picture} a heat map of {rows} x {columns} by each variant")
        missing = self.needed_files - self.files.keys()
        _expect(not missing, f"the SHA-256 of {' and of '.join(sorted(missing))} in `files`")

    @property
    def needed_files(self) -> set[str]:
        """The names of the graphs, the golden pictures and the input gate."""
        gate = set() if self.input_gate is None else {self.input_gate.file}
        graphs = {name for each in self.variants.values() for name in (each.features, each.classifier)}
        return graphs.union(gate, (case.picture for case in self.golden))

    def with_figures_of(self, variant: str) -> Manifest:
        """Return the manifest with the operating point and the figures of the variant that runs."""
        figures = self.variants[variant].validation
        if figures is None:
            return self
        game = None if figures.pointing_game is None else PointEstimate(figures.pointing_game)
        point = OperatingPoint(
            figures.threshold, PointEstimate(figures.sensitivity), PointEstimate(figures.specificity)
        )
        return msgspec.structs.replace(
            self, operating_point=point, validation=Validation(game), rule_out=None
        )


class _Release(Struct):
    schema_version: int


def parse_manifest(text: bytes) -> Manifest:
    """Read a manifest.

    Args:
        text: The content of `manifest.json`.

    Returns:
        The manifest.

    Raises:
        BundleError: the schema, how pictures must be laid into the input, or how the heat map is made, is
            not known here.
        msgspec.DecodeError, RecursionError: it is not JSON, or a value is missing or of the wrong kind.
    """
    version = msgspec.json.decode(text, type=_Release).schema_version
    if version != SCHEMA_VERSION:
        raise BundleError(
            f"The model bundle has schema version {version}; this app reads version {SCHEMA_VERSION}. "
            "Install an app and a model of the same release."
        )
    manifest = msgspec.json.decode(text, type=Manifest)
    _require_known(manifest)
    return manifest


def _require_known(manifest: Manifest) -> None:
    """Refuse what a later release may have brought: the message must not speak of damage."""
    for key, value, known in (
        ("interpolation", manifest.input.interpolation, [INTERPOLATION]),
        ("padding", manifest.input.padding, [PADDING]),
        ("heat map", manifest.heatmap.method, list(METHODS)),
    ):
        if value not in known:
            raise BundleError(
                f"The model expects {key} {value!r}; this app knows {', '.join(known)}. "
                "Install an app and a model of the same release."
            )


def _expect(condition: bool, what: str) -> None:
    if not condition:
        raise ValueError(f"Expected {what}")
