"""The history: what its filters choose, and what is done with several answers at once."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, ROUTINE, FakePredictor
from web.database import db
from web.models import AuditEvent, Prediction


def listed(person: Person, **asked: str) -> set[str]:
    """The keys on the first page of the history."""
    page = person.get("/history", query_string=asked)
    assert page.status_code == 200
    return set(re.findall(r"/answers/(\w+)/thumbnail", page.text))


@pytest.fixture
def answers(app: Flask, mira: Person, predictor: FakePredictor) -> dict[str, str]:
    """One answer of each kind, by name."""
    response = mira.post("/lesions/new", {"name": "P-0317, 100% nose"})
    lesion = response.location.rpartition("/")[2]
    found = {"lesion": lesion, "refer": mira.answered(lesion=lesion, note="It itches")}
    predictor.probabilities = dict(ROUTINE)
    found["routine"] = mira.answered(note="Bleeds at night")
    predictor.quality = (DARK,)
    found["unsure"] = mira.answered()
    with app.app_context():
        row = db.session.scalars(select(Prediction).where(Prediction.key == found["routine"])).one()
        row.review, row.confirmed = "confirmed", "nv"
        db.session.commit()
    return found


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, {"refer", "routine", "unsure"}),
        ({"advice": "refer"}, {"refer"}),
        ({"advice": "unsure"}, {"unsure"}),
        ({"diagnosis": "mel"}, {"refer"}),
        ({"diagnosis": "nv"}, {"routine"}),
        ({"review": "confirmed"}, {"routine"}),
        ({"review": "none"}, {"refer", "unsure"}),
        ({"review": "bad-picture"}, set()),
        ({"lesion": "LESION"}, {"refer"}),
        ({"lesion": "loose"}, {"routine", "unsure"}),
        ({"lesion": "0" * 32}, set()),
        ({"text": "ITCH"}, {"refer"}),
        ({"text": "p-0317"}, {"refer"}),
        ({"text": "100%"}, {"refer"}),
        ({"text": "1_0"}, set()),
        ({"text": "nothing of the kind"}, set()),
        ({"since": "2000-01-01", "until": "2000-01-02"}, set()),
        ({"since": "2000-01-01", "advice": "routine", "text": "night"}, {"routine"}),
        ({"since": "yesterday", "advice": "maybe", "diagnosis": "flu", "review": "?"}, {"refer", "routine", "unsure"}),
    ],
)  # fmt: skip
def test_filters_choose(
    mira: Person, answers: dict[str, str], asked: dict[str, str], expected: set[str]
) -> None:
    asked = {name: answers["lesion"] if value == "LESION" else value for name, value in asked.items()}
    assert listed(mira, **asked) == {answers[name] for name in expected}


def test_a_filter_never_tells_what_was_withheld(mira: Person, answers: dict[str, str]) -> None:
    assert answers["unsure"] not in listed(mira, diagnosis="nv")


def test_the_filters_in_use_are_shown_and_can_be_taken_away(mira: Person, answers: dict[str, str]) -> None:
    page = mira.get("/history?advice=refer&since=2025-11-01&text=itch").text
    chips = page.partition('aria-label="Filters in use"')[2].partition("</ul>")[0]
    assert re.findall(r'class="chip" href="([^"]+)"', chips) == [
        "/history?advice=refer&amp;since=2025-11-01",
        "/history?text=itch&amp;since=2025-11-01",
        "/history?text=itch&amp;advice=refer",
    ]
    assert "Since 1 Nov 2025" in chips
    assert "“itch”" in chips
    assert "1 answer that match" in page


def test_what_is_searched_for_is_written_back_as_text(mira: Person, answers: dict[str, str]) -> None:
    page = mira.get("/history", query_string={"text": '"><script>alert(1)</script>'}).text
    assert "<script>alert" not in page
    assert "No answer matches" in page


def test_the_links_of_the_pages_keep_the_filters(app: Flask, mira: Person) -> None:
    app.config["HISTORY_PAGE_SIZE"] = 1
    keys = [mira.answered(note="itches") for _ in range(2)]
    page = mira.get("/history?text=itch").text
    older = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
    assert "text=itch" in older
    assert keys[0] in mira.get(older).text


def test_nobody_finds_anothers_answers_by_a_filter(
    mira: Person, stranger: Person, answers: dict[str, str]
) -> None:
    for asked in ({"text": "itches"}, {"text": "P-0317"}, {"lesion": answers["lesion"]}, {"advice": "refer"}):
        assert listed(stranger, **asked) == set()
        assert "P-0317" not in stranger.get("/history", query_string=asked).text.replace(
            'value="P-0317"', ""
        ).replace("“P-0317”", "")


def test_many_are_deleted_after_a_second_question(
    app: Flask, mira: Person, kept: Kept, answers: dict[str, str]
) -> None:
    chosen = [answers["refer"], answers["unsure"]]
    question = mira.post("/history/delete", {"keys": chosen})
    assert question.status_code == 200
    assert "Delete 2 answers?" in question.text
    assert kept.rows() == 3
    mira.post("/history/delete", {"keys": chosen, "sure": "yes"})
    assert listed(mira) == {answers["routine"]}
    assert {path.parent.name for path in kept.files()} == {answers["routine"]}
    with app.app_context():
        events = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "answer.deleted")).all()
        assert {event.record for event in events} == set(chosen)


def test_many_are_moved_to_a_lesion(mira: Person, kept: Kept, answers: dict[str, str]) -> None:
    chosen = [answers["routine"], answers["unsure"]]
    assert "P-0317" in mira.post("/history/move", {"keys": chosen}).text
    response = mira.post("/history/move", {"keys": chosen, "lesion": answers["lesion"]})
    assert response.location == f"/lesions/{answers['lesion']}"
    assert len({kept.row(key).lesion_id for key in chosen} | {kept.row(answers["refer"]).lesion_id}) == 1
    mira.post("/history/move", {"keys": chosen, "lesion": ""})
    assert kept.row(chosen[0]).lesion_id is None


@pytest.mark.parametrize("path", ["/history/delete", "/history/move"])
def test_anothers_answers_cannot_be_chosen(
    mira: Person, stranger: Person, kept: Kept, answers: dict[str, str], path: str
) -> None:
    before = kept.row(answers["refer"]).lesion_id
    for others in ({}, {"sure": "yes", "lesion": ""}):
        response = stranger.post(path, {"keys": [answers["refer"], "0" * 32], **others})
        assert response.location == "/history"
        assert answers["refer"] not in response.text
    own = stranger.answered()
    response = stranger.post(path, {"keys": [own, answers["refer"]]})
    assert own in response.text
    assert answers["refer"] not in response.text
    assert kept.rows() == 4
    assert kept.row(answers["refer"]).lesion_id == before


def test_nothing_chosen_is_said(mira: Person) -> None:
    for path in ("/history/delete", "/history/move"):
        assert mira.post(path).location == "/history"
        assert "Tick the answers first." in mira.get("/history").text


def test_chosen_answers_can_be_exported(mira: Person, answers: dict[str, str]) -> None:
    page = mira.get("/history").text
    action = re.search(r'formaction="([^"]+)" data-downloads', page)
    assert action
    export = mira.post(action[1], {"keys": [answers["refer"]]})
    assert export.status_code == 200
    assert "attachment" in export.headers["Content-Disposition"]
