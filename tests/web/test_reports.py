"""Reports of answers and lesions, as they leave the website."""

from __future__ import annotations

import io
import re

from pypdf import PdfReader
from sqlalchemy import select

from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, ROUTINE, FakePredictor
from tests.web.owned import lesion as lesion_of
from web.answering import store
from web.database import db
from web.models import AuditEvent, Lesion, Prediction, Review, Share, User


def pages(pdf: bytes) -> list[str]:
    return [re.sub(r"\s+", " ", page.extract_text()) for page in PdfReader(io.BytesIO(pdf)).pages]


def move_to_lesion(person: Person, key: str, *, lesion: str) -> None:
    with person.app.app_context():
        row = db.session.scalars(select(Prediction).where(Prediction.key == key)).one()
        row.lesion_id = db.session.scalars(select(Lesion.id).where(Lesion.key == lesion)).one()
        db.session.commit()


def test_the_report_of_an_answer_says_what_its_page_says(mira: Person) -> None:
    key = mira.answered(note="Growth since spring.", age="54", sex="male", site="back")
    response = mira.get(f"/answers/{key}/report.pdf")
    assert response.status_code == 200
    assert response.mimetype == "application/pdf"
    assert re.fullmatch(
        r'attachment; filename="dermatrace-answer-20\d\d-\d\d-\d\d\.pdf"',
        response.headers["Content-Disposition"],
    )
    (page,) = pages(response.data)
    for words in (
        "Refer to a dermatologist", "What speaks for Melanoma", "54 years, male, back", "Growth since spring.",
        "Dr Mira Aydin", "fake-network, version 3", "9f3c71e2" * 8, "Measured on 1,119 lesions", key,
        "Cannot be ruled out: melanoma, melanocytic naevus. Of lesions of each diagnosis, 95% had theirs",
    ):  # fmt: skip
        assert words in page, words


def test_the_same_answer_gives_the_same_file(mira: Person) -> None:
    key = mira.answered()
    assert mira.get(f"/answers/{key}/report.pdf").data == mira.get(f"/answers/{key}/report.pdf").data


def test_a_picture_without_an_answer_has_a_report_without_figures(
    mira: Person, predictor: FakePredictor
) -> None:
    predictor.quality = (DARK,)
    (page,) = pages(mira.get(f"/answers/{mira.answered()}/report.pdf").data)
    assert "No answer for this picture" in page
    assert DARK.reason in page
    assert "%" not in page


def test_what_was_confirmed_stands_in_the_report(mira: Person, kept: Kept) -> None:
    key = mira.answered()
    with mira.app.app_context():
        row = db.session.scalars(select(Prediction).where(Prediction.key == key)).one()
        row.review, row.confirmed = "confirmed", "bcc"
        said = {
            "prediction_id": row.id,
            "reviewer_name": "Dr Olu",
            "verdict": "confirmed",
            "diagnosis": "bcc",
        }
        db.session.add(Review(**said, confirmed_by="histopathology"))
        db.session.commit()
    (page,) = pages(mira.get(f"/answers/{key}/report.pdf").data)
    assert "Basal cell carcinoma, by histopathology" in page


def test_the_report_of_a_lesion_has_its_visits(mira: Person, predictor: FakePredictor) -> None:
    lesion = lesion_of(mira)
    predictor.probabilities = ROUTINE
    move_to_lesion(mira, mira.answered(note="First."), lesion=lesion)
    predictor.probabilities = {**ROUTINE, "mel": 0.8, "nv": 0.113}
    move_to_lesion(mira, mira.answered(note="Second."), lesion=lesion)
    response = mira.get(f"/lesions/{lesion}/report.pdf")
    first, second = pages(response.data)
    assert "Left forearm" in first
    assert "Second." in first
    assert second.partition("Visits")[2].count("fake-network, version 3") >= 2
    assert "left-forearm" in response.headers["Content-Disposition"]


def test_a_lesion_without_a_photograph_has_nothing_to_report(mira: Person) -> None:
    response = mira.get(f"/lesions/{lesion_of(mira)}/report.pdf")
    assert response.status_code == 302


def test_a_clinician_prints_what_was_shared_and_the_log_tells(mira: Person, stranger: Person) -> None:
    key = mira.answered()
    move_to_lesion(mira, key, lesion=lesion_of(mira))
    assert "Left forearm" in pages(mira.get(f"/answers/{key}/report.pdf").data)[0]
    stranger.becomes("clinician")
    assert stranger.get(f"/answers/{key}/report.pdf").status_code == 404
    with mira.app.app_context():
        row = db.session.scalars(select(Prediction.id).where(Prediction.key == key)).one()
        clinician = db.session.scalars(select(User.id).where(User.email == stranger.email)).one()
        db.session.add(Share(prediction_id=row, clinician_id=clinician))
        db.session.commit()
    printed = stranger.get(f"/answers/{key}/report.pdf")
    assert printed.status_code == 200
    assert "Left forearm" not in pages(printed.data)[0]
    with mira.app.app_context():
        seen = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "answer.seen")).all()
        assert [event.record for event in seen] == [key]


def test_a_report_whose_photograph_is_gone_is_not_found(mira: Person) -> None:
    key = mira.answered()
    with mira.app.app_context():
        store().delete(key)
    assert mira.get(f"/answers/{key}/report.pdf").status_code == 404
