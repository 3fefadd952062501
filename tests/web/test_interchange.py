"""Case files on the website: lesions out and in, twice without harm, and nobody else's."""

from __future__ import annotations

import io
from importlib import import_module
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from derm_core import open_case_file
from tests.derm_core.interchange.examples import (
    ANSWER,
    MOMENT,
    case_file,
    entries,
    jpeg,
    lesion,
    packed,
    photograph,
    review,
)
from tests.web.conftest import Kept, Person
from tests.web.fakes import image_of
from web.case_import import BUSY, NOT_A_CLINICIAN, NOT_A_PICTURE, TIME_IS_UP
from web.database import db, now
from web.inference import inference
from web.models import AuditEvent, Lesion, Prediction, Review
from web.turns import Turns


def send(person: Person, content: bytes, name: str = "clinic.dermcases") -> TestResponse:
    return person.post(
        "/interchange/import", {"file": (io.BytesIO(content), name)}, content_type="multipart/form-data"
    )


def rows(app: Flask, model: Any) -> list[Any]:
    with app.app_context():
        return list(db.session.scalars(select(model).order_by(model.id)))


def answered_lesion(person: Person, name: str = "Left forearm") -> tuple[str, str]:
    """A lesion with one answer; returns both keys."""
    key = person.post("/lesions/new", {"name": name}).location.rpartition("/")[2]
    return key, person.answered(lesion=key, note="before the holiday", age="54")


def test_a_case_file_is_taken_in_with_its_answers(mira: Person, app: Flask, kept: Kept) -> None:
    response = send(mira, case_file())
    assert response.status_code == 200
    assert "Added: 1 lesion, 2 photographs." in response.text
    assert NOT_A_CLINICIAN in response.text
    (found,) = rows(app, Lesion)
    assert (found.name, found.site, found.body_view) == ("P-0317, left shoulder", "back", "back")
    assert (found.notes, found.created_at) == ("Watch it.", MOMENT)
    answered, refused = rows(app, Prediction)
    assert (answered.model_sha256, answered.advice, answered.probabilities) == (
        ANSWER.model_sha256,
        "refer",
        dict(ANSWER.probabilities),
    )
    assert (answered.created_at, answered.note, answered.age, answered.context) == (
        MOMENT,
        "Itches.\nSince May.",
        54.0,
        "age",
    )
    assert answered.imported_at is not None
    assert answered.origin == photograph(1).id != answered.key
    assert (answered.plausible, answered.plausible_level) == (["mel", "nv"], 0.9)
    assert (answered.review, refused.advice) == ("", "unsure")
    assert len(kept.files()) == 2 + 3 + 2
    page = mira.get(f"/answers/{answered.key}").text
    assert "Answered elsewhere, and imported on" in page
    told = {one["answer"]: one for one in mira.get("/export/history.json").json["answers"]}
    assert told[answered.key]["imported_at"] == answered.imported_at.isoformat(timespec="seconds")
    assert "At 20% this model finds 95% (95% CI 90–97)" in page
    assert mira.get(f"/answers/{answered.key}/heatmap/mel").status_code == 200
    assert mira.get(f"/answers/{refused.key}").status_code == 200
    assert mira.get(f"/lesions/{found.key}").status_code == 200


def test_the_same_file_adds_nothing_a_second_time(clinician: Person, app: Flask, kept: Kept) -> None:
    first = send(clinician, case_file())
    assert first.status_code == 303
    files = kept.files()
    assert send(clinician, case_file()).status_code == 303
    assert "2 photographs were there already." in clinician.get("/lesions").text
    assert (len(rows(app, Lesion)), len(rows(app, Prediction)), len(rows(app, Review))) == (1, 2, 1)
    assert kept.files() == files
    events = [event for event in rows(app, AuditEvent) if event.action == "lesions.imported"]
    assert [event.detail["answers"] for event in events] == [2, 0]
    assert "P-0317" not in str([event.detail for event in events])


