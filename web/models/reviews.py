"""What clinicians say of an answer afterwards, and whom its owner asked."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text, UniqueConstraint, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from web.database import Base, UTCDateTime, now
from web.models.accounts import NAME_LENGTH
from web.models.predictions import Prediction


class Review(Base):
    """One step of a case's review; the newest counts, and none is ever changed.

    `verdict` is confirmed, bad-picture or withdrawn. With confirmed come the `diagnosis`'s code and how it is known:
    `confirmed_by` is histopathology, follow-up or consensus. `reviewer_name` stays when the account is gone.
    """

    __tablename__ = "reviews"
    __table_args__ = (Index(None, "prediction_id", "id"), Index(None, "reviewer_id"))

    id: Mapped[int] = mapped_column(primary_key=True)
    prediction_id: Mapped[int] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"))
    reviewer_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    reviewer_name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    verdict: Mapped[str] = mapped_column(String(16))
    diagnosis: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    confirmed_by: Mapped[str] = mapped_column(String(16), default="", server_default=text("''"))
    comment: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )


class Share(Base):
    """An answer that its owner let a clinician see and review."""

    __tablename__ = "shares"
    __table_args__ = (
        UniqueConstraint("prediction_id", "clinician_id"),
        Index(None, "clinician_id", "created_at"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    prediction_id: Mapped[int] = mapped_column(ForeignKey("predictions.id", ondelete="CASCADE"))
    clinician_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    prediction: Mapped[Prediction] = relationship()
