"""What is measured: each contender answers for one picture, with two threads, in the form its users know.

A contender is made in a process of its own and imports its library there: no other one shares its threads.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.imaging.preprocess import preprocess
from edge_app.model.bundle import MODEL, load_bundle
from edge_app.model.inference import ModelPair
from edge_app.predictor import Predictor
from export.proof.drawn import draw_xray

THREADS = 2
_PRECISIONS = {"f32": "FP32", "bf16": "BF16", "f16": "FP16"}

Answer = Callable[[], object]


class Subject(NamedTuple):
    """A model to measure: its bundle, and the network it was made from."""

    bundle_dir: Path
    architecture: str
    size_px: int

    @property
    def name(self) -> str:
        """What the table calls it."""
        return f"{self.architecture} at {self.size_px}"

    def tensor(self) -> NDArray[np.float32]:
        """Return a drawn picture as float32 (1, S, S, 1), 0..255."""
        return preprocess(draw_xray(1), self.size_px)


def ours(subject: Subject) -> Answer:
    """Probability and heat map through `Predictor`, in 32-bit."""
    predictor = Predictor(subject.bundle_dir, "cpu", THREADS)
    tensor = subject.tensor()
    return lambda: predictor.explain(tensor)


def ours_int8(subject: Subject) -> Answer:
    """Probability and heat map of the bundle's variant int8."""
    model = ModelPair(load_bundle(subject.bundle_dir, "int8").graphs, "cpu", THREADS)
    tensor = subject.tensor()
    return lambda: model.explain(tensor)


def onnxruntime(subject: Subject) -> Answer:
    """Probability alone, by ONNX Runtime as one would use it: default settings but for the threads."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = ort.InferenceSession(subject.bundle_dir / MODEL, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: subject.tensor()}
    return lambda: session.run(None, feed)


def openvino(subject: Subject, graph: str = MODEL, precision: str = "f32") -> Answer:
    """Output of one graph alone, by OpenVINO: fixed shape, tuned for latency, no copies."""
    import openvino as ov

    core = ov.Core()
    model = core.read_model(subject.bundle_dir / graph)
    model.reshape([1, subject.size_px, subject.size_px, 1])
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": THREADS,
    }
    request = core.compile_model(model, "CPU", settings).create_infer_request()
    feed = {0: subject.tensor()}
    return lambda: request.infer(feed, share_inputs=True, share_outputs=True)


def openvino_precisions(subject: Subject) -> dict[str, dict[str, str]]:
    """Tell the arguments of `openvino` for each precision that this processor has, by name.

    The int8 graph is ours, without its head: OpenVINO reads it and runs it its own way.
    """
    import openvino as ov

    able = ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    precisions = {name: {"precision": name} for name, said in _PRECISIONS.items() if said in able}
    variant = load_bundle(subject.bundle_dir).manifest.variants.get("int8")
    return precisions | ({"int8": {"graph": variant.features}} if variant else {})


def keras_eager(subject: Subject) -> Answer:
    """Grad-CAM as Keras' own example shows it; the sub-model is built once, which the example does not."""
    grad_cam, tensor = _keras_recipe(subject)
    return lambda: grad_cam(tensor).numpy()


def keras_function(subject: Subject) -> Answer:
    """Run the same inside `tf.function`."""
    import tensorflow as tf

    grad_cam, tensor = _keras_recipe(subject)
    compiled = tf.function(grad_cam)
    return lambda: compiled(tensor).numpy()


def _keras_recipe(subject: Subject) -> tuple[Callable[[Any], Any], Any]:
    """Return the recipe and its input; weights are random, for they do not change the time.

    Source:
        keras.io, code examples, "Grad-CAM class activation visualization".
    """
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(THREADS)
    tf.config.threading.set_inter_op_parallelism_threads(THREADS)
    import keras

    from export.graph.split import split_model
    from training.networks.architectures import build_model

    model = build_model(subject.architecture, subject.size_px)
    last_map = model.get_layer(split_model(model).layer).output
    both = keras.Model(model.inputs, [last_map, model.output])

    def grad_cam(image: Any) -> Any:
        with tf.GradientTape() as tape:
            features, probability = both(image)
            score = probability[:, 0]
        weights = tf.reduce_mean(tape.gradient(score, features), axis=(0, 1, 2))
        heatmap = tf.squeeze(features[0] @ weights[..., tf.newaxis])
        return tf.maximum(heatmap, 0) / tf.math.reduce_max(heatmap)

    return grad_cam, tf.constant(subject.tensor())
