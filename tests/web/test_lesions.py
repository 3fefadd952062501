"""Lesions that are followed: made, marked on the body, given photographs, shown over time, and deleted."""

from __future__ import annotations

import re

import pytest
from flask import Flask
from sqlalchemy import select

from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, REFER, ROUTINE, FakePredictor
from web.database import db
from web.models import AuditEvent, Lesion, Prediction


def made(person: Person, name: str = "P-0317, left shoulder", **others: str) -> str:
    """Makes a lesion and returns its key."""
    response = person.post("/lesions/new", {"name": name, **others})
    assert response.status_code == 303, response.text
    return response.location.rpartition("/")[2]


def lesion_of(app: Flask, key: str) -> Lesion | None:
    with app.app_context():
        return db.session.scalar(select(Lesion).where(Lesion.key == key))


def words(page: str) -> str:
    """The text of a page on one line."""
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


def test_a_lesion_is_made_with_its_name_place_and_notes(app: Flask, mira: Person) -> None:
    key = made(mira, "  P-0317,\tleft shoulder ", place="back-left-upper-back", notes="Itches.\r\nSince May.")
    lesion = lesion_of(app, key)
    assert lesion is not None
    assert (lesion.name, lesion.site, lesion.body_view) == ("P-0317, left shoulder", "back", "back")
    assert lesion.notes == "Itches.\nSince May."
    page = mira.get(f"/lesions/{key}").text
    assert "P-0317, left shoulder" in page
    assert "Left upper back" in page
    assert "No photograph yet" in page
    assert 'class="body-pin"' in page


def test_the_clicked_point_is_kept_where_it_lies_in_the_chosen_region(app: Flask, mira: Person) -> None:
    lesion = lesion_of(app, made(mira, place="front-left-chest", point="0.6100,0.2000"))
    assert lesion is not None
    assert (lesion.body_x, lesion.body_y, lesion.site) == (0.61, 0.2, "chest")
    other = lesion_of(app, made(mira, place="front-left-chest", point="0.1,0.9"))
    assert other is not None
    assert (other.body_x, other.body_y) != (0.1, 0.9)


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        ({"name": " "}, "Give the lesion a name, such as P-0317, left shoulder."),
        ({"name": "x" * 81}, "Use 1 to 80 characters."),
        ({"name": "x", "place": "third-elbow"}, "Not a valid choice."),
        ({"name": "x", "notes": "y" * 4001}, "Use at most 4000 characters."),
    ],
)
def test_what_cannot_be_kept_is_said(app: Flask, mira: Person, sent: dict[str, str], sentence: str) -> None:
    response = mira.post("/lesions/new", sent)
    assert response.status_code == 400
    assert sentence in response.text
    with app.app_context():
        assert db.session.scalar(select(Lesion)) is None


def test_a_lesion_is_changed_and_its_place_stays_where_it_was(app: Flask, mira: Person) -> None:
    key = made(mira, place="front-left-chest", point="0.6100,0.2000")
    form = mira.get(f"/lesions/{key}/edit").text
    assert re.search(r'value="front-left-chest"[^>]*checked', form)
    assert 'value="0.6100,0.2000"' in form
    sent = {"name": "Mole", "place": "front-left-chest", "point": "0.6100,0.2000"}
    assert mira.post(f"/lesions/{key}/edit", sent).status_code == 303
    lesion = lesion_of(app, key)
    assert lesion is not None
    assert (lesion.name, lesion.body_x, lesion.body_y) == ("Mole", 0.61, 0.2)
    mira.post(f"/lesions/{key}/edit", {"name": "Mole", "place": ""})
    lesion = lesion_of(app, key)
    assert lesion is not None
    assert (lesion.site, lesion.body_view, lesion.body_x) == ("", "", None)


