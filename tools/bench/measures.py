"""From contenders and the running app to the rows of the table."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from tools.bench import contenders
from tools.bench.contenders import Subject
from tools.bench.rounds import interleave, spread
from tools.bench.service import App, Crowd, Upload, drawn_jpeg
from tools.bench.table import Goal, Row
from tools.bench.worker import Timed, Worker

OURS = "Predictor.explain"
INT8 = "ours in int8"
FORWARD = "ONNX Runtime, plain forward"
EAGER = "Keras Grad-CAM, eager"
FUNCTION = "Keras Grad-CAM, tf.function"
OPENVINO = "OpenVINO, plain forward, "
SMALL = "upload of 373 x 454"
LARGE = "upload of 2304 x 2880"
CROWD = "one of 8 clients' uploads"
FIRST_PREDICTIONS = 200
# By then the results that wait to be fetched take the most memory that they may.
SETTLED_PREDICTIONS = 300
SAMPLE_EVERY = 20
TELL_EVERY = 1000

Times = Mapping[str, NDArray[np.float64]]

logger = logging.getLogger(__name__)


class Effort(NamedTuple):
    """How long to measure: rounds of all contenders, predictions for the memory, starts, idle seconds."""

    rounds: int
    predictions: int
    starts: int
    idle_s: float


def compare(subject: Subject, rounds: int) -> list[Row]:
    """Measure every contender in turn and hold each against the other.

    Args:
        subject: The model.
        rounds: How often each has its turn.

    Returns:
        The rows: times, then what has a goal.
    """
    logger.info("%s: starting the contenders", subject.name)
    with ExitStack() as stack:
        app = stack.enter_context(closing(App(subject.bundle_dir)))
        crowd = Crowd(app, drawn_jpeg(373, 454))
        uploads = {SMALL: Upload(app, drawn_jpeg(373, 454)), LARGE: Upload(app, drawn_jpeg(2304, 2880))}
        workers = {
            name: stack.enter_context(closing(Worker(make))) for name, make in _makes(subject).items()
        }
        everyone: dict[str, Timed] = {**workers, **uploads, CROWD: crowd}
        logger.info("%s: %d rounds of %d contenders", subject.name, rounds, len(everyone))
        times = interleave(everyone, rounds)
    return [
        *(Row(name, spread(values), unit="ms") for name, values in times.items()),
        *ratios(times),
        Row(
            "99th percentile of 8 clients' waiting",
            spread([np.percentile(crowd.latencies_ms, 99)]),
            unit="ms",
        ),
    ]


def ratios(times: Times) -> list[Row]:
    """Hold contenders against each other, round by round.

    Args:
        times: Milliseconds of each contender in each round.

    Returns:
        The rows that have a goal.
    """
    ours, forward = times[OURS], times[FORWARD]
    return [
        Row(f"{OURS} / {FORWARD}", spread(ours / forward), Goal(1.05)),
        Row(f"{EAGER} / ours", spread(times[EAGER] / ours), Goal(15, least=True)),
        Row(f"{FUNCTION} / ours", spread(times[FUNCTION] / ours), Goal(1.4, least=True)),
        Row(f"ours / {OPENVINO}f32", spread(ours / times[f"{OPENVINO}f32"]), Goal(1.05)),
        _int8_row(times),
        Row(f"{SMALL} - forward", spread(times[SMALL] - forward), Goal(8), "ms"),
        Row(f"{LARGE} - forward", spread(times[LARGE] - forward), Goal(45), "ms"),
        Row("throughput of 8 clients x forward", spread(forward / times[CROWD]), Goal(0.9, least=True)),
    ]


def serve(subject: Subject, effort: Effort) -> list[Row]:
    """Measure the app itself: how it starts, what memory it takes, what it does when nobody asks.

    Args:
        subject: The model.
        effort: How long to measure.

    Returns:
        The rows.
    """
    started_s = [_start_s(subject) for _ in range(effort.starts + 1)][1:]  # the first one warms up
    with closing(App(subject.bundle_dir)) as app:
        memory = _memory_mb(app, effort.predictions)
        logger.info("%s: idling for %g s", subject.name, effort.idle_s)
        busy = app.busy_percent(effort.idle_s)
    return [
        Row("process start to healthy", spread(started_s), Goal(2.0), "s"),
        Row(
            f"memory after {FIRST_PREDICTIONS} predictions",
            spread([memory[FIRST_PREDICTIONS]]),
            Goal(300),
            "MB",
        ),
        Row(
            f"its growth from {SETTLED_PREDICTIONS} to {max(memory)}",
            spread([growth(memory)]),
            Goal(5),
            "MB",
        ),
        Row("processor while idle", spread([busy]), Goal(0.5), "%"),
    ]


def growth(memory: Mapping[int, float]) -> float:
    """Tell how much memory grew once the results that wait were as many as they may be.

    Args:
        memory: MB by number of predictions.

    Returns:
        The median of the last tenth of the predictions less that of the first tenth, in MB.
    """
    settled = [memory[count] for count in sorted(memory) if count >= SETTLED_PREDICTIONS]
    tenth = max(1, len(settled) // 10)
    return float(np.median(settled[-tenth:]) - np.median(settled[:tenth]))


def _makes(subject: Subject) -> dict[str, partial[contenders.Answer]]:
    precisions = contenders.openvino_precisions(subject)
    makes = {
        OURS: partial(contenders.ours, subject),
        FORWARD: partial(contenders.onnxruntime, subject),
        **{
            f"{OPENVINO}{name}": partial(contenders.openvino, subject, **how)
            for name, how in precisions.items()
        },
        FUNCTION: partial(contenders.keras_function, subject),
        EAGER: partial(contenders.keras_eager, subject),
    }
    return makes | ({INT8: partial(contenders.ours_int8, subject)} if "int8" in precisions else {})


def _int8_row(times: Times) -> Row:
    peers = [name for name in times if name.startswith(OPENVINO)]
    best = min(peers, key=lambda name: float(np.median(times[name])))
    label = f"{INT8} / {best}, its fastest"
    if INT8 not in times:
        return Row(f"{label}: the bundle has no int8", None, Goal(1.05))
    return Row(label, spread(times[INT8] / times[best]), Goal(1.05))


def _start_s(subject: Subject) -> float:
    with closing(App(subject.bundle_dir)) as app:
        return app.started_s


def _memory_mb(app: App, predictions: int) -> dict[int, float]:
    upload = Upload(app, drawn_jpeg(373, 454))
    memory = {}
    for count in range(1, predictions + 1):
        upload()
        if count % SAMPLE_EVERY == 0:
            memory[count] = app.resident_mb()
        if count % TELL_EVERY == 0:
            logger.info("%d of %d predictions, %.0f MB", count, predictions, memory[count])
    return memory
