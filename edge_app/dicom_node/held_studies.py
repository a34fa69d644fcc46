"""The studies that are held: what came, what was said of it, when it is whole, when it is forgotten."""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.alarm import Alarm
from edge_app.arrivals import ArrivedStudy, ArrivedView, Incident, Source
from edge_app.clock import seconds
from edge_app.errors import DuplicateInstance, OtherPatient
from edge_app.imaging.dicom.envelope import Envelope
from edge_app.study import joint_answer

MAX_INCIDENTS = 100


def _now() -> datetime:
    return datetime.now().astimezone()


class Place(NamedTuple):
    """Where a fracture is suspected: the outline if any, in a picture of this size and spacing."""

    outline: NDArray[np.float32] | None = None
    size_px: tuple[int, int] = (0, 0)
    spacing_mm: tuple[float, float] | None = None


@dataclass
class HeldView:
    """A picture that came: its header, the hash of its bytes, what was said of it, and where."""

    envelope: Envelope
    digest: bytes
    view: ArrivedView = field(default_factory=ArrivedView)
    place: Place = field(default_factory=Place)


@dataclass
class HeldStudy:
    """A study's pictures in the order in which they came; `version` counts how often it became whole."""

    id: str
    source: Source
    came_at: datetime
    last_came_s: float
    views: dict[str, HeldView] = field(default_factory=dict)
    is_whole: bool = False
    version: int = 0
    whole_at: datetime = field(default_factory=_now)

    @property
    def first(self) -> Envelope:
        """What the first picture says of itself."""
        return next(iter(self.views.values())).envelope

    @property
    def is_judged(self) -> bool:
        """Whether no picture waits."""
        return not any(held.view.is_waiting for held in self.views.values())

    def copy(self) -> HeldStudy:
        """Return it as it is now; what comes later does not change the copy."""
        return replace(self, views={uid: replace(held) for uid, held in self.views.items()})

    def shown(self) -> ArrivedStudy:
        """Return what a page shows of it."""
        views = tuple(held.view for held in self.views.values())
        answers = [view.answer for view in views if view.answer is not None]
        return ArrivedStudy(
            id=self.id,
            source=self.source,
            patient=self.first.patient,
            came_at=self.came_at,
            views=views,
            answer=joint_answer(answers) if answers else None,
            is_whole=self.is_whole,
            version=self.version,
        )


