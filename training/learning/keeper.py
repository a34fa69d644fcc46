"""What is on disk of a training under way: its history, its chosen and its last state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from training.learning.stages import Stage
from training.runs import rundir

History = list[dict[str, Any]]


class Keeper:
    """What is on disk of a run: its history, its chosen and its last state.

    The last state is written at the end, and tells how far the run is: whatever a kill leaves half done
    belongs to an epoch that will be done again.

    Args:
        run_dir: The run directory.
        writes: Whether this process writes it.
    """

    def __init__(self, run_dir: Path, writes: bool) -> None:
        self._run_dir = run_dir
        self._writes = writes
        if writes:
            (run_dir / rundir.LAST_CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
            self._tensorboard = tf.summary.create_file_writer(str(run_dir / rundir.TENSORBOARD))
        self._path = run_dir / rundir.LAST_CHECKPOINT
        self._last = rundir.read_state(self._path)
        self.epochs_done = int(self._last["epochs_done"]) if self._last else 0
        rows = rundir.read_csv(run_dir / rundir.HISTORY) if self.epochs_done else []
        self.history: History = list(rows[: self.epochs_done])

    def restore_weights(self, variables: Iterable[Any]) -> None:
        """Put the last state back into a model's variables, in their order."""
        rundir.assign_state(self._path, self._last, "weight", variables)

    def restore_learner(self, variables: Iterable[Any]) -> None:
        """Put the last state back into a learner's variables, in their order."""
        rundir.assign_state(self._path, self._last, "learner", variables)

    def keep(
        self,
        stage: Stage,
        loss: float,
        area: float | None,
        averaged: Sequence[NDArray[Any]],
        weights: Sequence[Any],
        learner: Sequence[Any],
    ) -> None:
        """Write an epoch down: its state if it is the chosen one, the history, the last state.

        Args:
            stage: The stage that it belongs to.
            loss: The mean over its samples.
            area: The AUROC on validation of the model with its averaged weights; None where the last
                epoch is taken, whatever it is.
            averaged: The model's variables with these.
            weights: The model's variables as the next epoch begins with them.
            learner: The learner's variables.
        """
        self.epochs_done += 1
        figures = {"loss": loss} | ({} if area is None else {"validation_auroc": area})
        texts = {name: f"{value:.6f}" for name, value in figures.items()}
        self.history.append(
            {"epoch": self.epochs_done, "stage": stage.name, "validation_auroc": "", **texts}
        )
        if self._writes:
            done = {"epochs_done": np.array(self.epochs_done)}
            chosen = rundir.chosen_checkpoint(self._run_dir, chosen_epoch(self.history))
            if chosen_epoch(self.history) == self.epochs_done:
                rundir.write_state(chosen, done | _arrays("weight", averaged))
            rundir.write_csv(self._run_dir / rundir.HISTORY, self.history)
            state = _arrays("weight", values_of(weights)) | _arrays("learner", values_of(learner))
            rundir.write_state(self._path, done | state)
            for earlier in set(chosen.parent.glob("chosen-*.npz")) - {chosen}:
                earlier.unlink()
            self._show(figures)

    def has_converged(self, stage: Stage, patience: int) -> bool:
        """Tell whether so many epochs of a stage have passed without a better one."""
        if not self.history:
            return False
        return self.epochs_done - max(chosen_epoch(self.history), stage.first_epoch) >= patience

    def _show(self, figures: Mapping[str, float]) -> None:
        with self._tensorboard.as_default(step=self.epochs_done):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._tensorboard.flush()


def chosen_epoch(history: History) -> int:
    """Return the number, counted from 1, of the first epoch with the highest validation AUROC.

    Where nothing was validated, it is the last epoch.
    """
    areas = [float(row["validation_auroc"] or 0) for row in history]
    return 1 + areas.index(max(areas)) if max(areas) else len(history)


def values_of(variables: Iterable[Any]) -> list[NDArray[Any]]:
    """Copy the values of variables."""
    return [variable.numpy() for variable in variables]


def _arrays(name: str, values: Iterable[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {f"{name}_{index}": value for index, value in enumerate(values)}
