"""A lesion from its first photograph to its last, on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import timedelta

import pytest
from flask import Flask

from tests.web.conftest import Kept, Person
from tests.web.postgres import empty_database
from web.database import now


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request: pytest.FixtureRequest, make_app: Callable[..., Flask]) -> Iterator[Flask]:
    with ExitStack() as stack:
        config = {"HISTORY_PAGE_SIZE": 2}
        if request.param == "postgresql":
            config["DERM_DATABASE_URL"] = stack.enter_context(empty_database())
        yield make_app(**config)


def test_the_journey_of_a_lesion(site: Flask) -> None:
    mira, kept = Person(site), Kept(site)
    assert mira.register().status_code == 302
    sent = {"name": "P-0317, 100% nose", "place": "front-face"}
    lesion = mira.post("/lesions/new", sent).location.rpartition("/")[2]
    days = ("2026-11-01", "2024-10-14", "2025-11-03")
    keys = [mira.answered(lesion=lesion, taken_on=day, note=f"Taken {day}") for day in days]
    loose = mira.answered(note="Loose")

    shown = mira.get(f"/lesions/{lesion}").text.partition('class="timeline"')[2]
    assert re.findall(r'visit-link" href="/answers/(\w+)"', shown) == [keys[0], keys[2], keys[1]]
    assert f"/answers/{keys[0]}/thumbnail" in mira.get("/lesions?text=100%25 NOSE").text

    today = now().date()
    asked = {"lesion": lesion, "advice": "refer", "diagnosis": "mel", "review": "none", "text": "taken",
             "since": str(today - timedelta(days=1)), "until": str(today + timedelta(days=1))}  # fmt: skip
    first = mira.get("/history", query_string=asked).text
    assert re.findall(r"/answers/(\w+)/thumbnail", first) == [keys[2], keys[1]]
    older = first.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert re.findall(r"/answers/(\w+)/thumbnail", mira.get(older).text) == [keys[0]]
    assert re.findall(r"/answers/(\w+)/thumbnail", mira.get("/history?lesion=loose").text) == [loose]
    assert "4 answers, newest first." in mira.get("/history").text

    assert mira.post("/history/move", {"keys": [keys[0], keys[1]], "lesion": ""}).status_code == 303
    assert mira.post("/history/delete", {"keys": [keys[0]], "sure": "yes"}).status_code == 303
    assert mira.post(f"/lesions/{lesion}/delete", {"photographs": "delete"}).status_code == 303
    assert kept.rows() == 2
    assert kept.row(keys[1]).lesion_id is None
    assert {path.parent.name for path in kept.files()} == {keys[1], loose}
