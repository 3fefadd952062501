"""Lesions through the API."""

from __future__ import annotations

from tests.web.api.conftest import Program, problem_of
from tests.web.conftest import Kept

PLACE = {"view": "front", "x": 0.25, "y": 0.5}


def test_a_lesion_is_made_read_changed_and_listed(program: Program) -> None:
    response = program.post(
        "/lesions", json={"name": " P-017,\tleft arm ", "site": "upper extremity", "place": PLACE}
    )
    assert response.status_code == 201
    lesion = response.json
    assert response.location == lesion["url"]
    assert (lesion["name"], lesion["site"], lesion["place"]) == ("P-017, left arm", "upper extremity", PLACE)
    assert program.get(lesion["url"]).json == lesion
    changed = program.patch(lesion["url"], json={"site": None, "place": None, "notes": "darker"}).json
    assert changed == lesion | {"site": None, "place": None, "notes": "darker"}
    assert program.patch(lesion["url"], json={"name": "Back"}).json["name"] == "Back"
    newest = program.lesion("Second")
    page = program.get("/lesions?limit=1").json
    assert page["items"] == [newest]
    assert [item["name"] for item in program.get(f"/lesions?cursor={page['next']}").json["items"]] == ["Back"]


def test_a_lesion_leads_to_its_photographs(program: Program) -> None:
    lesion = program.lesion()
    answer = program.predicted(lesion=lesion["id"])
    program.predicted()
    assert answer["lesion"] == lesion["id"]
    assert program.get(lesion["predictions"]).json["items"] == [answer]
    assert program.get(lesion["url"]).json["photographs"] == 1
    assert program.get("/lesions").json["items"][0]["photographs"] == 1


def test_a_deleted_lesion_leaves_its_photographs_or_takes_them_along(program: Program, kept: Kept) -> None:
    first, second = program.lesion("First"), program.lesion("Second")
    loose = program.predicted(lesion=first["id"])
    program.predicted(lesion=second["id"])
    assert program.delete(first["url"]).status_code == 204
    assert program.get(loose["url"]).json["lesion"] is None
    assert program.delete(f"{second['url']}?photographs=delete").status_code == 204
    assert program.get("/lesions").json["items"] == []
    assert kept.rows() == 1
    assert len({path.parent for path in kept.files()}) == 1


def test_what_does_not_fit_is_named(program: Program) -> None:
    unfitting = {
        "#/name": {"name": ""},
        "#/site": {"name": "a", "site": "nose"},
        "#/place/x": {"name": "a", "place": PLACE | {"x": 1.5}},
        "#/place/view": {"name": "a", "place": PLACE | {"view": "side"}},
        "#/colour": {"name": "a", "colour": "red"},
        "#/notes": {"name": "a", "notes": 5},
    }
    for part, body in unfitting.items():
        problem = problem_of(program.post("/lesions", json=body), 422, "invalid")
        assert [fault["part"] for fault in problem["errors"]] == [part]
    assert problem_of(program.post("/lesions", json={"name": "\u0007 "}), 422, "invalid")
    problem_of(program.post("/lesions", json=["a"]), 422, "invalid")
    problem_of(program.post("/lesions", data=b"{", content_type="application/json"), 400, "bad-request")
    problem_of(program.post("/lesions", data={"name": "a"}), 415, "wrong-type")
    problem_of(program.post("/lesions", json={"name": "a", "notes": "n" * 200_000}), 413, "too-large")
    assert program.get("/lesions").json["items"] == []


def test_nobody_sends_photographs_to_a_strangers_lesion(program: Program, other_program: Program) -> None:
    lesion = program.lesion()
    problem_of(other_program.predict(lesion=lesion["id"]), 422, "invalid")
    theirs = other_program.predicted()
    problem_of(other_program.patch(theirs["url"], json={"lesion": lesion["id"]}), 422, "invalid")
    assert program.get(lesion["url"]).json["photographs"] == 0