def test_a_site_that_was_told_without_the_drawing_survives_a_change_of_name(app: Flask, mira: Person) -> None:
    key = made(mira)
    with app.app_context():
        db.session.scalars(select(Lesion)).one().site = "trunk"
        db.session.commit()
    mira.post(f"/lesions/{key}/edit", {"name": "Mole", "place": ""})
    lesion = lesion_of(app, key)
    assert lesion is not None
    assert lesion.site == "trunk"
    assert "Trunk" in mira.get(f"/lesions/{key}").text


def test_photographs_are_uploaded_to_a_lesion_with_their_day(mira: Person, kept: Kept) -> None:
    lesion = made(mira, place="back-left-upper-back")
    form = mira.get(f"/new?lesion={lesion}").text
    assert re.search(rf'<option selected value="{lesion}"', form)
    assert re.search(r'<option selected value="back"', form)
    key = mira.answered(lesion=lesion, taken_on="2025-11-03")
    row = kept.row(key)
    assert str(row.taken_on) == "2025-11-03"
    assert row.lesion_id is not None
    page = mira.get(f"/lesions/{lesion}").text
    assert f"/answers/{key}/photo" in page
    assert "3 Nov 2025" in page
    assert f"/lesions/{lesion}" in mira.get(f"/answers/{key}").text


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("taken_on", "2999-01-01", "not one to come"),
        ("taken_on", "1850-01-01", "not one to come"),
        ("taken_on", "yesterday", "Enter the day as year, month and day"),
        ("taken_on", "31.12.2025", "such as 2026-03-31"),
        ("lesion", "0" * 32, "This lesion is not there any more."),
    ],
)
def test_a_photograph_is_not_answered_where_lesion_or_day_cannot_be(
    mira: Person, kept: Kept, field: str, value: str, sentence: str
) -> None:
    made(mira)
    response = mira.upload(**{field: value})
    assert response.status_code == 400
    assert sentence in response.text
    assert kept.rows() == 0
    assert kept.files() == []


def test_photographs_stand_in_order_of_the_day_they_were_taken(mira: Person) -> None:
    lesion = made(mira)
    newest = mira.answered(lesion=lesion, taken_on="2026-11-01")
    oldest = mira.answered(lesion=lesion, taken_on="2024-02-29")
    middle = mira.answered(lesion=lesion, taken_on="2025-06-01")
    timeline = mira.get(f"/lesions/{lesion}").text.partition('class="timeline"')[2]
    assert re.findall(r'visit-link" href="/answers/(\w+)"', timeline) == [newest, middle, oldest]


def test_two_visits_stand_side_by_side_with_their_heatmaps(mira: Person, predictor: FakePredictor) -> None:
    lesion = made(mira)
    keys = [mira.answered(lesion=lesion, taken_on=f"2026-0{month}-01") for month in (1, 2, 3)]
    page = mira.get(f"/lesions/{lesion}").text
    pair = page.partition('id="pair"')[2].partition("</section>")[0]
    assert re.findall(r"/answers/(\w+)/photo", pair) == keys[1:]
    assert re.findall(r"/answers/(\w+)/heatmap/mel", pair) == keys[1:]
    asked = mira.get(f"/lesions/{lesion}?left={keys[0]}&right={keys[1]}").text
    pair = asked.partition('id="pair"')[2].partition("</section>")[0]
    assert re.findall(r"/answers/(\w+)/photo", pair) == keys[:2]


def test_one_choice_of_a_class_switches_both_heatmaps(mira: Person, predictor: FakePredictor) -> None:
    lesion = made(mira)
    predictor.probabilities = dict(ROUTINE)
    first = mira.answered(lesion=lesion, taken_on="2026-01-01")
    predictor.probabilities = dict(REFER)
    keys = [first, *(mira.answered(lesion=lesion, taken_on=f"2026-0{month}-01") for month in (2, 3))]
    page = mira.get(f"/lesions/{lesion}?left={keys[0]}").text
    links = re.findall(r'<a class="chip" href="([^"]+)" data-code="bcc"', page)
    shown = mira.get(links[0].replace("&amp;", "&")).text
    pair = shown.partition('id="pair"')[2].partition("</section>")[0]
    assert re.findall(r"/answers/(\w+)/heatmap/bcc", pair) == [keys[0], keys[2]]
    assert re.findall(r'class="reading"[^>]*>([^<]+)<', pair) == [
        "Basal cell carcinoma: 1%",
        "Basal cell carcinoma: 3%",
    ]
    assert 'name="class" value="bcc"' in shown  # other visits are chosen without losing it
    alone = (
        mira.get(f"/lesions/{lesion}?class=none").text.partition('id="pair"')[2].partition("</section>")[0]
    )
    assert "/heatmap/" not in alone


