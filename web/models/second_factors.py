"""What somebody signs in with beside the password: an app's secret, and codes for the day that the app is lost."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from web.database import Base, UTCDateTime, now


class SecondFactor(Base):
    """The secret that an account shares with an app; asked for once `confirmed_at` says that the app has it.

    `secret` is encrypted. `last_step` is the time step of the code that was taken last: no code of it, or of a step
    before it, is taken again.
    """

    __tablename__ = "second_factors"
    __table_args__ = (UniqueConstraint("user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    secret: Mapped[str] = mapped_column(String(255))
    last_step: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    confirmed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)


class RecoveryCode(Base):
    """A code that works once in place of the app's. Only its argon2id hash is kept."""

    __tablename__ = "recovery_codes"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), index=True)
    digest: Mapped[str] = mapped_column(String(255))
    used_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
