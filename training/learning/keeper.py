"""What is on disk of a training under way: its history, its best and its last state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from training.learning.stages import Stage
from training.runs import rundir

History = list[dict[str, Any]]


class Keeper:
    """What is on disk of a run: its history, its best and its last state.

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
            self._tensorboard = tf.summary.create_file_writer(str(run_dir / rundir.TENSORBOARD))
        self._path = run_dir / rundir.LAST_CHECKPOINT
        self._last = rundir.read_state(self._path)
        self.epochs_done = int(self._last["epochs_done"]) if self._last else 0
        rows = rundir.read_csv(run_dir / rundir.HISTORY) if self.epochs_done else []
        self.history: History = list(rows[: self.epochs_done])

    def restore_weights(self, variables: Iterable[Any]) -> None:
        """Put the last state back into a model's variables, in their order."""
        rundir.assign_state(self._path, self._last, "weight", variables)

    def restore_optimizer(self, variables: Iterable[Any]) -> None:
        """Put the last state back into an optimizer's variables, in their order."""
        rundir.assign_state(self._path, self._last, "optimizer", variables)

    def keep(
        self,
        stage: Stage,
        loss: float,
        area: float,
        weights: Sequence[Any],
        optimizer: Sequence[Any],
    ) -> None:
        """Write an epoch down: the best state if it is the best, the history, the last state.

        Args:
            stage: The stage that it belongs to.
            loss: The mean over its samples.
            area: The AUROC on validation.
            weights: The model's variables.
            optimizer: The optimizer's variables.
        """
        self.epochs_done += 1
        self.history.append(
            {
                "epoch": self.epochs_done,
                "stage": stage.name,
                "loss": f"{loss:.6f}",
                "validation_auroc": f"{area:.6f}",
            }
        )
        if self._writes:
            state = {"epochs_done": np.array(self.epochs_done), **_arrays("weight", weights)}
            best = rundir.best_checkpoint(self._run_dir, best_epoch(self.history))
            if best_epoch(self.history) == self.epochs_done:
                rundir.write_state(best, state)
            rundir.write_csv(self._run_dir / rundir.HISTORY, self.history)
            state |= _arrays("optimizer", optimizer)
            rundir.write_state(self._path, state)
            for earlier in set(best.parent.glob("best-*.npz")) - {best}:
                earlier.unlink()
            self._show({"loss": loss, "validation_auroc": area})

    def has_converged(self, stage: Stage, patience: int) -> bool:
        """Tell whether so many epochs of a stage have passed without a better one."""
        if not self.history:
            return False
        return self.epochs_done - max(best_epoch(self.history), stage.first_epoch) >= patience

    def _show(self, figures: Mapping[str, float]) -> None:
        with self._tensorboard.as_default(step=self.epochs_done):
            for name, value in figures.items():
                tf.summary.scalar(name, value)
        self._tensorboard.flush()


def best_epoch(history: History) -> int:
    """Return the number, counted from 1, of the first epoch with the highest validation AUROC."""
    areas = [float(row["validation_auroc"]) for row in history]
    return 1 + areas.index(max(areas))


def _arrays(name: str, variables: Iterable[Any]) -> dict[str, Any]:
    return {f"{name}_{index}": variable.numpy() for index, variable in enumerate(variables)}
