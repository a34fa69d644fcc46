"""A bundle with an input gate, from its files to the answer."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edge_app.errors import BundleError, NotAnXray
from edge_app.imaging.images import encode_png
from edge_app.model.quality import (
    COLOURED,
    INVERTED,
    PHOTOGRAPH,
    XRAY,
    Distance,
    InputGate,
    normalised,
    pack_gate,
)
from edge_app.predictor import Predictor
from edge_app.settings import Settings
from edge_app.web.app import create_app
from tests.toy import SIZE_PX, features_graph, write_toy_bundle


def ramp(darkest: int, brightest: int) -> np.ndarray:
    return np.tile(np.linspace(darkest, brightest, SIZE_PX).astype(np.uint8), (SIZE_PX, 1))


DARK, MIDDLE, BRIGHT = ramp(10, 110), ramp(78, 178), ramp(145, 245)


def average(picture: np.ndarray) -> np.ndarray:
    """Return what the toy's two channels are on average: brightness, and one minus it."""
    brightness = picture.mean() / 255
    return np.array([brightness, 1 - brightness], np.float32)


def gate() -> InputGate:
    """Accept what is dark; what is bright is a photograph, what lies between an inverted X-ray."""
    directions = [normalised(average(picture)) for picture in (DARK, BRIGHT, MIDDLE)]
    near_dark = Distance(directions[0], np.eye(2, dtype=np.float32), 0.1)
    weights = 40 * np.stack(directions, axis=1).astype(np.float32)
    return InputGate(
        (XRAY, PHOTOGRAPH, INVERTED), weights, np.zeros(3, np.float32), (near_dark,), 0.0, -2.0
    )


def gated_features() -> bytes:
    model = onnx.load_model_from_string(features_graph())
    graph = model.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1, 2], np.int64), "over"))
    graph.node.append(helper.make_node("ReduceMean", ["features", "over"], ["average"], keepdims=0))
    graph.output.append(helper.make_tensor_value_info("average", TensorProto.FLOAT, ["batch", 2]))
    return bytes(model.SerializeToString())


def write_gated(bundle_dir: Path, **changes: Any) -> Path:
    made = gate()
    settings = {
        "file": "input-gate.npz",
        "averages": ["average"],
        "kinds": list(made.kinds),
        "acceptance": made.acceptance,
        "refusal": made.refusal,
        "limits": [made.distances[0].limit],
        **changes,
    }
    contents = {"features.onnx": gated_features(), "input-gate.npz": pack_gate(made)}
    return write_toy_bundle(bundle_dir, contents, input_gate=settings)


@pytest.fixture
def predictor(tmp_path: Path) -> Predictor:
    return Predictor(write_gated(tmp_path), device="cpu")


def test_an_xray_is_accepted(predictor: Predictor) -> None:
    assert predictor.predict(encode_png(DARK)).quality == (True, (), True)


def test_colours_are_noticed_in_what_was_sent(predictor: Predictor) -> None:
    tinted = np.stack([DARK, DARK, DARK + 40], axis=2)
    assert predictor.predict(encode_png(tinted)).quality == (False, (COLOURED,), True)


def test_what_should_look_otherwise_is_answered_with_the_reason(predictor: Predictor) -> None:
    prediction = predictor.predict(encode_png(MIDDLE))
    assert prediction.quality == (False, (INVERTED,), True)
    assert prediction.probability == pytest.approx(1 / (1 + np.exp(2 - 6 * MIDDLE.mean() / 255)), abs=1e-3)


def test_a_photograph_is_not_answered(predictor: Predictor) -> None:
    with pytest.raises(NotAnXray, match="looks like a photograph, so no answer"):
        predictor.predict(encode_png(BRIGHT))


def test_a_frame_that_shows_nothing_is_not_answered(predictor: Predictor) -> None:
    with pytest.raises(NotAnXray, match="shows nothing"):
        predictor.predict(encode_png(np.full((SIZE_PX, SIZE_PX), 40, np.uint8)))


def test_the_padding_around_a_picture_is_not_looked_at(predictor: Predictor) -> None:
    """A narrow picture stands in a black square, which would spread its grey levels."""
    with pytest.raises(NotAnXray, match="shows nothing"):
        predictor.predict(encode_png(np.full((64, 32), 200, np.uint8)))


def test_a_bundle_without_gate_tells_no_quality(tmp_path: Path) -> None:
    predictor = Predictor(write_toy_bundle(tmp_path), device="cpu")
    assert predictor.predict(encode_png(BRIGHT)).quality is None


def test_a_gate_for_other_averages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="a limit for each average"):
        Predictor(write_gated(tmp_path, limits=[0.1, 0.2]), device="cpu")


def test_an_average_that_the_graph_does_not_tell_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="graphs do not run"):
        Predictor(write_gated(tmp_path, averages=["another"]), device="cpu")


def test_a_gate_that_was_altered_is_refused(tmp_path: Path) -> None:
    place = write_gated(tmp_path) / "input-gate.npz"
    place.write_bytes(place.read_bytes()[:-1] + b"!")
    with pytest.raises(BundleError, match=r"input-gate\.npz .* is not the file that was released"):
        Predictor(tmp_path, device="cpu")


def test_an_answer_between_the_thresholds_is_normal_but_uncertain(tmp_path: Path) -> None:
    """The toy's logit is 6 b - 2: b = 0.3 gives 0.45, between 0.4 and 0.5, and b = 0.2 gives 0.31."""
    point = {"threshold": 0.4, "sensitivity": {"value": 0.95}, "specificity": {"value": 0.5}}
    predictor = Predictor(write_toy_bundle(tmp_path, rule_out=point), device="cpu")
    near, far = (
        predictor.predict(encode_png(np.full((SIZE_PX, SIZE_PX), grey, np.uint8))) for grey in (77, 51)
    )
    assert (near.prediction, near.is_uncertain) == ("Normal", True)
    assert (far.prediction, far.is_uncertain) == ("Normal", False)


def test_without_a_rule_out_point_nothing_is_uncertain(tmp_path: Path) -> None:
    prediction = Predictor(write_toy_bundle(tmp_path), device="cpu").predict(encode_png(MIDDLE))
    assert not prediction.is_uncertain


def test_the_api_tells_quality_and_refuses_with_a_code(predictor: Predictor) -> None:
    client = create_app(Settings(), predictor).test_client()

    def send(picture: np.ndarray) -> Any:
        return client.post("/predict", data={"file": (io.BytesIO(encode_png(picture)), "a.png")})

    assert send(DARK).json["quality"] == {"accepted": True, "reasons": []}
    assert send(MIDDLE).json["quality"] == {"accepted": False, "reasons": ["inverted"]}
    refused = send(BRIGHT)
    assert (refused.status_code, refused.json["error"]) == (422, "not_an_xray")
