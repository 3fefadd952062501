"""What a user takes away: tables, JSON, and a zip of everything; nobody else's, and never all of it in memory."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select

from derm_core import NOTICE
from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, REFER, FakePredictor
from tests.web.owned import batch as batch_of
from tests.web.owned import lesion as lesion_of
from tests.web.owned import user_of
from web.answer_table import harmless
from web.answering import store
from web.batch_uploads import waiting_uploads
from web.database import db
from web.models import AuditEvent, BatchItem, Lesion, Prediction, Review
from web.own_answers import OwnAnswers
from web.personal_archive import archive_chunks


def table(content: bytes) -> list[dict[str, str]]:
    text = content.decode("utf-8")
    assert text.startswith("\ufeff")
    return list(csv.DictReader(io.StringIO(text[1:])))


def unpacked(content: bytes) -> zipfile.ZipFile:
    archive = zipfile.ZipFile(io.BytesIO(content))
    assert archive.testzip() is None
    return archive


def test_the_history_is_a_table_with_all_that_an_answer_says(mira: Person, predictor: FakePredictor) -> None:
    first = mira.answered(note="=SUM(A1)\nnew", age="54", sex="male", site="back")
    predictor.quality = (DARK,)
    second = mira.answered()
    response = mira.get("/export/history.csv")
    assert response.headers["Content-Type"] == "text/csv; charset=utf-8"
    assert response.headers["Content-Disposition"].startswith('attachment; filename="dermatrace-history-')
    newest, oldest = table(response.data)
    assert (newest["answer"], oldest["answer"]) == (second, first)
    assert oldest["note"] == "'=SUM(A1)\nnew"
    assert (oldest["age"], oldest["sex"], oldest["site"]) == ("54.0", "male", "back")
    assert (oldest["top"], oldest["diagnosis"], oldest["advice"]) == ("mel", "Melanoma", "refer")
    assert float(oldest["malignant_probability"]) == pytest.approx(0.67)
    assert {code: float(oldest[f"p_{code}"]) for code in REFER} == REFER
    assert (oldest["plausible"], newest["plausible"]) == ("mel nv", "")
    assert oldest["model_sha256"] == "9f3c71e2" * 8
    assert newest["advice"] == "unsure"
    assert newest["quality"] == "too-dark"
    withheld = ["malignant_probability", "top", "diagnosis", *(f"p_{code}" for code in REFER)]
    assert [newest[name] for name in withheld] == [""] * len(withheld)
    assert {row["notice"] for row in (newest, oldest)} == {NOTICE}


def test_the_history_as_json_says_the_same(mira: Person) -> None:
    assert mira.get("/export/history.json").json == {"notice": NOTICE, "answers": []}
    key = mira.answered(note="Ağrı")
    document = mira.get("/export/history.json").json
    (answer,) = document["answers"]
    assert (answer["answer"], answer["note"], answer["probabilities"]) == (key, "Ağrı", REFER)
    assert answer["model"] == {"name": "fake-network", "version": "3", "sha256": "9f3c71e2" * 8}
    assert answer["taken_on"] is None


def test_the_address_of_the_history_chooses_what_is_exported(mira: Person) -> None:
    mira.answered(note="left knee")
    mira.answered(note="right knee")
    assert [row["note"] for row in table(mira.get("/export/history.csv?text=left").data)] == ["left knee"]
    assert table(mira.get("/export/history.csv?advice=routine").data) == []
    assert len(table(mira.get("/export/history.csv?since=2020-01-01").data)) == 2
    assert table(mira.get("/export/history.csv?until=2020-01-01").data) == []


def test_answers_that_were_chosen_are_exported_and_no_others(mira: Person, stranger: Person) -> None:
    one, _, three = mira.answered(), mira.answered(), mira.answered()
    theirs = stranger.answered(note="theirs")
    chosen = {"keys": [one, three, theirs, "0" * 32, "../../etc"]}
    assert {row["answer"] for row in table(mira.post("/export/selected", chosen).data)} == {one, three}
    as_json = mira.post("/export/selected", {**chosen, "format": "json"}).json
    assert [answer["answer"] for answer in as_json["answers"]] == [three, one]


@pytest.mark.parametrize("keys", [[], ["0" * 32], ["nothing"]])
def test_a_choice_of_nothing_is_not_found(mira: Person, stranger: Person, keys: list[str]) -> None:
    keys = [*keys, stranger.answered()] if keys else keys
    assert mira.post("/export/selected", {"keys": keys}).status_code == 404


def test_everything_that_is_owned_is_in_the_zip(mira: Person, stranger: Person, kept: Kept) -> None:
    stranger.answered(note="theirs")
    key = mira.answered(note="mine")
    lesion_of(mira)
    batch_of(mira)
    with mira.app.app_context():
        row = db.session.scalars(select(Prediction).where(Prediction.key == key)).one()
        row.lesion_id = db.session.scalars(select(Lesion.id)).one()
        said = {"verdict": "confirmed", "diagnosis": "mel", "confirmed_by": "consensus"}
        db.session.add(Review(prediction_id=row.id, reviewer_name="Dr Olu", **said))
        upload = db.session.scalars(select(BatchItem.upload_key)).one()
        waiting_uploads().save(upload, [b"waits"])
        db.session.commit()
    archive = unpacked(mira.get("/export/everything.zip").data)
    day = f"{kept.row(key).created_at:%Y-%m-%d}"
    pictures = {"photo.jpg", *(f"heatmap-{code}.png" for code in REFER)}
    assert set(archive.namelist()) == {
        "README.txt", "account.json", "answers.csv", "answers.json", "lesions.json", "reviews.json", "shares.json",
        "batches.json", f"waiting/{upload}", *(f"pictures/{day}-{key}/{name}" for name in pictures),
    }  # fmt: skip
    assert archive.read(f"pictures/{day}-{key}/photo.jpg") == kept.file(key, "photo.jpg").read_bytes()
    assert archive.read(f"waiting/{upload}") == b"waits"
    documents: dict[str, Any] = {
        name: json.loads(archive.read(name)) for name in archive.namelist() if name.endswith(".json")
    }
    assert documents["account.json"]["email"] == mira.email
    assert documents["answers.json"]["answers"][0]["lesion"] == "Left forearm"
    assert [row["name"] for row in documents["lesions.json"]] == ["Left forearm"]
    assert [(row["answer"], row["by"]) for row in documents["reviews.json"]] == [(key, "Dr Olu")]
    assert [(row["batch_name"], row["file"]) for row in documents["batches.json"]] == [
        ("Morning clinic", "IMG_0001.jpg")
    ]
    assert [row["note"] for row in table(archive.read("answers.csv"))] == ["mine"]
    assert NOTICE in archive.read("README.txt").decode()
    everything = b"".join(archive.read(name) for name in archive.namelist())
    for secret in (b"argon2", b"digest", b"session_key", b"theirs"):
        assert secret not in everything


def test_a_zip_of_a_new_account_holds_its_empty_lists(mira: Person) -> None:
    archive = unpacked(mira.get("/export/everything.zip").data)
    assert json.loads(archive.read("lesions.json")) == []
    assert table(archive.read("answers.csv")) == []
    with mira.app.app_context():
        assert db.session.scalar(select(AuditEvent.actor).where(AuditEvent.action == "account.exported"))


def test_the_zip_is_sent_piece_by_piece(mira: Person, app: Flask) -> None:
    key = mira.answered()
    size = 20_000_000
    with app.app_context():
        photo = store().path(key, "photo.jpg")
        with photo.open("wb") as file:
            file.truncate(size)
        pieces = [len(piece) for piece in archive_chunks(user_of(mira).id)]
    assert sum(pieces) > size
    assert max(pieces) < 1_000_000


def test_an_answer_that_is_deleted_while_the_zip_is_sent_is_left_out(mira: Person, app: Flask) -> None:
    first, second = mira.answered(), mira.answered()
    with app.app_context():
        answers = OwnAnswers(user_of(mira).id)
        assert len(answers) == 2
        pieces = archive_chunks(user_of(mira).id)
        content = next(pieces)
        mira.post(f"/answers/{first}/delete")
        names = unpacked(content + b"".join(pieces)).namelist()
    folders = {name.split("/")[1].rpartition("-")[2] for name in names if name.startswith("pictures/")}
    assert folders == {second}
    with app.app_context():
        assert [row.key for row in answers] == [second]


def test_the_page_says_what_there_is_to_take_away(mira: Person) -> None:
    assert "There is no answer yet" in mira.get("/export").text
    mira.answered()
    page = mira.get("/export").text
    assert "1 answer" in page
    assert "/export/everything.zip" in page
    assert "/export" in mira.get("/account").text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-", "'-"),
        ("@x", "'@x"),
        ("a=1", "a=1"),
        (-0.5, -0.5),
        (None, ""),
    ],
)
def test_no_cell_is_taken_for_a_formula(written: object, read: object) -> None:
    assert harmless(written) == read
