"""The tables of the case list, the numbered steps that make them, and the database file. Asks nothing of them.

The file's `user_version` is the number of the last step that was taken. A new version of the app adds a step and never
changes one that was released; a file from a newer app is refused in words.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    JSON,
    DateTime,
    Dialect,
    Engine,
    ForeignKey,
    String,
    Text,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship
from sqlalchemy.pool import NullPool

from derm_core import ConfigError
from desktop.texts import say

KEY_LENGTH, NAME_LENGTH, NOTE_LENGTH = 32, 80, 4000
WRITES = {"case_list_writes": True}
"""Execution options of a connection that is going to write: it waits for others that do, not for those that read."""
_PATIENCE_SECONDS = 30.0


class UTCDateTime(TypeDecorator[datetime]):
    """A moment with its zone; SQLite keeps it without, in UTC."""

    impl = DateTime
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Returns what is kept."""
        return value and value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Returns what was meant."""
        return value and value.replace(tzinfo=UTC)


class Base(DeclarativeBase):
    """What the tables have in common."""


class Lesion(Base):
    """One lesion of a patient. `body` is where it was marked on a drawn body elsewhere; kept to be handed on."""

    __tablename__ = "lesions"

    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), unique=True)
    patient: Mapped[str] = mapped_column(String(NAME_LENGTH))
    name: Mapped[str] = mapped_column(String(NAME_LENGTH))
    site: Mapped[str] = mapped_column(String(32))
    body: Mapped[list[Any] | None] = mapped_column(JSON(none_as_null=True))
    notes: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(UTCDateTime)
    changed_at: Mapped[datetime] = mapped_column(UTCDateTime, index=True)

    photographs: Mapped[list[Photograph]] = relationship(
        back_populates="lesion", cascade="all, delete-orphan", passive_deletes=True
    )

    @property
    def visits(self) -> list[Photograph]:
        """Its photographs in order of time."""
        return sorted(self.photographs, key=lambda one: (one.day, one.answered_at, one.id))


class Photograph(Base):
    """One photograph of a lesion with its answer; its files lie under its key.

    `answer` is `Prediction.to_dict`, `measured` what the model's bundle says of the operating point. `lesion_share` is
    the part of the picture, in (0, 1), that the lesion covers. `imported_at` is None where it was answered here.
    """

    __tablename__ = "photographs"

    id: Mapped[int] = mapped_column(primary_key=True)
    lesion_id: Mapped[int] = mapped_column(ForeignKey("lesions.id", ondelete="CASCADE"), index=True)
    key: Mapped[str] = mapped_column(String(KEY_LENGTH), unique=True)
    answered_at: Mapped[datetime] = mapped_column(UTCDateTime)
    kept_at: Mapped[datetime] = mapped_column(UTCDateTime)
    imported_at: Mapped[datetime | None] = mapped_column(UTCDateTime)
    taken_on: Mapped[date | None]
    note: Mapped[str] = mapped_column(Text)
    age: Mapped[float | None]
    sex: Mapped[str] = mapped_column(String(16))
    site: Mapped[str] = mapped_column(String(32))
    width: Mapped[int]
    height: Mapped[int]
    lesion_share: Mapped[float | None]
    answer: Mapped[dict[str, Any]] = mapped_column(JSON)
    measured: Mapped[dict[str, Any]] = mapped_column(JSON)
    plausible_level: Mapped[float | None]

    lesion: Mapped[Lesion] = relationship(back_populates="photographs")
    reviews: Mapped[list[Review]] = relationship(
        back_populates="photograph", cascade="all, delete-orphan", passive_deletes=True, order_by="Review.id"
    )

    @property
    def day(self) -> date:
        """The day it stands for: when it was taken, or where that was not told, when it was answered."""
        return self.taken_on or self.answered_at.astimezone().date()

    @property
    def is_answered(self) -> bool:
        """Whether there are figures to compare."""
        return bool(self.answer["advice"] != "unsure")

    @property
    def review(self) -> Review | None:
        """What is known of it now; None where nothing is, or it was taken back."""
        newest = self.reviews[-1] if self.reviews else None
        return None if newest is None or newest.verdict == "withdrawn" else newest


class Review(Base):
    """One step of what became known of a photograph; the newest counts, and none is ever changed.

    `verdict` is one of derm_core's VERDICTS, or withdrawn. `reviewer` is somebody of another place; empty for here.
    """

    __tablename__ = "reviews"

    id: Mapped[int] = mapped_column(primary_key=True)
    photograph_id: Mapped[int] = mapped_column(ForeignKey("photographs.id", ondelete="CASCADE"), index=True)
    verdict: Mapped[str] = mapped_column(String(16))
    diagnosis: Mapped[str] = mapped_column(String(32))
    confirmed_by: Mapped[str] = mapped_column(String(16))
    comment: Mapped[str] = mapped_column(Text)
    reviewer: Mapped[str] = mapped_column(String(NAME_LENGTH))
    reviewed_at: Mapped[datetime] = mapped_column(UTCDateTime)

    photograph: Mapped[Photograph] = relationship(back_populates="reviews")


STEPS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE lesions (
            id INTEGER NOT NULL PRIMARY KEY, "key" VARCHAR(32) NOT NULL UNIQUE, patient VARCHAR(80) NOT NULL,
            name VARCHAR(80) NOT NULL, site VARCHAR(32) NOT NULL, body JSON, notes TEXT NOT NULL,
            created_at DATETIME NOT NULL, changed_at DATETIME NOT NULL)""",
        "CREATE INDEX ix_lesions_changed_at ON lesions (changed_at)",
        """CREATE TABLE photographs (
            id INTEGER NOT NULL PRIMARY KEY,
            lesion_id INTEGER NOT NULL,
            "key" VARCHAR(32) NOT NULL UNIQUE, answered_at DATETIME NOT NULL, kept_at DATETIME NOT NULL,
            imported_at DATETIME, taken_on DATE, note TEXT NOT NULL, age DOUBLE, sex VARCHAR(16) NOT NULL,
            site VARCHAR(32) NOT NULL, width INTEGER NOT NULL, height INTEGER NOT NULL, lesion_share DOUBLE,
            answer JSON NOT NULL, measured JSON NOT NULL, plausible_level DOUBLE,
            FOREIGN KEY(lesion_id) REFERENCES lesions (id) ON DELETE CASCADE)""",
        "CREATE INDEX ix_photographs_lesion_id ON photographs (lesion_id)",
    ),
    (
        """CREATE TABLE reviews (
            id INTEGER NOT NULL PRIMARY KEY,
            photograph_id INTEGER NOT NULL,
            verdict VARCHAR(16) NOT NULL, diagnosis VARCHAR(32) NOT NULL, confirmed_by VARCHAR(16) NOT NULL,
            comment TEXT NOT NULL, reviewer VARCHAR(80) NOT NULL, reviewed_at DATETIME NOT NULL,
            FOREIGN KEY(photograph_id) REFERENCES photographs (id) ON DELETE CASCADE)""",
        "CREATE INDEX ix_reviews_photograph_id ON reviews (photograph_id)",
    ),
)
"""What makes the tables, step by step: all statements of a step are done, or none."""