def test_what_a_clinician_takes_in_stands_in_the_clinicians_name(clinician: Person, app: Flask) -> None:
    send(clinician, case_file())
    (step,) = rows(app, Review)
    assert (step.verdict, step.diagnosis, step.confirmed_by) == ("confirmed", "mel", "histopathology")
    assert (step.reviewer_name, step.created_at) == ("Dr Karin Klein", MOMENT)
    assert step.comment == "0.4 mm\nImported; reviewed by Dr Klein on 20 Nov 2026."
    assert rows(app, Prediction)[0].confirmed == "mel"


def test_a_newer_review_is_added_to_what_is_there_and_an_older_one_is_not(
    clinician: Person, app: Flask
) -> None:
    send(clinician, case_file())
    later = MOMENT.replace(day=21)
    for moment, diagnosis in ((later, "nv"), (MOMENT, "bkl")):
        known = review(diagnosis=diagnosis, reviewed_at=moment)
        send(clinician, case_file(lesion(photograph(1, review=known))))
    assert [step.diagnosis for step in rows(app, Review)] == ["mel", "nv"]
    assert rows(app, Prediction)[0].confirmed == "nv"


def test_a_new_photograph_joins_the_lesion_that_is_there(mira: Person, app: Flask) -> None:
    send(mira, case_file(lesion(photograph(1))))
    send(mira, case_file(lesion(photograph(1), photograph(3), name="another name")))
    (found,) = rows(app, Lesion)
    assert found.name == "P-0317, left shoulder"
    assert {row.lesion_id for row in rows(app, Prediction)} == {found.id}
    assert len(rows(app, Prediction)) == 2


def test_what_is_taken_along_comes_back_as_it_was(mira: Person, stranger: Person, app: Flask) -> None:
    lesion_key, answer_key = answered_lesion(mira)
    response = mira.get(f"/lesions/{lesion_key}/file")
    assert response.status_code == 200
    assert response.headers["Content-Disposition"].startswith("attachment; filename=dermatrace-left_forearm-")
    with open_case_file(io.BytesIO(response.data)) as opened:
        (found,) = opened.lesions
        assert (found.id, found.name) == (lesion_key, "Left forearm")
        assert [one.id for one in found.photographs] == [answer_key]
        assert found.photographs[0].measured["measured_on"] == "val split of HAM10000"
    assert send(mira, response.data).status_code == 303
    assert len(rows(app, Prediction)) == 1
    assert send(stranger, response.data).status_code == 303
    mine, theirs = rows(app, Prediction)
    assert (theirs.origin, theirs.note, theirs.probabilities) == (
        mine.key,
        "before the holiday",
        mine.probabilities,
    )
    assert theirs.user_id != mine.user_id
    assert stranger.get(f"/answers/{answer_key}").status_code == 404


def test_only_the_chosen_lesions_go_along_and_none_of_anybody_else(mira: Person, stranger: Person) -> None:
    first, _ = answered_lesion(mira)
    assert "All 1" not in mira.get("/interchange").text
    second, _ = answered_lesion(mira, "Right calf")
    assert "All 2" in mira.get("/interchange").text
    theirs, _ = answered_lesion(stranger)
    chosen = mira.post("/interchange/export", {"keys": [first, theirs]})
    with open_case_file(io.BytesIO(chosen.data)) as opened:
        assert [one.id for one in opened.lesions] == [first]
    everything = mira.post("/interchange/export", {"all": "yes"})
    with open_case_file(io.BytesIO(everything.data)) as opened:
        assert {one.id for one in opened.lesions} == {first, second}
    assert mira.post("/interchange/export", {"keys": [theirs]}).status_code == 404
    assert mira.post("/interchange/export").status_code == 400
    assert theirs not in mira.get("/interchange").text


def test_samples_stay_behind(mira: Person, app: Flask) -> None:
    lesion_key, _ = answered_lesion(mira)
    with app.app_context():
        db.session.execute(update(Prediction).values(is_sample=True))
        db.session.commit()
    with open_case_file(io.BytesIO(mira.get(f"/lesions/{lesion_key}/file").data)) as opened:
        assert opened.photographs == 0


@pytest.mark.parametrize("content", [b"", b"This is a letter.", packed({"manifest.json": b"{}"})])
def test_what_is_no_case_file_is_one_sentence(mira: Person, app: Flask, content: bytes) -> None:
    response = send(mira, content)
    assert response.status_code == 400
    assert "case file" in response.text
    assert rows(app, Lesion) == []
    assert mira.post("/interchange/import").status_code == 400


