"""Who released a model bundle: an Ed25519 signature over its manifest."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING

from edge_app.errors import BundleError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def verify_manifest(manifest: bytes, signature: bytes, key_path: Path) -> None:
    """Refuse a manifest that was not signed with a key.

    The manifest lists the hash of every other file, so its signature holds for all of them.

    Args:
        manifest: The manifest's bytes.
        signature: The 64 bytes of an Ed25519 signature as base64 text.
        key_path: A PEM file with an Ed25519 public key.

    Raises:
        BundleError: the signature is not that key's, or the file holds no such key.

    Source:
        RFC 8032, section 5.1.
    """
    from cryptography.exceptions import InvalidSignature

    key = read_key(key_path)
    try:
        key.verify(base64.b64decode(signature.strip(), validate=True), manifest)
    except (ValueError, InvalidSignature) as error:
        raise BundleError(
            f"The model bundle's signature is not that of the key {key_path}: the manifest was altered, or "
            "signed with another key. Do not use it; install a bundle from whom you trust."
        ) from error


def read_key(key_path: Path) -> Ed25519PublicKey:
    """Read a public key.

    Args:
        key_path: A PEM file with an Ed25519 public key.

    Raises:
        BundleError: it cannot be read, or holds no such key.
    """
    # Imported here: without a trusted key nobody waits for it.
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(key_path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise BundleError(_no_key(key_path)) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BundleError(_no_key(key_path))
    return key


def _no_key(key_path: Path) -> str:
    return (
        f"{key_path} cannot be read as an Ed25519 public key in PEM form. Name with --trusted-key the file "
        "that came from whom you trust."
    )
