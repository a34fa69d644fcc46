"""How much and how long the node holds what came."""

from __future__ import annotations

import time

import pytest
from pydicom.dataset import Dataset

from edge_app.arrivals import Source
from edge_app.dicom_node.held_studies import Studies
from edge_app.dicom_node.waiting import Received, WaitingRoom
from edge_app.errors import NoRoom
from edge_app.imaging.dicom.envelope import Envelope
from edge_app.imaging.picture import Patient

SOURCE = Source("ROOM1", "10.0.0.1")
ENVELOPE = Envelope("1.2", "1.2.3", "1.2.4", "1.2.5", Patient("1867", "Curie^Marie"), Dataset(), Dataset())


def test_study_and_what_went_wrong_are_forgotten_without_another_call() -> None:
    studies = Studies(idle_s=60, max_age_s=0.05)
    assert studies.add(ENVELOPE, b"picture", SOURCE)
    studies.note("stranger", SOURCE, "Somebody called.")
    deadline_s = time.monotonic() + 60
    while (studies.held() or studies.incidents()) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert studies.held() == []
    assert studies.incidents() == []


def test_study_is_held_until_its_time_is_over() -> None:
    studies = Studies(idle_s=60, max_age_s=60)
    studies.add(ENVELOPE, b"picture", SOURCE)
    assert [study.first.patient.name for study in studies.held()] == ["Curie^Marie"]


def test_waiting_pictures_take_bounded_room() -> None:
    turns = []
    room = WaitingRoom(lambda _: None, turns.append, room_bytes=100)
    room.take_room(60, 0)
    with pytest.raises(NoRoom):
        room.take_room(41, 0)
    room.add(SOURCE, Received("study", "1.2.3", bytes(60)))
    turns[0].service()
    room.take_room(100, 0)
