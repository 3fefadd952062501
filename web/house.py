"""How the whole site stands, for its admins: people, answers, storage and queue. Shows nobody's pictures."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import datetime

from flask import current_app
from sqlalchemy import func, or_, select, text

from web.batch_progress import items_by_state
from web.database import db
from web.inference import inference
from web.models import Prediction, SecondFactor, User, UserSession

PAGE_SIZE = 50


@dataclass(frozen=True)
class House:
    """Counts and sizes; sizes are in bytes. `queue` maps the states of batch items to how many there are."""

    people: dict[str, int]
    disabled: int
    second_factors: int
    answers: int
    pictures_bytes: int
    database: str
    database_bytes: int
    free_bytes: int
    queue: dict[str, int]
    model_state: str


@dataclass(frozen=True)
class PersonRow:
    """One account in the list."""

    user: User
    answers: int
    seen_at: datetime | None


@dataclass(frozen=True)
class PeoplePage:
    """Some accounts, newest first; `older` is the `before` of the next page, None on the last."""

    rows: list[PersonRow]
    older: int | None


def state_of_house() -> House:
    """Returns how the site stands now."""
    home = current_app.config["DERM_HOME"]
    roles = dict(db.session.execute(select(User.role, func.count()).group_by(User.role)).all())
    answers, size = db.session.execute(
        select(func.count(), func.coalesce(func.sum(Prediction.bytes), 0)).select_from(Prediction)
    ).one()
    return House(
        people=roles,
        disabled=db.session.scalar(
            select(func.count()).select_from(User).where(User.disabled_at.is_not(None))
        )
        or 0,
        second_factors=db.session.scalar(select(func.count()).where(SecondFactor.confirmed_at.is_not(None)))
        or 0,
        answers=answers,
        pictures_bytes=size,
        database="PostgreSQL" if db.engine.dialect.name == "postgresql" else "SQLite",
        database_bytes=_database_bytes(),
        free_bytes=shutil.disk_usage(home).free,
        queue=items_by_state(),
        model_state=inference().state,
    )


def people_page(words: str = "", *, before: int | None = None) -> PeoplePage:
    """Returns a page of accounts; `words` is looked for in names and addresses."""
    answers = select(func.count()).where(Prediction.user_id == User.id).correlate(User).scalar_subquery()
    seen = select(func.max(UserSession.last_seen_at)).where(UserSession.user_id == User.id).correlate(User)
    query = select(User, answers, seen.scalar_subquery()).order_by(User.id.desc()).limit(PAGE_SIZE + 1)
    if words:
        query = query.where(
            or_(User.email.icontains(words, autoescape=True), User.name.icontains(words, autoescape=True))
        )
    if before is not None:
        query = query.where(User.id < before)
    rows = [PersonRow(*row) for row in db.session.execute(query)]
    more = len(rows) > PAGE_SIZE
    return PeoplePage(rows[:PAGE_SIZE], rows[PAGE_SIZE - 1].user.id if more else None)


def _database_bytes() -> int:
    if db.engine.dialect.name == "postgresql":
        return db.session.scalar(text("SELECT pg_database_size(current_database())")) or 0
    pages = db.session.scalar(text("SELECT page_count * page_size FROM pragma_page_count, pragma_page_size"))
    return int(pages or 0)
