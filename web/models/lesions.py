"""Lesions that a user follows over time."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from web.database import Base, UTCDateTime, now
from web.models.keys import KEY_LENGTH, new_key

if TYPE_CHECKING:
    from web.models.accounts import User

LESION_NAME_LENGTH = 80


class Lesion(Base):
    """One lesion: a nickname or a patient's code, where on the body it is, and notes.

    `site` is one of the engine's SITES or empty. `body_view` is front, back or empty; with it, `body_x` and `body_y` in
    [0, 1] are the place on the drawn body, from its upper left corner. `origin` is what one that came in a case file is
    called where it comes from.
    """

    __tablename__ = "lesions"
    __table_args__ = (
        UniqueConstraint("key"),
        Index(None, "user_id", "created_at", "key"),
        Index(None, "user_id", "origin", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    name: Mapped[str] = mapped_column(String(LESION_NAME_LENGTH))
    site: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    body_view: Mapped[str] = mapped_column(String(8), default="", server_default=text("''"))
    body_x: Mapped[float | None]
    body_y: Mapped[float | None]
    notes: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    origin: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )

    user: Mapped[User] = relationship(back_populates="lesions")
