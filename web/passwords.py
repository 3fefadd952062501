"""Passwords: what is accepted, and hashing with argon2id. Knows no user and no database."""

from __future__ import annotations

import logging
import re
import unicodedata
from functools import cached_property
from pathlib import Path
from typing import Any

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Flask, current_app

from web.breached_passwords import BreachedPasswords
from web.common_passwords import FIELD_WORDS, is_common, is_made_of

log = logging.getLogger(__name__)

SHORTEST, LONGEST = 10, 128


class Passwords:
    """Hashes and checks passwords with one set of cost parameters."""

    def __init__(self, **cost: Any) -> None:
        self._hasher = PasswordHasher(**cost)

    def hash(self, password: str) -> str:
        """Returns the argon2id hash, parameters and salt included."""
        return self._hasher.hash(_normalised(password))

    def verify(self, kept: str | None, password: str) -> bool:
        """Says whether the password is the one that was hashed.

        Of an account that does not exist (`kept` is None) the answer is no, after the same work.
        """
        try:
            self._hasher.verify(self._nobody if kept is None else kept, _normalised(password))
        except (VerificationError, InvalidHashError):
            return False
        return kept is not None

    def needs_rehash(self, kept: str) -> bool:
        """Says whether the hash was made with other cost parameters than today's."""
        return self._hasher.check_needs_rehash(kept)

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("no account has this password")


def init_passwords(app: Flask) -> None:
    """Gives the app its hasher, and the file of breached passwords where DERM_BREACHED_PASSWORDS names one."""
    app.extensions["passwords"] = Passwords(**app.config["ARGON2"])
    path = app.config["DERM_BREACHED_PASSWORDS"]
    app.extensions["breached_passwords"] = BreachedPasswords(Path(path).expanduser()) if path else ()


def passwords() -> Passwords:
    """Returns the app's hasher."""
    return current_app.extensions["passwords"]


def password_fault(password: str, *personal: str) -> str | None:
    """Returns why a new password is refused, in one sentence, or None.

    Args:
        password: as typed.
        personal: the user's e-mail address and name, which make poor passwords.
    """
    if len(password) < SHORTEST:
        return f"Use at least {SHORTEST} characters. A few words with spaces between them are easy to keep in mind."
    if len(password) > LONGEST:
        return f"Use at most {LONGEST} characters."
    own = [word for text in personal for word in (text, *re.split(r"[\W_]+", text)) if word]
    if is_made_of(password, own):
        return "This is your own name or address. Choose something that nobody knows of you."
    if is_made_of(password, [*FIELD_WORDS, *own]) or is_common(_normalised(password), own):
        return "This is one of the first passwords that anybody would try. Choose another."
    try:
        if _is_breached(password):
            return (
                "This password is known from a breach of another site. Choose one that you use nowhere else."
            )
    except OSError:
        log.exception("The file that DERM_BREACHED_PASSWORDS names can no longer be read")
        return "New passwords cannot be checked at the moment. Tell those who run this server, and try again later."
    return None


def _is_breached(password: str) -> bool:
    """Says whether the password, as typed or as it is kept, stands in the file that the app was given."""
    known = current_app.extensions["breached_passwords"] if current_app else ()
    return any(written in known for written in {password, _normalised(password)})


def _normalised(password: str) -> str:
    return unicodedata.normalize("NFKC", password)
