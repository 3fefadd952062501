"""Lists in pages: nothing twice, nothing missed, whatever comes or goes, and never more read than is shown."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import event, insert, select, text

from tests.web.conftest import Person, close_connections
from tests.web.fakes import ROUTINE, FakePredictor
from web import create_app
from web.database import db
from web.history_filters import HistoryFilters
from web.models import Lesion, Prediction, User, new_key
from web.paging import MOST_COUNTED, history_page, lesions_page

START = datetime(2026, 11, 21, 9, 14, tzinfo=UTC)


def values(user_id: int, moment: datetime, **others: Any) -> dict[str, Any]:
    """A row without a picture."""
    return {
        "user_id": user_id, "key": new_key(), "created_at": moment, "width": 4, "height": 3,
        "probabilities": ROUTINE, "top": "nv", "malignant_probability": 0.03, "operating_point": 0.18,
        "operating_point_measured": {}, "advice": "routine", "quality": [], "model_name": "fake",
        "model_version": "1", "model_sha256": "0" * 64, "seconds": 0.1, **others,
    }  # fmt: skip


def user_of(email: str) -> User:
    return db.session.scalars(select(User).where(User.email == email)).one()


def add_answers(app: Flask, email: str, moments: list[datetime], **others: Any) -> list[str]:
    """Adds rows without pictures; returns their keys, newest first."""
    with app.app_context():
        rows = [values(user_of(email).id, moment, **others) for moment in moments]
        db.session.execute(insert(Prediction), rows)
        db.session.commit()
        return [
            row["key"] for row in sorted(rows, key=lambda row: (row["created_at"], row["key"]), reverse=True)
        ]


def page_of(app: Flask, email: str, size: int, **options: Any) -> tuple[list[str], str | None, str | None]:
    with app.app_context():
        page = history_page(user_of(email), size, **options)
        return [row.key for row in page.rows], page.newer, page.older


def minutes(*numbers: float) -> list[datetime]:
    return [START + timedelta(minutes=number) for number in numbers]


def test_pages_newest_first_cover_everything_once_both_ways(app: Flask, mira: Person) -> None:
    keys = add_answers(app, mira.email, minutes(*range(7)))
    first, newer, older = page_of(app, mira.email, 3)
    assert (first, newer) == (keys[:3], None)
    second, back, older = page_of(app, mira.email, 3, before=older)
    assert second == keys[3:6]
    third, back_again, end = page_of(app, mira.email, 3, before=older)
    assert (third, end) == (keys[6:], None)
    assert page_of(app, mira.email, 3, after=back_again)[0] == keys[3:6]
    assert page_of(app, mira.email, 3, after=back) == (keys[:3], None, older_than(app, mira.email, 3))


def older_than(app: Flask, email: str, size: int) -> str | None:
    return page_of(app, email, size)[2]


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
        assert mira.get("/lesions", query_string={name: cursor}).status_code == 200
    assert page_of(app, mira.email, 10, before=None if cursor.startswith("9") else cursor)[0] == keys


def test_the_pages_are_linked(mira: Person, make_app: Callable[..., Flask]) -> None:
    app = make_app(HISTORY_PAGE_SIZE=2)
    person = Person(app)
    person.login()
    keys = add_answers(app, person.email, minutes(*range(5)))
    page = person.get("/history").text
    assert "5 answers, newest first." in page
    assert 'rel="prev"' not in page
    older = page.partition('rel="next" href="')[2].partition('"')[0]
    second = person.get(older).text
    assert [key for key in keys if f"/answers/{key}/thumbnail" in second] == keys[2:4]
    assert 'rel="prev"' in second


def test_past_the_end_the_way_back_is_shown(app: Flask, mira: Person) -> None:
    add_answers(app, mira.email, minutes(0))
    page = mira.get("/history", query_string={"before": f"1-{'0' * 32}"}).text
    assert "No more answers here" in page


def test_days_bound_the_pages_from_both_ends(app: Flask, mira: Person) -> None:
    moments = [datetime(2026, 11, day, hour, tzinfo=UTC) for day in (19, 20, 21, 22) for hour in (0, 23)]
    keys = add_answers(app, mira.email, moments)
    filters = HistoryFilters(since=date(2026, 11, 20), until=date(2026, 11, 21))
    first, newer, older = page_of(app, mira.email, 2, filters=filters)
    assert (first, newer) == (keys[2:4], None)
    second, back, end = page_of(app, mira.email, 2, filters=filters, before=older)
    assert (second, end) == (keys[4:6], None)
    assert page_of(app, mira.email, 2, filters=filters, after=back) == (first, None, older)


def test_lesions_come_in_pages_too(app: Flask, mira: Person) -> None:
    with app.app_context():
        user = user_of(mira.email)
        db.session.add_all(
            Lesion(user_id=user.id, name=f"P-{n}", created_at=START + timedelta(n)) for n in range(5)
        )
        db.session.commit()
        first = lesions_page(user, 2)
        assert ([one.name for one in first.rows], first.newer, first.total) == (["P-4", "P-3"], None, 5)
        second = lesions_page(user, 2, before=first.older)
        assert [one.name for one in second.rows] == ["P-2", "P-1"]
        assert [one.name for one in lesions_page(user, 2, after=second.newer).rows] == ["P-4", "P-3"]
        assert [one.name for one in lesions_page(user, 9, text="p-1").rows] == ["P-1"]
        assert lesions_page(user, 9, after=f"{10**16}-{'f' * 32}").total == 5


MANY = 100_000


@pytest.fixture(scope="module")
def many(migrated_database: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Flask, int]]:
    """An app whose one user has 100,000 answers, of which every 50th shows one lesion; and that lesion's number."""
    home = tmp_path_factory.mktemp("many")
    shutil.copy(migrated_database, home)
    app = create_app({"DERM_HOME": home, "TESTING": True}, FakePredictor())
    with app.app_context():
        user = User(email="many@clinic.org", name="Many", password_hash="")
        lesion = Lesion(name="P-0317", user=user)
        db.session.add_all([user, lesion])
        db.session.flush()
        db.session.execute(
            text(
                "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < :many) "
                "INSERT INTO predictions (user_id, lesion_id, key, created_at, width, height, probabilities, top, "
                "malignant_probability, operating_point, operating_point_measured, advice, quality, model_name, "
                "model_version, model_sha256, seconds, note, review) "
                "SELECT :user, CASE WHEN i % 50 = 0 THEN :lesion END, lower(hex(randomblob(16))), "
                "datetime(1700000000 + i * 60, 'unixepoch') || '.000000', 4, 3, '{}', "
                "CASE WHEN i % 9 = 0 THEN 'mel' ELSE 'nv' END, 0.1, 0.2, '{}', "
                "CASE WHEN i % 9 = 0 THEN 'refer' ELSE 'routine' END, '[]', 'm', '1', '0', 0.1, '', "
                "CASE WHEN i % 7 = 0 THEN 'confirmed' ELSE '' END FROM n"
            ),
            {"many": MANY, "user": user.id, "lesion": lesion.id},
        )
        db.session.commit()
        yield app, lesion.id
    close_connections(app)


