"""Users, their sessions, their failed log-ins, and the invitations that lead to an account."""

from __future__ import annotations

from datetime import datetime

from flask_login import UserMixin
from sqlalchemy import ForeignKey, Index, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from web.database import Base, UTCDateTime, now
from web.models.keys import KEY_LENGTH, new_key
from web.models.lesions import Lesion
from web.models.predictions import Prediction

EMAIL_LENGTH = 254
NAME_LENGTH = 80
ROLES = ("user", "clinician", "admin")
"""Each may do all that the one before it may."""


class User(UserMixin, Base):
    """Somebody with an account. `session_key` stands in every session cookie: a new one ends all sessions.

    `role` is one of ROLES. Who is disabled cannot sign in, and loses nothing. `toured_at` is when the tour of the
    first log-in was ended or dismissed.
    """

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(255))
    session_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    role: Mapped[str] = mapped_column(String(16), default="user", server_default=text("'user'"))
    disabled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    toured_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    predictions: WriteOnlyMapped[Prediction] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True
    )
    lesions: WriteOnlyMapped[Lesion] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True
    )

    def get_id(self) -> str:
        """Returns what a session cookie names the user by."""
        return f"{self.id}:{self.session_key}"

    def has_role(self, role: str) -> bool:
        """Says whether the user may do what this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class UserSession(Base):
    """One browser that is signed in. `user_agent` is what it calls itself, cut short.

    `proved_at` is when its user last proved who they are: by signing in, or by the password asked for again.
    """

    __tablename__ = "user_sessions"
    __table_args__ = (UniqueConstraint("key"), Index(None, "user_id", "last_seen_at"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    user_agent: Mapped[str] = mapped_column(String(200), default="", server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    last_seen_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    proved_at: Mapped[datetime | None] = mapped_column(UTCDateTime, default=now)


class LoginAttempt(Base):
    """One try that has not succeeded. Account and address are keyed digests: neither can be read back."""

    __tablename__ = "login_attempts"
    __table_args__ = (
        Index(None, "account", "created_at"),
        Index(None, "address", "created_at"),
        Index(None, "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    account: Mapped[str] = mapped_column(String(32))
    address: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )


class Invitation(Base):
    """A link that makes an account (`user_id` is None) or sets a new password for one; it works once.

    Only the SHA-256 of what stands in the link is kept.
    """

    __tablename__ = "invitations"
    __table_args__ = (UniqueConstraint("digest"), UniqueConstraint("key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    digest: Mapped[str] = mapped_column(String(64))
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    role: Mapped[str] = mapped_column(String(16), default="user", server_default=text("'user'"))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    expires_at: Mapped[datetime] = mapped_column(UTCDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
