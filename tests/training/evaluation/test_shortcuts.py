from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edge_app.imaging.preprocess import Placement
from edge_app.model.pointing import Box
from training.data.samples import Sample
from training.data.scan import Scan
from training.evaluation.shortcuts import audit_shortcuts, blanked, in_square, without_markers

SIZE_PX = 64
WHOLE = Placement(0, 0, SIZE_PX, SIZE_PX)
BOX = Box(0.125, 0.25, 0.25, 0.125)  # columns 8 to 24, rows 16 to 24


def picture(fractured: bool, marked: bool) -> np.ndarray:
    """Draw a grey square; a fracture is a bright patch in the box, a marker a white one in the corner."""
    square = np.full((SIZE_PX, SIZE_PX), 60, np.uint8)
    if fractured:
        square[16:24, 8:24] = 120
    if marked:
        square[56:60, 56:60] = 255
    return square


def scan_of(fractured: list[bool], marked: list[bool]) -> Scan:
    samples = [
        Sample(str(index), Path(str(index)), each, boxes=(BOX,) if each else ())
        for index, each in enumerate(fractured)
    ]
    squares = np.stack([picture(*each) for each in zip(fractured, marked, strict=True)])
    shapes = np.full((len(samples), 2), SIZE_PX)
    return Scan(samples, squares, shapes, np.zeros((len(samples), 32, 32), np.uint8), [])


def looks_at_fractures(squares: np.ndarray) -> np.ndarray:
    return squares[:, 16:24, 8:24].mean(axis=(1, 2)).astype(np.float64)


def looks_at_markers(squares: np.ndarray) -> np.ndarray:
    """Score in steps of 20 grey levels: what is painted over differs by one from its surroundings."""
    return np.round(squares[:, 56:60, 56:60].mean(axis=(1, 2)) / 20)


FRACTURED = [True, False] * 4
LABELS = np.array(FRACTURED, np.float32)
GROUPS = np.arange(8)


def test_who_looks_at_fractures_loses_them_with_the_box_alone() -> None:
    audit = audit_shortcuts(looks_at_fractures, scan_of(FRACTURED, FRACTURED), LABELS, GROUPS)
    assert audit["auroc"]["value"] == audit["auroc_without_markers"]["value"] == 1
    assert audit["falls"]["samples"] == 4
    assert audit["falls"]["box"] == pytest.approx(60, abs=2)
    assert abs(audit["falls"]["elsewhere"]) < 1
    assert abs(audit["falls"]["background"]) < 1
    assert audit["falls"]["box_falls_more_than_elsewhere"] == 1


def test_who_looks_at_markers_is_found_out() -> None:
    audit = audit_shortcuts(looks_at_markers, scan_of(FRACTURED, FRACTURED), LABELS, GROUPS)
    assert audit["auroc"]["value"] == 1
    assert audit["auroc_without_markers"]["value"] == 0.5
    assert audit["falls"]["box"] == 0
    assert audit["falls"]["background"] > 5


def test_without_boxes_nothing_is_said_of_them() -> None:
    scan = scan_of(FRACTURED, FRACTURED)
    bare = [Sample(each.image_id, each.path, each.fractured) for each in scan.samples]
    unboxed = Scan(bare, scan.squares, scan.shapes, scan.thumbnails, [])
    audit = audit_shortcuts(looks_at_fractures, unboxed, LABELS, GROUPS)
    assert audit["falls"] is None
    assert audit["auroc_of_smaller_fractures"] is None


def test_a_box_lies_in_the_square_where_the_picture_does() -> None:
    inside = in_square([BOX], Placement(16, 0, 32, 64), SIZE_PX)
    rows, columns = np.nonzero(inside)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (24, 27, 8, 23)


def test_a_blanked_place_has_the_grey_of_its_surroundings_and_the_given_square_stays() -> None:
    square = picture(True, False)
    empty = blanked(square, in_square([BOX], WHOLE, SIZE_PX))
    np.testing.assert_array_equal(empty, 60)
    np.testing.assert_array_equal(square, picture(True, False))


def test_markers_vanish_and_a_limb_stays() -> None:
    square = picture(False, True)
    square[:, 24:40] = 210  # a limb: bright, but large
    cleared = without_markers(square, WHOLE)
    assert cleared[56:60, 56:60].max() < 80
    np.testing.assert_array_equal(cleared[:, 24:40], 210)