@contextmanager
def statements(app: Flask) -> Iterator[list[tuple[str, Any]]]:
    """Collects what is asked of the table of answers."""
    asked: list[tuple[str, Any]] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if "FROM predictions" in statement:
            asked.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(db.engine, "before_cursor_execute", note)


def plans(asked: list[tuple[str, Any]]) -> list[str]:
    """How SQLite goes about each statement."""
    connection = db.session.connection()
    found = []
    for statement, parameters in asked:
        rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        found.append("; ".join(row[3] for row in rows))
    return found


@pytest.mark.parametrize(
    ("filters", "index"),
    [
        (HistoryFilters(), "ix_predictions_user_id_created_at_key"),
        (
            HistoryFilters(since=date(2023, 12, 1), until=date(2024, 1, 1)),
            "ix_predictions_user_id_created_at_key",
        ),
        (HistoryFilters(advice="refer"), "ix_predictions_user_id_advice_created_at_key"),
        (HistoryFilters(diagnosis="mel"), "ix_predictions_user_id_top_created_at_key"),
        (HistoryFilters(review="confirmed"), "ix_predictions_user_id_review_created_at_key"),
        (HistoryFilters(lesion="LESION"), "ix_predictions_lesion_id_created_at_key"),
        (HistoryFilters(lesion="loose"), "ix_predictions_user_id_created_at_key"),
        (HistoryFilters(text="itches"), "ix_predictions_user_id_created_at_key"),
    ],
    ids=lambda value: "-".join(value.arguments()) or "all" if isinstance(value, HistoryFilters) else "",
)
def test_of_100_000_answers_a_page_is_read_from_the_index_wherever_it_stands(
    many: tuple[Flask, int], filters: HistoryFilters, index: str
) -> None:
    app, lesion_id = many
    user = user_of("many@clinic.org")
    if filters.lesion == "LESION":
        filters = HistoryFilters(lesion=db.session.get_one(Lesion, lesion_id).key)
    deep = f"{1_703_000_000 * 1_000_000}-{'f' * 32}"
    for cursor in ({}, {"before": deep}, {"after": deep}):
        with statements(app) as asked:
            history_page(user, 20, filters=filters, **cursor)
        for plan in plans(asked):
            assert f"INDEX {index} " in plan, plan
            assert "TEMP B-TREE" not in plan
            assert "SCAN predictions" not in plan
        bounded = [plan for plan in plans(asked) if "(created_at,key)" in plan]
        assert bounded or not (cursor or filters.since), "a page starts at its cursor, not at the newest"


def test_the_number_of_answers_is_counted_no_further_than_it_is_told(many: tuple[Flask, int]) -> None:
    app, _lesion = many
    with statements(app) as asked:
        page = history_page(user_of("many@clinic.org"), 20)
    assert page.total == MOST_COUNTED + 1
    assert page.total_text == "over 1,000"
    counts = [(statement, parameters) for statement, parameters in asked if "count(" in statement]
    assert len(counts) == 1
    assert "LIMIT" in counts[0][0]
    assert "COVERING INDEX" in plans(counts)[0]


def test_a_search_is_not_counted_and_few_answers_need_no_count(app: Flask, mira: Person) -> None:
    add_answers(app, mira.email, minutes(*range(5)), note="it itches")
    with app.app_context(), statements(app) as asked:
        assert history_page(user_of(mira.email), 9).total == 5
        assert history_page(user_of(mira.email), 2, filters=HistoryFilters(text="itch")).total is None
        assert history_page(user_of(mira.email), 9, filters=HistoryFilters(text="itch")).total == 5
    assert not [statement for statement, _ in asked if "count(" in statement]
