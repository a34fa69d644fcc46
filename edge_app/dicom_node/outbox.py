"""Answers on their way to an archive: tried again from memory, with growing pauses."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from pydicom.dataset import Dataset

from edge_app.alarm import Alarm
from edge_app.arrivals import Delivery
from edge_app.clock import seconds
from edge_app.dicom_node.archive import Archive
from edge_app.errors import PeerError

FIRST_PAUSE_S, LONGEST_PAUSE_S = 5.0, 300.0


@dataclass
class _Parcel:
    """A study whose answers are to be sent: how far that is, when to try next, what was taken before."""

    delivery: Delivery
    due_s: float
    sent: set[str] = field(default_factory=set)


class Outbox:
    """Sends the answers to studies, one study at a time; safe to share between threads.

    Nothing is held but which studies are due: the answers are made anew for each attempt, and are the same
    each time.

    Args:
        archive: Who gets the answers.
        answers_to: Makes the answers to a study from its id; None where the study is held no longer.
        clock: Seconds from any start, never running back.
    """

    def __init__(
        self,
        archive: Archive,
        answers_to: Callable[[str], Iterator[Dataset] | None],
        clock: Callable[[], float] = seconds,
    ) -> None:
        self._archive = archive
        self._answers_to = answers_to
        self._clock = clock
        self._lock = threading.Lock()
        self._parcels: dict[str, _Parcel] = {}
        self._alarm = Alarm(self._ring, clock)

    def add(self, study_id: str) -> None:
        """Send the answers to a study; of one that changed, those that are new.

        Args:
            study_id: The study's id.
        """
        with self._lock:
            delivery = Delivery(str(self._archive), "waiting", 0)
            known = self._parcels.get(study_id)
            sent = set() if known is None else known.sent
            self._parcels[study_id] = _Parcel(delivery, self._clock(), sent)
            self._set_alarm()

    def delivery(self, study_id: str) -> Delivery | None:
        """Tell how far the answers to a study are; None where none are due."""
        with self._lock:
            parcel = self._parcels.get(study_id)
            return None if parcel is None else parcel.delivery

    def _ring(self) -> None:
        with self._lock:
            now_s = self._clock()
            due = [key for key, parcel in self._parcels.items() if _is_due(parcel, now_s)]
        for study_id in due:
            self._try(study_id)
        with self._lock:
            self._set_alarm()

    def _try(self, study_id: str) -> None:
        with self._lock:
            parcel = self._parcels[study_id]
        answers = self._answers_to(study_id)
        if answers is None:
            with self._lock:
                self._parcels.pop(study_id, None)
            return
        new = (each for each in answers if each.SOPInstanceUID not in parcel.sent)
        try:
            for uid in self._archive.send(new):
                parcel.sent.add(uid)
        except PeerError as error:
            self._postpone(parcel, error)
        else:
            parcel.delivery = replace(parcel.delivery, state="sent", reason="", message="")

    def _postpone(self, parcel: _Parcel, error: PeerError) -> None:
        attempts = parcel.delivery.attempts + 1
        pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2 ** (attempts - 1))
        with self._lock:
            parcel.due_s = self._clock() + pause_s
            parcel.delivery = replace(
                parcel.delivery, attempts=attempts, reason=error.reason, message=str(error)
            )

    def _set_alarm(self) -> None:
        due_s = [parcel.due_s for parcel in self._parcels.values() if parcel.delivery.state == "waiting"]
        self._alarm.set(min(due_s) if due_s else None)


def _is_due(parcel: _Parcel, now_s: float) -> bool:
    return parcel.delivery.state == "waiting" and parcel.due_s <= now_s