def open_database(file: Path, steps: Sequence[Sequence[str]] = STEPS) -> Engine:
    """Opens the database of a file, which is made where there is none, and takes the steps that it lacks.

    Raises:
        ConfigError: a newer version of the app wrote it.
        sqlalchemy.exc.DBAPIError: it cannot be opened, or is no database.
    """
    # No pool: nothing is held open between two clicks.
    engine = create_engine(
        f"sqlite:///{file}",
        poolclass=NullPool,
        connect_args={"timeout": _PATIENCE_SECONDS},
        # What a statement that fails was to write stays out of the terminal: patients and notes are in it.
        hide_parameters=True,
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    with engine.connect().execution_options(**WRITES) as connection, connection.begin():
        taken = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
        if taken > len(steps):
            raise ConfigError(say("case-newer", file=str(file), version=taken, known=len(steps)))
        for statement in (statement for step in steps[taken:] for statement in step):
            connection.exec_driver_sql(statement)
        connection.exec_driver_sql(f"PRAGMA user_version = {len(steps)}")
    return engine


def _prepare(connection: Any, _record: Any) -> None:
    # Begin and commit are SQLAlchemy's to say: the driver would leave CREATE TABLE outside of a transaction.
    connection.isolation_level = None
    for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Any) -> None:
    writes = connection.get_execution_options().get("case_list_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
