"""Tokens of the API, and the requests that must not be done twice."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from web.database import Base, UTCDateTime, now
from web.models.keys import KEY_LENGTH, new_key

TOKEN_NAME_LENGTH = 80


class ApiToken(Base):
    """What a program signs in with. Only the SHA-256 of the token is kept; `start` is what a list shows of it.

    `scopes` are words separated by spaces.
    """

    __tablename__ = "api_tokens"
    __table_args__ = (
        UniqueConstraint("key"),
        UniqueConstraint("digest"),
        Index(None, "user_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    name: Mapped[str] = mapped_column(String(TOKEN_NAME_LENGTH))
    start: Mapped[str] = mapped_column(String(16))
    digest: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class IdempotentRequest(Base):
    """A POST that named itself: sent again with the same `name`, it is answered by what the first one made.

    `fingerprint` is the SHA-256 of what was sent; `status` is 0 while the first request is still being answered.
    """

    __tablename__ = "idempotent_requests"
    __table_args__ = (UniqueConstraint("user_id", "name"), Index(None, "created_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    name: Mapped[str] = mapped_column(String(200))
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    location: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