def test_a_picture_that_cannot_be_read_is_told_and_the_others_are_taken(mira: Person, kept: Kept) -> None:
    content = case_file(
        lesion(
            photograph(1, picture=lambda: b"This is a letter."),
            photograph(2, heatmaps=dict.fromkeys(ANSWER.probabilities, jpeg)),
            photograph(3),
        )
    )
    response = send(mira, content)
    assert "Added: 1 lesion, 1 photograph." in response.text
    assert f"2 not taken: {NOT_A_PICTURE}" in response.text
    assert kept.rows() == 1
    assert len(kept.files()) == 5


def test_a_picture_that_was_exchanged_is_not_taken(mira: Person, kept: Kept) -> None:
    files = entries(case_file(lesion(photograph(1)))) | {"pictures/00001/photo.jpg": jpeg(1)}
    response = send(mira, packed(files))
    assert "1 not taken: A picture is not the one that was exported." in response.text
    assert kept.rows() == 0


def test_a_full_account_takes_nothing_more_in(mira: Person, app: Flask, kept: Kept) -> None:
    app.config["DERM_QUOTA_MB"] = 0.01
    content = case_file(lesion(*(photograph(number) for number in range(1, 9))))
    response = send(mira, content)
    assert "Your pictures take all of the" in response.text
    assert 0 < kept.rows() < 8
    app.config["DERM_QUOTA_MB"] = 0
    assert send(mira, content).status_code == 303
    assert kept.rows() == 8


def test_a_picture_waits_for_its_turn_and_the_rest_is_told(mira: Person, app: Flask, kept: Kept) -> None:
    with app.app_context():
        turns = inference().turns = Turns(1, 0)
    with turns.request():
        response = send(mira, case_file(lesion(photograph(1))))
    assert f"1 not taken: {BUSY}" in response.text
    assert kept.rows() == 0
    assert send(mira, case_file(lesion(photograph(1)))).status_code == 303
    assert kept.rows() == 1


def test_a_file_that_takes_too_long_is_taken_in_by_parts(mira: Person, app: Flask, kept: Kept) -> None:
    app.config["CASE_FILE_SECONDS"] = 0
    response = send(mira, case_file())
    assert "Added: 1 lesion, 1 photograph." in response.text
    assert f"1 not taken: {TIME_IS_UP.format(seconds=0)}" in response.text
    response = send(mira, case_file())
    assert "Added: 1 photograph." in response.text
    assert "1 photograph was there already." in response.text
    assert "seconds that a file is given" not in response.text
    assert len(rows(app, Prediction)) == 2


def test_too_many_photographs_are_refused_before_the_first_is_read(
    mira: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.case_import.MOST_PHOTOGRAPHS", 1)
    response = send(mira, case_file())
    assert response.status_code == 400
    assert "has 2 photographs; wanted: at most 1" in response.text
    assert rows(app, Lesion) == []


def test_a_file_that_is_too_large_is_told_in_words(
    mira: Person, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config["DERM_BATCH_MB"] = 0
    monkeypatch.setattr(import_module("web.interchange"), "_OVERHEAD_BYTES", 1000)
    response = send(mira, bytes(5000))
    assert response.status_code == 413
    assert "Export the lesions in parts." in response.text


def test_what_is_kept_is_a_copy_without_metadata(mira: Person, kept: Kept) -> None:
    buffer = io.BytesIO()
    exif = image_of(jpeg()).getexif()
    exif[0x013B] = "Dr Somebody"
    image_of(jpeg()).save(buffer, "JPEG", exif=exif)
    send(mira, case_file(lesion(photograph(1, picture=buffer.getvalue))))
    photo = next(path for path in kept.files() if path.name == "photo.jpg")
    assert b"Dr Somebody" in buffer.getvalue()
    assert b"Dr Somebody" not in photo.read_bytes()


def test_an_answer_from_the_future_counts_from_now(mira: Person, app: Flask) -> None:
    send(mira, case_file(lesion(photograph(1, answered_at=MOMENT.replace(year=2999)))))
    assert rows(app, Prediction)[0].created_at <= now()