def test_the_latest_is_compared_with_the_answered_one_before(mira: Person, predictor: FakePredictor) -> None:
    lesion = made(mira)
    predictor.probabilities = dict(ROUTINE)
    first = mira.answered(lesion=lesion, taken_on="2026-01-01")
    predictor.quality = (DARK,)
    refused = mira.answered(lesion=lesion, taken_on="2026-02-01")
    predictor.quality = ()
    last = mira.answered(lesion=lesion, taken_on="2026-03-01")
    page = mira.get(f"/lesions/{lesion}").text
    pair = page.partition('id="pair"')[2].partition("</figure>\n      </div>")[0]
    assert re.findall(r"/answers/(\w+)/photo", pair)[:2] == [first, last]
    chart = re.search(r'aria-label="(Risk of malignancy by visit:[^"]+)"', page)
    assert chart
    assert "1 Feb 2026" not in chart[1]
    withheld = mira.get(f"/lesions/{lesion}?left={refused}&right={last}").text
    assert f"/answers/{refused}/heatmap" not in withheld


def test_the_answer_of_another_lesion_is_never_put_beside(mira: Person, stranger: Person) -> None:
    lesion, other = made(mira), made(mira, "Other")
    for month in (1, 2):
        mira.answered(lesion=lesion, taken_on=f"2026-0{month}-01")
    foreign = [mira.answered(lesion=other), stranger.answered()]
    for key in foreign:
        page = mira.get(f"/lesions/{lesion}?left={key}&right={key}")
        assert page.status_code == 200
        assert key not in page.text


def test_an_answer_is_moved_to_a_lesion_and_left_loose_again(mira: Person, kept: Kept) -> None:
    key, lesion = mira.answered(), made(mira)
    assert (
        mira.post(f"/answers/{key}/lesion", {"lesion": lesion, "taken_on": "2026-11-01"}).status_code == 302
    )
    assert kept.row(key).lesion_id is not None
    mira.post(f"/answers/{key}/lesion", {"lesion": "", "taken_on": ""})
    assert (kept.row(key).lesion_id, kept.row(key).taken_on) == (None, None)


def test_no_answer_is_moved_to_a_strangers_lesion(mira: Person, stranger: Person, kept: Kept) -> None:
    key, theirs = mira.answered(), made(stranger)
    response = mira.post(f"/answers/{key}/lesion", {"lesion": theirs})
    assert response.status_code == 400
    assert "This lesion is not there any more." in response.text
    assert kept.row(key).lesion_id is None
    assert mira.upload(lesion=theirs).status_code == 400
    assert mira.post("/history/move", {"keys": key, "lesion": theirs}).status_code == 404
    assert theirs not in mira.get(f"/new?lesion={theirs}").text.partition("<option")[2]


