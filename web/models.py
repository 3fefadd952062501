"""The tables: users, their failed log-ins, and the answers they were given. Holds no query and no page."""

from __future__ import annotations

import secrets
from datetime import datetime
from typing import Any

from flask_login import UserMixin
from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, false, func, text
from sqlalchemy.orm import Mapped, WriteOnlyMapped, mapped_column, relationship

from web.database import Base, UTCDateTime, now

EMAIL_LENGTH = 254
NAME_LENGTH = 80
NOTE_LENGTH = 4000


def new_key() -> str:
    """Returns 32 random hexadecimal digits."""
    return secrets.token_hex(16)


class User(UserMixin, Base):
    """Somebody with an account. `session_key` stands in every session cookie: a new one ends all sessions."""

    __tablename__ = "users"
    __table_args__ = (UniqueConstraint("email"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    password_hash: Mapped[str] = mapped_column(String(255))
    session_key: Mapped[str] = mapped_column(String(32), default=new_key)
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )

    predictions: WriteOnlyMapped[Prediction] = relationship(
        back_populates="user", cascade="all, delete-orphan", passive_deletes=True
    )

    def get_id(self) -> str:
        """Returns what a session cookie names the user by."""
        return f"{self.id}:{self.session_key}"


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


class Prediction(Base):
    """One photograph and its answer, with all that is needed to show it as it was given.

    `key` names it in addresses and names its folder of files. `probabilities` maps class codes to values that sum
    to 1, in the model's order; `quality` lists `{"name", "reason", "severity"}`, the severity missing in old rows;
    `operating_point_measured` is what the model's bundle says of the operating point. `width` and `height` are the
    stored photograph's, in pixels. `age` is in years; `context` names what of age, sex and site moved the answer,
    separated by spaces: nothing did where it is empty.
    """

    __tablename__ = "predictions"
    __table_args__ = (UniqueConstraint("key"), Index(None, "user_id", "created_at", "key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(32), default=new_key)
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    note: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    age: Mapped[float | None]
    sex: Mapped[str] = mapped_column(String(16), default="", server_default=text("''"))
    site: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    context: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    is_sample: Mapped[bool] = mapped_column(default=False, server_default=false())
    width: Mapped[int]
    height: Mapped[int]
    probabilities: Mapped[dict[str, float]] = mapped_column(JSON)
    top: Mapped[str] = mapped_column(String(32))
    malignant_probability: Mapped[float]
    operating_point: Mapped[float]
    operating_point_measured: Mapped[dict[str, Any]] = mapped_column(JSON)
    advice: Mapped[str] = mapped_column(String(16))
    quality: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    model_name: Mapped[str] = mapped_column(String(200))
    model_version: Mapped[str] = mapped_column(String(64))
    model_sha256: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float]

    user: Mapped[User] = relationship(back_populates="predictions")
