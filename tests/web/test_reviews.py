"""Reviews and second opinions: who may see a shared answer, what they may do with it, and what is kept of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import func, select, update

from derm_core import DatasetError, load_dataset
from tests.web.conftest import Kept, Person
from tests.web.fakes import image_of, picture
from web.database import db
from web.models import AuditEvent, Lesion, Prediction, Review, Share, User
from web.reviewed import count_reviews, export_reviewed

MELANOMA = {"verdict": "confirmed", "diagnosis": "mel", "confirmed_by": "histopathology", "comment": "0.4 mm"}
PARTS = ("", "/photo", "/thumbnail", "/heatmap/mel", "/review")
"""What a clinician may open of an answer that is shared with them."""


def shared(owner: Person, clinician: Person, **fields: str) -> str:
    """An answer of the owner's that the clinician may see; its address."""
    address = f"/answers/{owner.answered(**fields)}"
    assert owner.post(f"{address}/share", {"email": clinician.email}).status_code == 302
    return address


def key_of(address: str) -> str:
    return address.rpartition("/")[2]


def steps(app: Flask) -> list[tuple[str, str, str, str]]:
    with app.app_context():
        rows = db.session.scalars(select(Review).order_by(Review.id))
        return [(row.reviewer_name, row.verdict, row.diagnosis, row.confirmed_by) for row in rows]


def test_a_clinician_sees_what_is_shared_and_nothing_before_or_after(mira: Person, clinician: Person) -> None:
    address = f"/answers/{mira.answered(note='itches')}"
    assert {clinician.get(address + part).status_code for part in PARTS} == {404}
    mira.post(f"{address}/share", {"email": clinician.email})
    assert {clinician.get(address + part).status_code for part in PARTS} == {200}
    assert "itches" in clinician.get(address).text
    assert address in clinician.get("/inbox").text
    mira.post(f"{address}/unshare", {"email": clinician.email})
    assert {clinician.get(address + part).status_code for part in PARTS} == {404}
    assert address not in clinician.get("/inbox").text


def test_whoever_only_sees_an_answer_changes_nothing_of_it(
    mira: Person, clinician: Person, stranger: Person, kept: Kept
) -> None:
    stranger.becomes("clinician")
    address = shared(mira, clinician, note="itches")
    assert clinician.get(f"{address}/delete").status_code == 404
    assert clinician.get(f"{address}/share").status_code == 404
    for action, form in (
        ("delete", {}),
        ("note", {"note": "overwritten"}),
        ("lesion", {"lesion": ""}),
        ("share", {"email": stranger.email}),
        ("unshare", {"email": clinician.email}),
    ):
        assert clinician.post(f"{address}/{action}", form).status_code == 404, action
    assert kept.row(key_of(address)).note == "itches"
    assert address in clinician.get("/inbox").text
    page = clinician.get(address).text
    assert "Save note" not in page
    assert f"{address}/delete" not in page


def test_the_inbox_goes_on_in_pages_and_skips_nothing(app: Flask, mira: Person, clinician: Person) -> None:
    app.config["HISTORY_PAGE_SIZE"] = 2
    addresses = [shared(mira, clinician) for _ in range(5)]
    with app.app_context():  # some in the same moment
        moment = db.session.scalars(select(Share.created_at).order_by(Share.id.desc())).first()
        db.session.execute(update(Share).values(created_at=moment))
        db.session.commit()
    mira.answered()

    def read(page: str) -> list[str]:
        return re.findall(r'row-link" href="([^"]+)"', page)

    pages = [clinician.get("/inbox").text]
    while following := re.findall(r'rel="next" href="([^"]+)"', pages[-1]):
        pages.append(clinician.get(following[0]).text)
    assert [len(read(page)) for page in pages] == [2, 2, 1]
    assert sorted(address for page in pages for address in read(page)) == sorted(addresses)
    before = clinician.get(re.findall(r'rel="prev" href="([^"]+)"', pages[-1])[0]).text
    assert read(before) == read(pages[1])
    assert "5 answers that others shared with you" in before
    assert clinician.get("/inbox?before=nonsense").status_code == 200
    mira.post(f"{read(pages[-1])[0]}/unshare", {"email": clinician.email})
    assert "No more answers here" in clinician.get(re.findall(r'rel="next" href="([^"]+)"', pages[1])[0]).text


