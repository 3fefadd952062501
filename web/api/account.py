"""What a token may do, asked by the token itself."""

from __future__ import annotations

from flask import Blueprint

from web.api import schemas
from web.api.operations import Operation
from web.api.tokens import SCOPES, credentials

account = Blueprint("account", __name__)


@account.get("/token")
@Operation("Get the token", gives=schemas.Token)
def token() -> schemas.Token:
    """Returns what the token of this request is called, what it may do, and until when."""
    own = credentials()
    scopes = [scope for scope in SCOPES if scope in own.scopes]
    return schemas.Token(name=own.name, scopes=scopes, expires_at=own.expires_at)  # type: ignore[arg-type]
