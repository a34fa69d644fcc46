from __future__ import annotations

from pathlib import Path

import pytest

from tools.dicom_load import measure

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("pictures", "associations"), [(40, 1), (20, 5)])
def test_none_of_many_pictures_is_lost(toy_bundle: Path, pictures: int, associations: int) -> None:
    figures = measure(pictures, associations, 128, toy_bundle)
    assert (figures.accepted, figures.judged) == (pictures, pictures)
