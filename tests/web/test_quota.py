"""How much room an account has, what is said where it is full, and what goes when the account goes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import func, select

from derm_core import ConfigError
from tests.web.conftest import PASSWORD, Kept, Person
from tests.web.fakes import FakePredictor, picture
from tests.web.owned import OWNED, user_of
from web.answering import answer_photograph
from web.batch_uploads import waiting_uploads
from web.batch_worker import answer_next
from web.database import db
from web.holdings import Holdings, holdings_of
from web.models import ApiToken, AuditEvent, Batch, BatchItem, Lesion, Prediction, User
from web.quota import bytes_kept, megabytes_text

LARGE = {"width": 1600, "height": 1200, "quality": 95}


@pytest.fixture
def full(make_app: Callable[..., Flask]) -> Person:
    """Somebody on a server where an account has room for one megabyte, most of it taken."""
    person = Person(make_app(DERM_QUOTA_MB="1"))
    assert person.register().status_code == 302
    key = person.answered()
    with person.app.app_context():
        row = db.session.scalars(select(Prediction).where(Prediction.key == key)).one()
        row.bytes = 999_000
        db.session.commit()
    return person


def test_what_the_files_of_an_answer_take_is_kept_with_it(mira: Person, kept: Kept) -> None:
    key = mira.answered()
    assert kept.row(key).bytes == sum(path.stat().st_size for path in kept.files()) > 0
    with mira.app.app_context():
        assert bytes_kept(user_of(mira)) == kept.row(key).bytes


def test_a_picture_without_room_is_refused_with_what_to_do(
    full: Person, kept: Kept, predictor: FakePredictor
) -> None:
    before = kept.files()
    response = full.upload(picture(**LARGE), note="still here")
    assert response.status_code == 400
    assert "all of the 1.0 MB" in response.text
    assert "Delete answers that you no longer need" in response.text
    assert "still here" in response.text
    assert kept.rows() == 1
    assert kept.files() == before


def test_an_account_that_is_full_does_not_ask_the_model(full: Person, predictor: FakePredictor) -> None:
    with full.app.app_context():
        db.session.scalars(select(Prediction)).one().bytes = 1_000_000
        db.session.commit()
    asked = len(predictor.seen)
    assert full.upload().status_code == 400
    assert full.post("/new/sample").status_code == 403
    assert len(predictor.seen) == asked


def test_deleting_an_answer_makes_room(full: Person, kept: Kept) -> None:
    with full.app.app_context():
        key = db.session.scalars(select(Prediction.key)).one()
    full.post(f"/answers/{key}/delete")
    assert full.upload(picture(**LARGE)).status_code == 303


def test_a_file_of_a_batch_without_room_is_a_row_with_its_reason(full: Person) -> None:
    OWNED["batch"](full)
    with full.app.app_context():
        item = db.session.scalars(select(BatchItem)).one()
        waiting_uploads().save(item.upload_key, [picture(**LARGE)])
    assert answer_next(full.app)
    with full.app.app_context():
        item = db.session.scalars(select(BatchItem)).one()
        assert (item.state, item.prediction_id) == ("failed", None)
        assert "all of the 1.0 MB" in item.error


def test_without_a_limit_there_is_always_room(make_app: Callable[..., Flask]) -> None:
    person = Person(make_app(DERM_QUOTA_MB=0))
    person.register()
    with person.app.app_context():
        answer_photograph(user_of(person), picture()).bytes = 10**12
        db.session.commit()
    assert person.upload().status_code == 303
    assert "Room taken" in person.get("/account").text


def test_a_limit_that_is_no_number_is_refused(make_app: Callable[..., Flask]) -> None:
    with pytest.raises(ConfigError, match="DERM_QUOTA_MB is 'much'"):
        make_app(DERM_QUOTA_MB="much")


def test_the_account_says_what_it_holds_and_how_much_room_it_takes(full: Person) -> None:
    page = full.get("/account").text
    assert "1 answer" in page
    assert "1.0 MB of 1.0 MB" in page


def test_deleting_an_account_removes_everything_and_says_what(
    mira: Person, stranger: Person, kept: Kept
) -> None:
    theirs = stranger.answered()
    mira.answered(note="mine")
    mira.answered()
    for name in ("lesion", "batch"):
        OWNED[name](mira)
    with mira.app.app_context():
        waiting_uploads().save(db.session.scalars(select(BatchItem.upload_key)).one(), [b"waits"])
    asks = mira.get("/account/delete").text
    for words in ("2 answers, with pictures", "1 lesion", "1 batch"):
        assert words in asks
    done = mira.post("/account/delete", {"password": PASSWORD}, follow_redirects=True)
    assert "Your account is deleted, with 2 answers, 1 lesion and 1 batch, and their pictures" in done.text
    assert mira.login().status_code == 400
    with mira.app.app_context():
        counts = {
            model.__tablename__: db.session.scalar(select(func.count()).select_from(model))
            for model in (User, Prediction, Lesion, Batch, BatchItem, ApiToken)
        }
        assert counts == {
            "users": 1, "predictions": 1, "lesions": 0, "batches": 0, "batch_items": 0, "api_tokens": 0
        }  # fmt: skip
        assert waiting_uploads().keys() == []
        (event,) = db.session.scalars(select(AuditEvent).where(AuditEvent.action == "account.deleted"))
        assert event.detail == {"answers": 2}
    assert {path.parent.name for path in kept.files()} == {theirs}


def test_an_empty_account_is_deleted_without_a_list(mira: Person) -> None:
    done = mira.post("/account/delete", {"password": PASSWORD}, follow_redirects=True)
    assert "Your account is deleted." in done.text


def test_holdings_are_counted_for_their_owner_alone(mira: Person, stranger: Person) -> None:
    stranger.answered()
    with mira.app.app_context():
        assert holdings_of(user_of(mira)) == Holdings(0, 0, 0, 0, 0, 0)
        assert holdings_of(user_of(stranger)).text == "1 answer"


def test_holdings_are_written_as_a_list() -> None:
    assert Holdings(1200, 1, 2, 3, 0, 0).text == "1,200 answers, 1 lesion, 2 batches and 3 API tokens"
    assert Holdings(0, 0, 0, 0, 0, 0).text == ""


@pytest.mark.parametrize(
    ("size", "written"), [(0, "0 MB"), (400_000, "0.4 MB"), (84e6, "84 MB"), (12.4e9, "12,400 MB")]
)
def test_sizes_are_written_in_megabytes(size: int, written: str) -> None:
    assert megabytes_text(size) == written
