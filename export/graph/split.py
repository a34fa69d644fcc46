"""A Keras model cut in two: features, and a head whose gradient is made of ONNX operators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf
from keras import layers

from edge_app.errors import ExportError
from export.graph.heads import called, head_steps
from export.graph.steps import Step

_SIGMOID, _SOFTMAX = keras.activations.sigmoid, keras.activations.softmax
_SQUASH: dict[Callable[..., tf.Tensor], Callable[[tf.Tensor], tf.Tensor]] = {
    _SIGMOID: tf.sigmoid,
    _SOFTMAX: tf.nn.softmax,
}


@dataclass(frozen=True)
class SplitModel:
    """A model cut at a feature map.

    `features` goes from image (N, S, S, 1) to features (N, h, w, C); `head` from features to the logit
    (N, K) of K classes, as Keras computes it; `steps` is the same head with its derivatives; `squash`
    turns logits into probabilities. `layer` names the layer at which `model` was cut.
    """

    model: keras.Model
    features: keras.Model
    head: keras.Model
    steps: tuple[Step, ...]
    squash: Callable[[tf.Tensor], tf.Tensor]
    layer: str

    @property
    def classes(self) -> int:
        """The number K of classes that have a logit."""
        return int(self.head.output_shape[-1])

    def classify(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Compute logit (N, K) and probability (N, K) of features (N, h, w, C)."""
        logit = self._results(features)[-1]
        return logit, self.squash(logit)

    def explain(self, features: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Compute logit, probability and the gradient d logit / d features.

        Args:
            features: (N, h, w, C).

        Returns:
            Logit (N, K), probability (N, K), and the gradient: (N, h, w, C) for one class, else
            (N, K, h, w, C).
        """
        results = self._results(features)
        logit = results[-1]
        gradients = []
        for one in tf.unstack(tf.eye(self.classes, dtype=logit.dtype)):
            upstream = tf.broadcast_to(one, tf.shape(logit))
            for step, values, result in reversed(
                list(zip(self.steps, results[:-1], results[1:], strict=True))
            ):
                upstream = step.backward(values, result, upstream)
            gradients.append(upstream)
        gradient = gradients[0] if self.classes == 1 else tf.stack(gradients, axis=1)
        return logit, self.squash(logit), gradient

    def _results(self, features: tf.Tensor) -> list[tf.Tensor]:
        results = [features]
        for step in self.steps:
            results.append(step.forward(results[-1]))
        return results


def split_model(model: keras.Model, feature_layer: str | None = None) -> SplitModel:
    """Cut a model at a feature map, and write the head behind it as steps with derivatives.

    Args:
        model: One image (N, S, S, 1) in, K probabilities out, by a sigmoid or a softmax.
        feature_layer: The layer whose map is explained; by default the last one with a feature map.

    Returns:
        The two halves.

    Raises:
        ExportError: the model has another end, no feature map, no such layer, or a head that is not
            supported; a wrong gradient would give a wrong heat map that looks right.
    """
    shape = model.outputs[0].shape
    if len(model.inputs) != 1 or len(model.outputs) != 1 or len(shape) != 2:
        raise ExportError(
            f"Expected one image in and a row of probabilities out, found {len(model.inputs)} inputs and "
            f"{len(model.outputs)} outputs, the first of shape {shape}."
        )
    model = keras.Model(model.inputs[0], model.outputs[0])  # a Sequential becomes a graph of layers too
    logit, squash = _logit(model)
    tail = _tail(model, logit)
    position = _position(tail, logit.shape[-1], feature_layer)
    cut = tail[position].input
    return SplitModel(
        model=model,
        features=keras.Model(model.input, cut, name="features"),
        head=keras.Model(cut, logit, name="head"),
        steps=tuple(step for operation in tail[position:] for step in head_steps(operation)),
        squash=squash,
        layer=_name_of(cut),
    )


def _logit(model: keras.Model) -> tuple[keras.KerasTensor, Callable[[tf.Tensor], tf.Tensor]]:
    """Find what the model's last sigmoid or softmax is applied to, and which of them it is."""
    last = _producer(model.output)
    if isinstance(last, layers.Softmax) and last.axis in (-1, 1):
        return last.input, _SQUASH[_SOFTMAX]
    squash = _SQUASH.get(getattr(last, "activation", keras.activations.linear))
    if isinstance(last, layers.Activation) and squash:
        return last.input, squash
    if isinstance(last, layers.Dense) and squash:
        linear = layers.Dense.from_config({**last.get_config(), "activation": "linear"})
        logit = linear(last.input)
        linear.set_weights(last.get_weights())
        return logit, squash
    raise ExportError(f"Expected a sigmoid or softmax at the end, found {called(last)}.")


def _tail(model: keras.Model, logit: keras.KerasTensor) -> list[keras.Operation]:
    """Follow the model back from its logit for as long as each layer takes one tensor."""
    operations: list[keras.Operation] = []
    tensor = logit
    while tensor is not model.input:
        operation = _producer(tensor)
        if not _is_link(operation, tensor):
            break
        operations.insert(0, operation)
        tensor = operation.input
    return operations


def _is_link(operation: keras.Operation, tensor: keras.KerasTensor) -> bool:
    """Tell whether a tensor is all that an operation gives, from one tensor that it takes once."""
    try:
        origin, result = operation.input, operation.output
    except (AttributeError, ValueError):  # a layer that is called several times
        return False
    first = result[0] if isinstance(result, list | tuple) else result
    return isinstance(origin, keras.KerasTensor) and first is tensor


def _position(tail: Sequence[keras.Operation], classes: int, feature_layer: str | None) -> int:
    """Choose the operation of the tail whose input is the feature map."""
    maps = {
        _name_of(operation.input): index for index, operation in enumerate(tail) if _takes_map(operation)
    }
    if feature_layer is None:
        # A map with a channel for each class is the evidence that a head pools, not what it is drawn from.
        telling = [index for index in maps.values() if tail[index].input.shape[-1] != classes]
        if not telling:
            raise ExportError("The model has no layer with a feature map (N, h, w, C) to explain.")
        return telling[-1]
    if feature_layer in maps:
        return maps[feature_layer]
    valid = [name for name, index in maps.items() if _is_exportable(tail[index:])]
    raise ExportError(
        f"The model cannot be cut at {feature_layer!r}. Choose one of {', '.join(valid) or 'none'}."
    )


def _takes_map(operation: keras.Operation) -> bool:
    shape = operation.input.shape
    dropped = isinstance(_producer(operation.input), layers.Dropout | layers.SpatialDropout2D)
    return len(shape) == 4 and shape[1] * shape[2] > 1 and not dropped


def _is_exportable(operations: Sequence[keras.Operation]) -> bool:
    try:
        for operation in operations:
            head_steps(operation)
    except ExportError:
        return False
    return True


def _producer(tensor: keras.KerasTensor) -> keras.Operation:
    # Keras has no public way from a tensor to the layer that made it.
    return tensor._keras_history.operation


def _name_of(tensor: keras.KerasTensor) -> str:
    return str(_producer(tensor).name)