class Studies:
    """Holds what came, for a while; safe to share between threads.

    A study is whole once all its pictures are judged and none has come for `idle_s`; a late one opens it
    again. It is forgotten `max_age_s` after its last picture.

    Args:
        idle_s: After how many seconds without a picture a study is whole.
        max_age_s: For how many seconds a study is held.
        on_whole: Called with each study that became whole.
        clock: Seconds from any start, never running back.
    """

    def __init__(
        self,
        idle_s: float,
        max_age_s: float,
        on_whole: Callable[[HeldStudy], None] = lambda _study: None,
        clock: Callable[[], float] = seconds,
    ) -> None:
        self._idle_s = idle_s
        self._max_age_s = max_age_s
        self._on_whole = on_whole
        self._clock = clock
        self._lock = threading.Lock()
        self._studies: dict[str, HeldStudy] = {}  # by StudyInstanceUID
        self._incidents: deque[tuple[float, Incident]] = deque(maxlen=MAX_INCIDENTS)
        self._alarm = Alarm(self._ring, clock)

    def add(self, envelope: Envelope, data: bytes, source: Source) -> str | None:
        """Hold that a picture came.

        Args:
            envelope: What it says of itself.
            data: Its bytes.
            source: Who sent it.

        Returns:
            The id of its study; None where the same bytes came before, so that nothing is to be done.

        Raises:
            DuplicateInstance: other bytes came under the same identifier.
            OtherPatient: its study holds another patient's pictures.
        """
        digest = hashlib.sha256(data).digest()
        with self._lock:
            study = self._studies.get(envelope.study_uid) or self._new_study(source)
            if (known := self._known(envelope.sop_uid)) is not None:
                _require_same(known, digest)
                return None
            _require_patient(study, envelope)
            self._studies[envelope.study_uid] = study
            study.views[envelope.sop_uid] = HeldView(envelope, digest)
            study.last_came_s, study.is_whole = self._clock(), False
            self._set_alarm()
            return study.id

    def judge(self, study_id: str, sop_uid: str, view: ArrivedView, place: Place) -> None:
        """Hold what was said of a picture; one that was forgotten meanwhile is no error.

        Args:
            study_id: The id of its study.
            sop_uid: Its identifier.
            view: What was said.
            place: Where.
        """
        with self._lock:
            study = self._by_id(study_id)
            if study is not None:
                study.views[sop_uid].view, study.views[sop_uid].place = view, place
                self._set_alarm()

    def note(self, code: str, source: Source, message: str) -> None:
        """Hold that something went wrong.

        Args:
            code: A stable word for it.
            source: With whom.
            message: A sentence that names no patient.
        """
        incident = Incident(code, source, _now(), message)
        with self._lock:
            self._incidents.appendleft((self._clock(), incident))
            self._set_alarm()

    def held(self) -> list[HeldStudy]:
        """Return the studies, the most suspicious first and those without an answer last."""
        with self._lock:
            studies = [study.copy() for study in self._studies.values()]
        return sorted(studies, key=_suspicion, reverse=True)

    def find(self, study_id: str) -> HeldStudy | None:
        """Return a study by its id; None where it is held no longer."""
        with self._lock:
            study = self._by_id(study_id)
            return None if study is None else study.copy()

    def incidents(self) -> list[Incident]:
        """Return what went wrong of late, the newest first."""
        with self._lock:
            return [incident for _, incident in self._incidents]

    def _new_study(self, source: Source) -> HeldStudy:
        return HeldStudy(secrets.token_urlsafe(16), source, _now(), self._clock())

    def _known(self, sop_uid: str) -> HeldView | None:
        views = (study.views.get(sop_uid) for study in self._studies.values())
        return next((view for view in views if view is not None), None)

    def _by_id(self, study_id: str) -> HeldStudy | None:
        return next((study for study in self._studies.values() if study.id == study_id), None)

    def _ring(self) -> None:
        """Forget what is old, and tell of each study that became whole."""
        with self._lock:
            now_s = self._clock()
            self._forget(now_s)
            whole = [study for study in self._studies.values() if self._moment_whole_s(study) <= now_s]
            for study in whole:
                study.is_whole, study.whole_at = True, _now()
                study.version += 1
            copies = [study.copy() for study in whole]
            self._set_alarm()
        for study in copies:
            self._on_whole(study)

    def _forget(self, now_s: float) -> None:
        oldest_s = now_s - self._max_age_s
        self._studies = {uid: study for uid, study in self._studies.items() if study.last_came_s > oldest_s}
        while self._incidents and self._incidents[-1][0] <= oldest_s:
            self._incidents.pop()

    def _moment_whole_s(self, study: HeldStudy) -> float:
        """Return when a study becomes whole; never while it is, or while a picture waits."""
        if study.is_whole or not study.is_judged:
            return float("inf")
        return study.last_came_s + self._idle_s

    def _set_alarm(self) -> None:
        ages_s = [study.last_came_s for study in self._studies.values()]
        ages_s += [self._incidents[-1][0]] if self._incidents else []
        moments_s = [age_s + self._max_age_s for age_s in ages_s]
        moments_s += [self._moment_whole_s(study) for study in self._studies.values()]
        self._alarm.set(min(moments_s) if moments_s else None)


def _require_same(known: HeldView, digest: bytes) -> None:
    if known.digest != digest:
        raise DuplicateInstance(
            "A different picture came under the same SOP Instance UID before. The sender must give each "
            "picture its own."
        )


def _require_patient(study: HeldStudy, envelope: Envelope) -> None:
    if study.views and study.first.patient.identifier != envelope.patient.identifier:
        raise OtherPatient(
            "The study holds pictures of another patient. The sender must give each patient's study its "
            "own Study Instance UID."
        )


def _suspicion(study: HeldStudy) -> float:
    answer = study.shown().answer
    return -1.0 if answer is None else answer.probability
