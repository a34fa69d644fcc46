"""The confined process reads DICOM as this one does: no codec needs more than it may do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from edge_app.errors import MissingTag
from edge_app.imaging.child import ChildDecoder
from edge_app.imaging.decode import decode
from export.proof.drawn import draw_xray
from tests.dicom_files import as_jpeg_2000, converted, xray_dataset, xray_file


@pytest.fixture(scope="module")
def child() -> Iterator[ChildDecoder]:
    with closing(ChildDecoder()) as decoder:
        yield decoder


@pytest.mark.parametrize(
    "conversion",
    [("dcmconv", "+td"), ("dcmcrle",), ("dcmcjpeg", "+ee"), ("dcmcjpeg", "+e1"), ("dcmcjpls", "+el")],
    ids=lambda conversion: " ".join(conversion),
)
def test_every_codec_works_there(child: ChildDecoder, conversion: tuple[str, ...], tmp_path: Path) -> None:
    twelve = draw_xray(1).astype(np.uint16) * 16
    data = converted(xray_file(twelve, 12, ViewPosition="PA"), tmp_path, *conversion)
    here, there = decode(data), child(data)
    np.testing.assert_array_equal(there.pixels, here.pixels)
    assert there.header == here.header


def test_jpeg_2000_works_there(child: ChildDecoder) -> None:
    data = as_jpeg_2000(xray_dataset(draw_xray(1)), draw_xray(1), 0)
    np.testing.assert_array_equal(child(data).pixels, draw_xray(1))


def test_refusal_keeps_its_kind_and_its_tag(child: ChildDecoder) -> None:
    with pytest.raises(MissingTag, match="Modality") as caught:
        child(xray_file(draw_xray(1), Modality=None))
    assert caught.value.tag == "(0008,0060) Modality"
