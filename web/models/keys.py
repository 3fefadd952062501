"""Random names: what addresses and folders are called, so that nobody can guess another's."""

from __future__ import annotations

import secrets

KEY_LENGTH = 32


def new_key() -> str:
    """Returns 32 random hexadecimal digits."""
    return secrets.token_hex(KEY_LENGTH // 2)