def test_a_shared_answer_is_closed_to_another_clinician(
    mira: Person, clinician: Person, stranger: Person
) -> None:
    stranger.becomes("clinician")
    address = shared(mira, clinician)
    assert {stranger.get(address + part).status_code for part in PARTS} == {404}
    assert stranger.post(f"{address}/review", MELANOMA).status_code == 404


def test_who_is_no_clinician_any_more_sees_nothing_shared(mira: Person, clinician: Person) -> None:
    address = shared(mira, clinician)
    clinician.becomes("user")
    assert {clinician.get(address + part).status_code for part in ("", "/photo", "/heatmap/mel")} == {404}


@pytest.mark.parametrize("email", ["nobody@clinic.org", "other@clinic.org", "mira@clinic.org"])
def test_only_another_clinician_can_be_asked(mira: Person, stranger: Person, email: str) -> None:
    response = mira.post(f"/answers/{mira.answered()}/share", {"email": email})
    assert response.status_code == 400
    assert "No other clinician has this address here" in response.text


def test_a_clinician_who_is_disabled_cannot_be_asked(mira: Person, clinician: Person, admin: Person) -> None:
    with mira.app.app_context():
        number = db.session.scalar(select(User.id).where(User.email == clinician.email))
    admin.post(f"/admin/people/{number}/disable")
    assert mira.post(f"/answers/{mira.answered()}/share", {"email": clinician.email}).status_code == 400


def test_addresses_of_clinicians_cannot_be_tried_out(mira: Person) -> None:
    address = f"/answers/{mira.answered()}/share"
    tried = [mira.post(address, {"email": f"guess-{number}@clinic.org"}).status_code for number in range(11)]
    assert tried == [400] * 10 + [429]


def test_sharing_twice_is_sharing_once(mira: Person, clinician: Person, app: Flask) -> None:
    address = shared(mira, clinician)
    assert mira.post(f"{address}/share", {"email": clinician.email}).status_code == 302
    with app.app_context():
        assert db.session.scalar(select(func.count()).select_from(Share)) == 1


def test_a_confirmed_diagnosis_stands_beside_the_answer(mira: Person, clinician: Person, kept: Kept) -> None:
    address = shared(mira, clinician)
    assert clinician.post(f"{address}/review", MELANOMA).status_code == 302
    row = kept.row(key_of(address))
    assert (row.review, row.confirmed) == ("confirmed", "mel")
    page = mira.get(address).text
    for words in ("by histopathology", "0.4 mm", clinician.name):
        assert words in page


def test_every_step_is_kept_and_the_newest_counts(
    mira: Person, clinician: Person, kept: Kept, app: Flask
) -> None:
    address = shared(mira, clinician)
    clinician.post(f"{address}/review", MELANOMA)
    clinician.post(f"{address}/review", MELANOMA | {"diagnosis": "nv", "confirmed_by": "consensus"})
    clinician.post(f"{address}/review", {"verdict": "bad-picture", "diagnosis": "nv", "comment": "blurred"})
    assert (kept.row(key_of(address)).review, kept.row(key_of(address)).confirmed) == ("bad-picture", "")
    clinician.post(f"{address}/review/withdraw")
    assert (kept.row(key_of(address)).review, kept.row(key_of(address)).confirmed) == ("", "")
    name = clinician.name
    assert steps(app) == [
        (name, "confirmed", "mel", "histopathology"),
        (name, "confirmed", "nv", "consensus"),
        (name, "bad-picture", "", ""),
        (name, "withdrawn", "", ""),
    ]
    assert clinician.post(f"{address}/review/withdraw").status_code == 404
    assert mira.get(address).text.count(name) >= 4


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        (MELANOMA | {"diagnosis": ""}, "Choose the diagnosis."),
        (MELANOMA | {"diagnosis": "measles"}, "Choose the diagnosis."),
        (MELANOMA | {"confirmed_by": "guess"}, "Choose how it is known."),
        (MELANOMA | {"verdict": "withdrawn"}, "Review this case"),
        (MELANOMA | {"comment": "x" * 4001}, "Use at most 4000 characters."),
    ],
)
def test_a_review_that_says_too_little_is_refused(
    clinician: Person, app: Flask, form: dict[str, str], sentence: str
) -> None:
    response = clinician.post(f"/answers/{clinician.answered()}/review", form)
    assert response.status_code == 400
    assert sentence in response.text
    assert steps(app) == []


