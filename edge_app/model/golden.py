"""Golden cases: pictures whose answers are known, replayed to prove that this computer gives them."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import BundleError, ImageError
from edge_app.imaging.images import decode_image
from edge_app.imaging.preprocess import preprocess
from edge_app.model.bundle import Bundle
from edge_app.model.inference import Explanation
from edge_app.model.manifest import FLOAT32

# Of probability and heat map, both in 0..1. Processors add in another order, which moves 32-bit results by
# about 1e-6; more than this is another picture, model or method.
EXACT_TOLERANCE = 1e-3
# Smaller numbers, and the 19-bit ones in a GPU's products, are rounded to steps of up to 1 %, and
# processors differ in which way. Integer kernels that overflow on an old processor are off by more.
ROUNDED_TOLERANCE = 2e-2


class CanExplain(Protocol):
    """Anything that explains a tensor."""

    @property
    def device(self) -> str:
        """The device really in use, `cpu` or `cuda`."""

    def explain(self, tensor: NDArray[np.float32]) -> Explanation:
        """Explain one picture given as float32 (1, S, S, 1), 0..255."""


def golden_tensors(bundle: Bundle) -> list[NDArray[np.float32]]:
    """Decode and lay out the golden pictures as any upload.

    Args:
        bundle: A verified bundle.

    Returns:
        For each golden case float32 (1, S, S, 1), 0..255.

    Raises:
        BundleError: a picture cannot be read.
    """
    try:
        images = [decode_image(bundle.pictures[case.picture]) for case in bundle.manifest.golden]
    except ImageError as error:
        raise BundleError(f"A golden picture of the model bundle cannot be read: {error}") from error
    return [preprocess(image, bundle.manifest.input.size_px) for image in images]


def tolerance_for(variant: str, device: str) -> float:
    """Return by how much an answer may differ from the recorded one."""
    return EXACT_TOLERANCE if (variant, device) == (FLOAT32, "cpu") else ROUNDED_TOLERANCE


def replay(bundle: Bundle, model: CanExplain) -> None:
    """Explain every golden picture and compare with what was recorded at export.

    Args:
        bundle: A verified bundle.
        model: The bundle's variant, ready to run.

    Raises:
        BundleError: an answer is another one; says which, by how much, and what to do.
        ModelError: the model gave no usable answer.
    """
    allowed = tolerance_for(bundle.variant, model.device)
    for case, tensor in zip(bundle.manifest.golden, golden_tensors(bundle), strict=True):
        expected = case.expected[bundle.variant]
        heatmap = expected.heatmap_over(bundle.manifest.heatmap.grid)
        for name, difference in _differences(model.explain(tensor), expected.probability, heatmap).items():
            if difference > allowed:
                raise BundleError(
                    f"On this computer ({model.device}) the model's variant {bundle.variant} does not "
                    f"give the answer that was released: for {case.picture} the {name} differs by "
                    f"{difference:.2g}, allowed is {allowed:g}. {_advice(bundle.variant)}"
                )


def _differences(
    explanation: Explanation, probability: float, heatmap: NDArray[np.float32]
) -> dict[str, float]:
    return {
        "probability": abs(explanation.probability - probability),
        "heat map": float(np.abs(explanation.heatmap - heatmap).max()),
    }


def _advice(variant: str) -> str:
    if variant == FLOAT32:
        return "Install the app and the model again; if that does not help, use another computer."
    return "Measure again which variant to run: python -m edge_app.choose"