def test_a_lesion_that_the_list_has_no_room_for_is_still_kept(
    mira: Person, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = made(mira, "Old")
    key = mira.answered(lesion=old)
    made(mira, "New")
    monkeypatch.setattr("web.visits.MOST_CHOICES", 1)
    assert re.search(rf'<option selected value="{old}">Old', mira.get(f"/answers/{key}").text)
    mira.post(f"/answers/{key}/lesion", {"lesion": old, "taken_on": "2026-11-01"})
    assert kept.row(key).lesion_id is not None
    assert re.search(rf'<option selected value="{old}">Old', mira.get(f"/new?lesion={old}").text)
    assert mira.upload(lesion=old).status_code == 303


def test_a_deleted_lesion_leaves_its_photographs_loose_where_that_is_chosen(mira: Person, kept: Kept) -> None:
    lesion = made(mira)
    key = mira.answered(lesion=lesion)
    question = words(mira.get(f"/lesions/{lesion}/delete").text)
    assert "Keep them in the history, without a lesion" in question
    assert "Delete them too, with their answers" in question
    assert mira.post(f"/lesions/{lesion}/delete", {"photographs": "keep"}).status_code == 303
    assert mira.get(f"/lesions/{lesion}").status_code == 404
    assert kept.row(key).lesion_id is None
    assert mira.get(f"/answers/{key}/photo").status_code == 200


def test_a_deleted_lesion_takes_its_photographs_along_where_that_is_chosen(
    app: Flask, mira: Person, kept: Kept
) -> None:
    lesion, loose = made(mira), mira.answered()
    for _ in range(2):
        mira.answered(lesion=lesion)
    files = len(kept.files())
    mira.post(f"/lesions/{lesion}/delete", {"photographs": "delete"})
    assert "The lesion is deleted with its 2 photographs." in mira.get("/lesions").text
    assert kept.rows() == 1
    assert kept.row(loose).key == loose
    assert len(kept.files()) == files / 3
    with app.app_context():
        event = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "lesion.deleted")).one()
        assert (event.record, event.detail) == (lesion, {"photographs": 2})


def test_nothing_is_deleted_without_a_choice(app: Flask, mira: Person, kept: Kept) -> None:
    lesion = made(mira)
    mira.answered(lesion=lesion)
    assert mira.post(f"/lesions/{lesion}/delete", {"photographs": "burn"}).status_code == 400
    assert lesion_of(app, lesion) is not None
    assert kept.rows() == 1


def test_the_list_tells_of_the_latest_photograph_and_teaches_where_it_is_empty(mira: Person) -> None:
    assert "Follow a lesion over time" in mira.get("/lesions").text
    lesion = made(mira, place="back-right-calf")
    late = mira.answered(lesion=lesion, taken_on="2026-11-01")
    mira.answered(lesion=lesion, taken_on="2025-01-01")
    made(mira, "Nose")
    page = mira.get("/lesions").text
    assert f"/answers/{late}/thumbnail" in page
    assert "Right calf, 2 photographs" in words(page)
    assert "67% on 1 Nov 2026" in words(page)
    found = mira.get("/lesions?text=nose").text
    assert "Nose" in found
    assert "P-0317" not in found
    assert "No lesion is called that" in mira.get("/lesions?text=elbow").text


def test_of_very_many_photographs_the_newest_are_shown(mira: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.visits.MOST_VISITS", 2)
    lesion = made(mira)
    for month in (1, 2, 3):
        mira.answered(lesion=lesion, taken_on=f"2026-0{month}-01")
    page = mira.get(f"/lesions/{lesion}").text
    assert page.count('class="visit-link"') == 2
    assert "3 photographs" in page
    assert f'href="/history?lesion={lesion}"' in page


def test_the_size_in_view_is_kept_with_an_answer_and_withheld_with_it(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    share = kept.row(mira.answered()).lesion_share
    assert share is None or 0 < share < 1
    predictor.quality = (DARK,)
    assert kept.row(mira.answered()).lesion_share is None


def test_the_sizes_are_drawn_where_two_are_known(app: Flask, mira: Person) -> None:
    lesion = made(mira)
    for month in (1, 2):
        mira.answered(lesion=lesion, taken_on=f"2026-0{month}-01")
    with app.app_context():
        rows = db.session.scalars(select(Prediction).order_by(Prediction.taken_on)).all()
        rows[0].lesion_share, rows[1].lesion_share = 0.18, 0.31
        db.session.commit()
    page = mira.get(f"/lesions/{lesion}").text
    assert "Size in view" in page
    assert "1 Jan 2026 18%; 1 Feb 2026 31%" in page
    assert "The lesion covered 18% of the earlier picture and covers 31% of this one." in page
