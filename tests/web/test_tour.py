"""The tour of the first log-in: an answer in one click, explained, and gone for good once it is ended."""

from __future__ import annotations

from tests.web.conftest import Kept, Person


def test_a_newcomer_sees_an_answer_in_one_click(mira: Person, kept: Kept) -> None:
    assert "Show me an answer" in mira.get("/new").text
    response = mira.post("/tour/sample")
    assert response.status_code == 303
    key = response.location.rpartition("/")[2]
    assert kept.row(key).is_sample
    page = mira.get(response.location).text
    assert "How to read an answer" in page
    assert "A picture that we drew" in page


def test_the_tour_explains_the_sample_alone(mira: Person) -> None:
    assert "How to read an answer" not in mira.get(f"/answers/{mira.answered()}").text


def test_an_ended_tour_does_not_come_back(mira: Person, stranger: Person) -> None:
    assert mira.post("/tour/end").location == "/new"
    sample = mira.post("/new/sample").location
    assert "Show me an answer" not in mira.get("/new").text
    assert "How to read an answer" not in mira.get(sample).text
    mira.logout()
    mira.login()
    assert "Show me an answer" not in mira.get("/new").text
    assert "Show me an answer" in stranger.get("/new").text


def test_a_sample_is_never_reviewed(clinician: Person) -> None:
    sample = clinician.post("/tour/sample").location
    assert "Record the diagnosis" not in clinician.get(sample).text
    assert clinician.get(f"{sample}/review").status_code == 404
