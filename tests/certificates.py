"""Certificates of an authority that a test has made, and their keys in the form that Java reads."""

from __future__ import annotations

from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization


def make_authority(folder: Path) -> tuple[trustme.CA, Path]:
    """A new authority, and the file of its certificate."""
    folder.mkdir(parents=True)
    made = trustme.CA()
    made.cert_pem.write_to_path(str(folder / "authority.pem"))
    return made, folder / "authority.pem"


def as_pkcs8(key: trustme.Blob) -> bytes:
    """This private key as PKCS#8, which neither Java nor Kafka do without."""
    loaded = serialization.load_pem_private_key(key.bytes(), None)
    return loaded.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
