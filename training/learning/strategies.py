"""How many processors train together: one, all of a machine, or several machines."""

from __future__ import annotations

import json
import os

import tensorflow as tf

from edge_app.errors import DeviceError
from training.data.batches import Share


def make_strategy(name: str) -> tf.distribute.Strategy:
    """Make a TensorFlow distribution strategy.

    Args:
        name: "mirrored" for every GPU of this machine, "multi_worker" for the machines that the
            environment variable TF_CONFIG names, "auto" for the second where TF_CONFIG is set and for one
            processor else.

    Returns:
        The strategy. Nothing else of TensorFlow may run before it with several workers.

    Raises:
        DeviceError: several workers are asked for, and TF_CONFIG does not name them.
    """
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    if name == "multi_worker" or "TF_CONFIG" in os.environ:
        _check_tf_config()
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.get_strategy()


def describe_devices(strategy: tf.distribute.Strategy) -> str:
    """Tell what trains, for the log."""
    gpus = tf.config.list_physical_devices("GPU")
    replicas = strategy.num_replicas_in_sync
    where = f"{replicas} GPU" if gpus else "the CPU, no GPU was found"
    if len(gpus) > replicas:
        where += f" of {len(gpus)}; --strategy mirrored takes all"
    return f"{where} ({replicas} replicas)" if replicas > 1 else where


def has_bfloat16() -> bool:
    """Tell whether there are GPUs, all of which compute fast in bfloat16."""
    gpus = tf.config.list_physical_devices("GPU")
    details = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return bool(gpus) and all(each.get("compute_capability", (0, 0)) >= (8, 0) for each in details)


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Tell whether this process writes the run directory."""
    resolver = strategy.cluster_resolver
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or resolver.task_id == 0


def share_of_batch(context: tf.distribute.InputContext) -> Share:
    """Tell which share of every batch this process takes."""
    return Share(context.input_pipeline_id, context.num_input_pipelines, context.num_replicas_in_sync)


def wait_for_all(strategy: tf.distribute.Strategy) -> None:
    """Return when every process has come here."""

    def meet() -> tf.Tensor:
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.constant(1.0))

    tf.function(strategy.run)(meet)


def _check_tf_config() -> None:
    try:
        config = json.loads(os.environ.get("TF_CONFIG", ""))
        workers, task = config["cluster"]["worker"], config["task"]
        named = task["type"] == "worker" and 0 <= task["index"] < len(workers)
    except (ValueError, KeyError, TypeError):
        named = False
    if not named:
        raise DeviceError(
            "TF_CONFIG does not name the workers. Expected "
            '{"cluster": {"worker": ["host1:port", "host2:port"]}, "task": {"type": "worker", '
            '"index": 0}}, with another index on each.'
        )