def test_a_user_cannot_review_even_their_own(mira: Person, kept: Kept) -> None:
    key = mira.answered()
    assert mira.post(f"/answers/{key}/review", MELANOMA).status_code == 403
    assert kept.row(key).review == ""


def test_the_log_tells_who_opened_a_shared_answer(mira: Person, clinician: Person, app: Flask) -> None:
    address = shared(mira, clinician)
    clinician.get(address)
    mira.get(address)
    with app.app_context():
        seen = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "answer.seen")).all()
        assert [(event.actor, event.record) for event in seen] == [(clinician.email, key_of(address))]


def test_reviews_stay_when_the_reviewer_leaves(mira: Person, clinician: Person, app: Flask) -> None:
    address = shared(mira, clinician)
    clinician.post(f"{address}/review", MELANOMA)
    clinician.post("/account/delete", {"password": "correct horse battery"})
    assert steps(app) == [(clinician.name, "confirmed", "mel", "histopathology")]
    assert clinician.name in mira.get(address).text


def test_reviewed_cases_become_a_dataset(clinician: Person, app: Flask, tmp_path: Path) -> None:
    sizes = [(160, 120), (200, 150), (120, 160), (100, 100)]
    keys = [clinician.answered(picture(*size), age="61", sex="female", site="back") for size in sizes]
    for key, form in zip(
        keys, (MELANOMA, MELANOMA, MELANOMA | {"diagnosis": "nv"}, {"verdict": "bad-picture"}), strict=True
    ):
        clinician.post(f"/answers/{key}/review", form)
    with app.app_context():
        user = db.session.scalars(select(User)).one()
        lesion = Lesion(user_id=user.id, name="Secret nickname")
        db.session.add(lesion)
        db.session.flush()
        for row in db.session.scalars(select(Prediction).where(Prediction.key.in_(keys[:2]))):
            row.lesion_id = lesion.id
        db.session.commit()
        counts = count_reviews()
        assert (counts.confirmed, counts.bad_pictures, counts.by_diagnosis) == (3, 1, {"mel": 2, "nv": 1})
        export_reviewed(tmp_path / "reviewed")
        lesion_key = lesion.key
    table = load_dataset(tmp_path / "reviewed").table.set_index("image")
    assert sorted(table.index) == sorted(f"{key}.jpg" for key in keys[:3])
    first = table.loc[f"{keys[0]}.jpg"]
    assert (first.diagnosis, first.lesion_id, first.age, first.sex, first.site, first.confirmed_by) == (
        "mel", lesion_key, 61.0, "female", "back", "histo",
    )  # fmt: skip
    assert table.loc[f"{keys[1]}.jpg"].split == first.split
    assert table.loc[f"{keys[2]}.jpg"].lesion_id == keys[2]
    assert image_of((tmp_path / "reviewed" / "images" / f"{keys[0]}.jpg").read_bytes()).size == sizes[0]
    assert "nickname" not in (tmp_path / "reviewed" / "metadata.csv").read_text()


def test_nothing_reviewed_is_one_clear_sentence(app: Flask, tmp_path: Path) -> None:
    with app.app_context(), pytest.raises(DatasetError, match="No case is reviewed yet"):
        export_reviewed(tmp_path / "reviewed")
    assert not (tmp_path / "reviewed").exists()
