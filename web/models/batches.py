"""Many photographs sent at once, answered in the background."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column

from web.database import Base, UTCDateTime, now
from web.models.keys import KEY_LENGTH, new_key

BATCH_NAME_LENGTH = 120

BatchState = Literal["running", "paused", "finished", "cancelled"]


class Batch(Base):
    """A folder or a zip of photographs, as it was sent. `total` counts its files, also those that cannot be read.

    While `paused_at` is set, no file of it is begun. Its pace is measured from `continued_at` on, where that is set.
    """

    __tablename__ = "batches"
    __table_args__ = (UniqueConstraint("key"), Index(None, "user_id", "created_at", "key"))

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    name: Mapped[str] = mapped_column(String(BATCH_NAME_LENGTH))
    total: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    finished_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    cancelled_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    paused_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    continued_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    @property
    def state(self) -> BatchState:
        """How it stands. One that was paused at its last file may have ended since."""
        if self.cancelled_at is not None:
            return "cancelled"
        if self.finished_at is not None:
            return "finished"
        return "running" if self.paused_at is None else "paused"


class BatchItem(Base):
    """One file of a batch: `name` as its sender called it, for the table alone; on the disk it is called `upload_key`.

    `state` is waiting, working, done or failed; `error` says why it failed. `claimed_at` is when a worker took it: one
    that was taken long ago and is not done was left by a killed server, and is taken again; `attempts` counts that.
    """

    __tablename__ = "batch_items"
    __table_args__ = (
        UniqueConstraint("batch_id", "position"),
        UniqueConstraint("upload_key"),
        Index(None, "state", "id"),
        Index(None, "prediction_id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    batch_id: Mapped[int] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(255))
    upload_key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    state: Mapped[str] = mapped_column(String(16), default="waiting", server_default=text("'waiting'"))
    error: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    claimed_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    attempts: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    prediction_id: Mapped[int | None] = mapped_column(ForeignKey("predictions.id", ondelete="SET NULL"))
