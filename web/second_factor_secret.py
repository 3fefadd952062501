"""Keeps the secrets of second factors unreadable to whoever has the database alone."""

from __future__ import annotations

import base64

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from flask import current_app


def seal(secret: str) -> str:
    """Returns a secret encrypted with a key that is derived from the server's."""
    return _fernet().encrypt(secret.encode()).decode()


def unseal(sealed: str) -> str | None:
    """Returns the secret, or None where the server's key is another one than when it was sealed."""
    try:
        return _fernet().decrypt(sealed.encode()).decode()
    except InvalidToken:
        return None


def _fernet() -> Fernet:
    # The server's key signs cookies too; a key of its own keeps one use from helping against the other.
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=b"dermatrace second factor")
    return Fernet(base64.urlsafe_b64encode(derived.derive(current_app.config["SECRET_KEY"].encode())))
