"""Photographs and their answers."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import JSON, Date, ForeignKey, Index, String, Text, UniqueConstraint, false, func, text
from sqlalchemy.orm import Mapped, mapped_column, relationship

from web.database import Base, UTCDateTime, now
from web.models.keys import KEY_LENGTH, new_key
from web.models.lesions import Lesion

if TYPE_CHECKING:
    from web.models.accounts import User

NOTE_LENGTH = 4000


class Prediction(Base):
    """One photograph and its answer, with all that is needed to show it as it was given.

    `key` names it in addresses and names its folder of files. `probabilities` maps class codes to values that sum
    to 1, in the model's order; `quality` lists `{"name", "reason", "severity"}`, the severity missing in old rows;
    `operating_point_measured` is what the model's bundle says of the operating point. `width` and `height` are the
    stored photograph's, in pixels; `bytes` is what its files take. `age` is in years; `context` names what of age, sex
    and site moved the answer, separated by spaces: nothing did where it is empty. `plausible` lists the codes that
    cannot be ruled out, and `plausible_level` is the share of lesions whose list holds the truth; both are missing
    where the model makes no such list, and in old rows.

    `taken_on` is the day of the photograph where it was told; `lesion_share` is the part of the picture, in [0, 1],
    that the lesion covers, where it could be measured. `review` is the state of the newest review (confirmed,
    bad-picture or empty) and `confirmed` its diagnosis. `imported_at` is when an answer that was given elsewhere
    came in a case file, and `origin` is what it is called there; both are None for one that was given here.
    """

    __tablename__ = "predictions"
    __table_args__ = (
        UniqueConstraint("key"),
        Index(None, "user_id", "created_at", "key"),
        Index(None, "user_id", "advice", "created_at", "key"),
        Index(None, "user_id", "top", "created_at", "key"),
        Index(None, "user_id", "review", "created_at", "key"),
        Index(None, "lesion_id", "created_at", "key"),
        Index(None, "user_id", "origin", unique=True),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    lesion_id: Mapped[int | None] = mapped_column(ForeignKey("lesions.id", ondelete="SET NULL"))
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), default=new_key)
    created_at: Mapped[datetime] = mapped_column(
        UTCDateTime, default=now, server_default=func.current_timestamp()
    )
    taken_on: Mapped[date | None] = mapped_column(Date)
    note: Mapped[str] = mapped_column(Text, default="", server_default=text("''"))
    age: Mapped[float | None]
    sex: Mapped[str] = mapped_column(String(16), default="", server_default=text("''"))
    site: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    context: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    is_sample: Mapped[bool] = mapped_column(default=False, server_default=false())
    width: Mapped[int]
    height: Mapped[int]
    bytes: Mapped[int] = mapped_column(default=0, server_default=text("0"))
    lesion_share: Mapped[float | None]
    probabilities: Mapped[dict[str, float]] = mapped_column(JSON)
    top: Mapped[str] = mapped_column(String(32))
    plausible: Mapped[list[str] | None] = mapped_column(JSON(none_as_null=True))
    plausible_level: Mapped[float | None]
    malignant_probability: Mapped[float]
    operating_point: Mapped[float]
    operating_point_measured: Mapped[dict[str, Any]] = mapped_column(JSON)
    advice: Mapped[str] = mapped_column(String(16))
    quality: Mapped[list[dict[str, str]]] = mapped_column(JSON)
    model_name: Mapped[str] = mapped_column(String(200))
    model_version: Mapped[str] = mapped_column(String(64))
    model_sha256: Mapped[str] = mapped_column(String(64))
    seconds: Mapped[float]
    review: Mapped[str] = mapped_column(String(16), default="", server_default=text("''"))
    confirmed: Mapped[str] = mapped_column(String(32), default="", server_default=text("''"))
    origin: Mapped[str | None] = mapped_column(String(KEY_LENGTH))
    imported_at: Mapped[datetime | None] = mapped_column(UTCDateTime)

    user: Mapped[User] = relationship(back_populates="predictions")
    lesion: Mapped[Lesion | None] = relationship()
