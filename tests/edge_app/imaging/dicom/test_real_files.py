"""The real DICOM files that pydicom ships: each is read, or refused for its own reason."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom import dcmread

from edge_app.errors import ImageError
from edge_app.imaging.decode import decode
from tests.dicom_files import rendered, to_bytes

FILES = Path(pydicom.__file__).parent / "data" / "test_files"
READ = {"image_dfl.dcm"}
# What each of the others is refused as; those that no line names are pictures of other modalities.
REFUSED = {
    "unsupported_image": {
        *("ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "no_meta.dcm", "rtstruct.dcm"),
        *("crayons.icc", "README", "rtplan.dump", "rtstruct.dump", "test1.json", "test_PN.json"),
        "zipMR.gz",
    },
    "missing_tag": {
        *("GDCMJ2K_TextGBR.dcm", "JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm"),
        *("SC_jpeg_no_color_transform.dcm", "SC_jpeg_no_color_transform_2.dcm"),
        *("SC_rgb_jls_lossy_line.dcm", "SC_rgb_jls_lossy_sample.dcm", "SC_rgb_jpeg_app14_dcmd.dcm"),
        *("UN_sequence.dcm", "empty_charset_LEI.dcm", "meta_missing_tsyntax.dcm", "nested_priv_SQ.dcm"),
        *("no_meta_group_length.dcm", "priv_SQ.dcm"),
    },
    "several_pictures": {
        *("SC_rgb_rle_16bit_2frame.dcm", "SC_rgb_rle_2frame.dcm", "SC_rgb_rle_32bit_2frame.dcm"),
    },
    "colour_image": {
        *(f"SC_rgb_dcmtk_+eb+{kind}.dcm" for kind in ("cr", "cy+n1", "cy+n2", "cy+np", "cy+s2", "cy+s4")),
        *(f"SC_rgb_jpeg{kind}.dcm" for kind in ("", "_dcmd", "_dcmtk", "_gdcm", "_lossy_gdcm")),
        *(f"SC_rgb_rle{kind}.dcm" for kind in ("", "_16bit", "_32bit")),
        *(f"SC_rgb_small_odd{kind}.dcm" for kind in ("", "_big_endian", "_jpeg")),
        *("SC_rgb_gdcm_KY.dcm", "SC_ybr_full_422_uncompressed.dcm"),
    },
    "image_too_small": {"6154", "6247", "6278"},
    "dicom_directory": {
        *("DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-empty.dcm", "DICOMDIR-implicit", "DICOMDIR-nooffset"),
        *("DICOMDIR-nopatient", "DICOMDIR-reordered"),
    },
}
# Grey pictures of other modalities, whose pixels are read all the same once they claim to be X-rays.
GREY = (
    *("MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_implicit.dcm"),
    "MR_small_jpeg_ls_lossless.dcm",
)


def shipped_files() -> list[Path]:
    return sorted(
        path for path in FILES.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc", ".txt")
    )


@pytest.mark.parametrize("path", shipped_files(), ids=lambda path: str(path.relative_to(FILES)))
def test_shipped_file_is_read_or_refused_for_its_own_reason(path: Path) -> None:
    codes = Counter({code: path.name in names for code, names in REFUSED.items()})
    expected = "read" if path.name in READ else next((c for c in codes if codes[c]), "not_an_xray")
    try:
        decode(path.read_bytes())
        outcome = "read"
    except ImageError as error:
        outcome = error.code
    assert outcome == expected


@pytest.mark.parametrize("name", GREY)
def test_grey_picture_that_claims_to_be_an_xray_looks_as_dcmtk_shows_it(name: str, tmp_path: Path) -> None:
    dataset = dcmread(FILES / name)
    dataset.Modality = "CR"
    as_xray = to_bytes(dataset, dataset.file_meta.TransferSyntaxUID)
    expected = rendered(as_xray, tmp_path, "+Wi", "1")
    assert np.abs(decode(as_xray).pixels.astype(int) - expected).max() <= 2
