"""Who did what to which record, and when. Rows are added and never changed: the database itself refuses it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, String, func, text
from sqlalchemy.orm import Mapped, mapped_column

from web.database import Base, UTCDateTime, now
from web.models.accounts import EMAIL_LENGTH


class AuditEvent(Base):
    """One deed: `actor` did `action` (user.disabled, review.added) to the `record` of a `kind` (user, prediction).

    No foreign key: what is told here stays when the account or the record is gone.
    """

    __tablename__ = "audit_events"
    __table_args__ = (Index(None, "created_at", "id"), Index(None, "actor", "id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    actor: Mapped[str] = mapped_column(String(EMAIL_LENGTH))
    action: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    record: Mapped[str] = mapped_column(String(EMAIL_LENGTH), default="", server_default=text("''"))
    detail: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)
