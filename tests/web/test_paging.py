"""The history in pages: nothing twice, nothing missed, whatever comes or goes meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from flask import Flask
from sqlalchemy import select

from tests.web.conftest import Person
from tests.web.fakes import ROUTINE
from web.database import db
from web.models import Prediction, User
from web.paging import history_page

START = datetime(2026, 11, 21, 9, 14, tzinfo=UTC)


def add_answers(app: Flask, email: str, moments: list[datetime]) -> list[str]:
    """Adds rows without pictures; returns their keys, newest first."""
    with app.app_context():
        user = db.session.scalars(select(User).where(User.email == email)).one()
        rows = [
            Prediction(
                user_id=user.id, created_at=moment, width=4, height=3, probabilities=ROUTINE, top="nv",
                malignant_probability=0.03, operating_point=0.18, operating_point_measured={}, advice="routine",
                quality=[], model_name="fake", model_version="1", model_sha256="0" * 64, seconds=0.1,
            )
            for moment in moments
        ]  # fmt: skip
        db.session.add_all(rows)
        db.session.commit()
        return [row.key for row in sorted(rows, key=lambda row: (row.created_at, row.key), reverse=True)]


def page_of(
    app: Flask, email: str, size: int, **cursors: str | None
) -> tuple[list[str], str | None, str | None]:
    with app.app_context():
        user = db.session.scalars(select(User).where(User.email == email)).one()
        page = history_page(user, size, **cursors)
        return [row.key for row in page.predictions], page.newer, page.older


def minutes(*values: float) -> list[datetime]:
    return [START + timedelta(minutes=value) for value in values]


def test_pages_newest_first_cover_everything_once_both_ways(app: Flask, mira: Person) -> None:
    keys = add_answers(app, mira.email, minutes(*range(7)))
    first, newer, older = page_of(app, mira.email, 3)
    assert (first, newer) == (keys[:3], None)
    second, back, older = page_of(app, mira.email, 3, before=older)
    assert second == keys[3:6]
    third, _, end = page_of(app, mira.email, 3, before=older)
    assert (third, end) == (keys[6:], None)
    assert page_of(app, mira.email, 3, after=back)[0] == keys[:3]


def test_answers_of_the_same_microsecond_are_neither_lost_nor_repeated(app: Flask, mira: Person) -> None:
    keys = add_answers(app, mira.email, minutes(*[0] * 5))
    seen, cursor = [], None
    for _ in range(3):
        page, _newer, cursor = page_of(app, mira.email, 2, before=cursor)
        seen += page
    assert seen == keys


def test_a_page_does_not_shift_when_newer_answers_come(app: Flask, mira: Person) -> None:
    keys = add_answers(app, mira.email, minutes(*range(6)))
    _, _, older = page_of(app, mira.email, 3)
    add_answers(app, mira.email, minutes(10, 11, 12))
    assert page_of(app, mira.email, 3, before=older)[0] == keys[3:]


def test_a_cursor_outlives_the_answer_it_stands_at(app: Flask, mira: Person) -> None:
    keys = add_answers(app, mira.email, minutes(*range(6)))
    _, _, older = page_of(app, mira.email, 3)
    with app.app_context():
        db.session.delete(db.session.scalars(select(Prediction).where(Prediction.key == keys[2])).one())
        db.session.commit()
    assert page_of(app, mira.email, 3, before=older)[0] == keys[3:]


def test_nobody_else_is_on_the_page(app: Flask, mira: Person, stranger: Person) -> None:
    own = add_answers(app, mira.email, minutes(0, 2))
    add_answers(app, stranger.email, minutes(1, 3))
    assert page_of(app, mira.email, 10) == (own, None, None)


@pytest.mark.parametrize(
    "cursor", ["", "x", "1-2", "9" * 17 + "-" + "0" * 32, "-1-" + "0" * 32, "0-" + "g" * 32]
)
def test_a_cursor_that_cannot_be_read_counts_as_none(app: Flask, mira: Person, cursor: str) -> None:
    keys = add_answers(app, mira.email, minutes(0, 1))
    for name in ("before", "after"):
        assert mira.get("/history", query_string={name: cursor}).status_code == 200
    assert page_of(app, mira.email, 10, before=None if cursor.startswith("9") else cursor)[0] == keys


def test_the_pages_are_linked(mira: Person, make_app: Callable[..., Flask]) -> None:
    app = make_app(HISTORY_PAGE_SIZE=2)
    person = Person(app)
    person.login()
    keys = add_answers(app, person.email, minutes(*range(5)))
    text = person.get("/history").text
    assert "5 answers, newest first." in text
    assert 'rel="prev"' not in text
    older = text.partition('rel="next" href="')[2].partition('"')[0]
    second = person.get(older).text
    assert [key for key in keys if f"/answers/{key}/thumbnail" in second] == keys[2:4]
    assert 'rel="prev"' in second


def test_past_the_end_the_way_back_is_shown(app: Flask, mira: Person) -> None:
    add_answers(app, mira.email, minutes(0))
    text = mira.get("/history", query_string={"before": f"1-{'0' * 32}"}).text
    assert "No more answers here" in text
