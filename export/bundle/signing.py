"""Ed25519 keys and signatures of bundles: who made a model, proven to the clinic's app."""

from __future__ import annotations

import base64
import logging
import os
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge_app.errors import SettingsError
from edge_app.files import write_whole
from edge_app.model.bundle import MANIFEST, SIGNATURE, load_bundle

_PRIVATE, _PUBLIC = ".pem", ".pub.pem"
_OWNER_ONLY, _EVERYBODY = 0o600, 0o644

logger = logging.getLogger("export")


def make_keys(name: Path) -> tuple[Path, Path]:
    """Make a pair of keys.

    Args:
        name: Where to write them, without an ending.

    Returns:
        `NAME.pem`, the private key, which its owner alone may read, and `NAME.pub.pem`, the public one.

    Raises:
        SettingsError: one of the files is there already, or cannot be written.
    """
    private, public = (name.with_name(name.name + ending) for ending in (_PRIVATE, _PUBLIC))
    key = Ed25519PrivateKey.generate()
    private_bytes = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public_bytes = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    _write_new(public, public_bytes, _EVERYBODY)
    try:
        _write_new(private, private_bytes, _OWNER_ONLY)
    except SettingsError:
        public.unlink()
        raise
    logger.info("%s signs bundles: keep it secret. %s goes to the clinics.", private, public)
    return private, public


def sign_bundle(bundle_dir: Path, key_path: Path) -> None:
    """Sign a bundle whose files are all as its manifest says.

    Args:
        bundle_dir: The bundle; an earlier signature in it is replaced.
        key_path: A private key that `make_keys` made.

    Raises:
        BundleError: the bundle is incomplete or altered.
        SettingsError: there is no such key, or the signature cannot be written.
    """
    key = _read_private(key_path)
    load_bundle(bundle_dir)
    signature = base64.b64encode(key.sign((bundle_dir / MANIFEST).read_bytes())) + b"\n"
    path = bundle_dir / SIGNATURE
    try:
        with write_whole(path) as place:
            place.write_bytes(signature)
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
    logger.info("%s is signed.", bundle_dir)


def verify_bundle(bundle_dir: Path, trusted_key: Path) -> None:
    """Check a bundle's signature and the hash of every file.

    Args:
        bundle_dir: The bundle.
        trusted_key: The public key of whoever should have signed it.

    Raises:
        BundleError: the bundle is not signed with that key, or a file is missing or altered.
    """
    load_bundle(bundle_dir, trusted_key=trusted_key)
    logger.info("%s is signed with the key %s, and every file is as it was.", bundle_dir, trusted_key)


def _read_private(path: Path) -> Ed25519PrivateKey:
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"The key {path} cannot be read: {error.strerror}.") from error
    except TypeError as error:
        raise SettingsError(
            f"{path} is locked by a passphrase. Unlock a copy with `openssl pkey -in`, sign, and delete it."
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _no_key(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path)
    return key


def _no_key(path: Path) -> SettingsError:
    return SettingsError(
        f"{path} holds no private Ed25519 key in PEM form. Make one with `python -m export keygen`, and "
        f"name the file that ends in {_PRIVATE}, not in {_PUBLIC}."
    )


def _write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not be there yet; leave nothing where that fails."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise SettingsError(f"{path} is there already, and keys are not replaced. Name another.") from error
    except OSError as error:
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink()
        raise SettingsError(f"{path} cannot be written: {error.strerror}.") from error
