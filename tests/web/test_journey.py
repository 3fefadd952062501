"""What a user does from the first day to the last, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from flask import Flask

from tests.web.conftest import PASSWORD, Kept, Person
from tests.web.postgres import empty_database


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    with ExitStack() as stack:
        config = {"HISTORY_PAGE_SIZE": 2, "LOGIN_FAILURES_PER_ACCOUNT_AND_ADDRESS": 2}
        if request.param == "postgresql":
            config["DERM_DATABASE_URL"] = stack.enter_context(empty_database())
        yield make_app(**config)


def test_the_whole_journey(site: Flask) -> None:
    mira, kept = Person(site), Kept(site)
    assert mira.register().status_code == 302
    keys = [mira.answered(note=f"Visit {number}\x00", age="54", site="back") for number in range(5)]
    assert mira.upload(b"not a picture").status_code == 400
    assert [kept.row(key).note for key in keys] == [f"Visit {number}" for number in range(5)]
    assert kept.row(keys[0]).created_at.utcoffset() is not None
    assert "Answered with: 54 years, back" in mira.get(f"/answers/{keys[0]}").text

    newest = mira.get("/history").text
    assert keys[4] in newest
    assert keys[2] not in newest
    second = mira.get(newest.partition('rel="next" href="')[2].partition('"')[0]).text
    assert [key in second for key in keys] == [False, True, True, False, False]
    first = mira.get(second.partition('rel="prev" href="')[2].partition('"')[0]).text
    assert keys[4] in first

    assert mira.post(f"/answers/{keys[0]}/note", {"note": "Ängström 🩺"}).status_code == 302
    assert "Ängström 🩺" in mira.get(f"/answers/{keys[0]}").text
    assert mira.get(f"/answers/{keys[0]}/heatmap/mel").status_code == 200
    assert mira.post(f"/answers/{keys[0]}/delete").status_code == 302
    assert mira.get(f"/answers/{keys[0]}").status_code == 404

    other = Person(site, "other@clinic.org")
    assert Person(site, "MIRA@clinic.org").register().status_code == 400
    assert other.register().status_code == 302
    assert other.get(f"/answers/{keys[1]}").status_code == 404

    mira.logout()
    assert [mira.login("wrong horse battery").status_code for _ in range(3)] == [400, 400, 429]
    late = Person(site)
    late.client.environ_base = {"REMOTE_ADDR": "203.0.113.9"}
    assert late.login().status_code == 302
    assert (
        late.post("/account/password", {"current": PASSWORD, "new": "another horse entirely"}).status_code
        == 302
    )
    assert late.post("/account/delete", {"password": "another horse entirely"}).status_code == 302
    assert (kept.rows(), kept.files()) == (0, [])
    assert other.get("/history").status_code == 200
