from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_app.errors import BundleError, DamagedFiles, ReleaseRefused
from edge_app.installed.release import (
    FACTS,
    SUMS,
    SUMS_SIGNATURE,
    read_release,
    read_sums,
    render_sums,
    verify_release,
    verify_signer,
)
from tests.edge_app.installed.drawn_release import write_release

KEY = Ed25519PrivateKey.from_private_bytes(bytes(32))


def write_public(key: Ed25519PrivateKey, path: Path) -> Path:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    path.write_bytes(key.public_key().public_bytes(serialization.Encoding.PEM, form))
    return path


def test_whole_release_is_counted(tmp_path: Path) -> None:
    assert verify_release(write_release(tmp_path / "release")) == 3


def test_versions_are_ordered_as_numbers(tmp_path: Path) -> None:
    ninth = read_release(write_release(tmp_path / "9", version="0.9.1"))
    tenth = read_release(write_release(tmp_path / "10", version="0.10.0"))
    assert ninth.order < tenth.order


def test_missing_file_is_named(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / "a").unlink()
    with pytest.raises(DamagedFiles, match=r"a is missing.*copy it to the stick again"):
        verify_release(release)


def test_file_that_was_not_released_is_named(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / "sub" / "stranger").write_text("")
    with pytest.raises(DamagedFiles, match=r"sub/stranger .* is not part"):
        verify_release(release)


def test_any_flipped_byte_anywhere_is_refused(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    for path in sorted(path for path in release.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        for at in range(len(whole)):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :])
            with pytest.raises(DamagedFiles):
                verify_release(release)
        path.write_bytes(whole)


def test_list_of_hashes_reads_as_it_was_written(tmp_path: Path) -> None:
    sums = {"b/c é  d": "0" * 64, "a": "f" * 64}
    (tmp_path / SUMS).write_text(render_sums(sums), encoding="utf-8")
    assert read_sums(tmp_path) == sums


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema_version": 1, "version": 3}'])
def test_facts_that_cannot_be_understood_are_damage(tmp_path: Path, content: str) -> None:
    release = write_release(tmp_path / "release")
    (release / FACTS).write_text(content)
    with pytest.raises(DamagedFiles):
        read_release(release)


def test_later_schema_is_no_damage(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / FACTS).write_text(json.dumps({"schema_version": 2}))
    with pytest.raises(ReleaseRefused, match="schema"):
        read_release(release)


def test_signature_of_the_trusted_key_passes(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / SUMS_SIGNATURE).write_bytes(base64.b64encode(KEY.sign((release / SUMS).read_bytes())))
    verify_signer(release, write_public(KEY, tmp_path / "key"))
    assert verify_release(release) == 3


def test_signature_of_another_key_is_refused(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    other = Ed25519PrivateKey.generate()
    (release / SUMS_SIGNATURE).write_bytes(base64.b64encode(other.sign((release / SUMS).read_bytes())))
    with pytest.raises(ReleaseRefused, match="not signed with the key"):
        verify_signer(release, write_public(KEY, tmp_path / "key"))


def test_file_that_is_no_key_is_told_rather_than_that_the_release_is_not_signed(tmp_path: Path) -> None:
    release = write_release(tmp_path / "release")
    (release / SUMS_SIGNATURE).write_bytes(base64.b64encode(KEY.sign((release / SUMS).read_bytes())))
    with pytest.raises(BundleError, match=r"not-there.pem cannot be read as an Ed25519 public key"):
        verify_signer(release, tmp_path / "not-there.pem")


def test_missing_signature_is_refused_where_a_key_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(ReleaseRefused, match="is not signed"):
        verify_signer(write_release(tmp_path / "release"), write_public(KEY, tmp_path / "key"))
