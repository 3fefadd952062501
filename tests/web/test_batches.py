"""Batches: what is sent, how it is answered, its table, and its end."""

from __future__ import annotations

import csv
import io
import re
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import select, update
from werkzeug.test import TestResponse

from derm_core import NOTICE
from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, ROUTINE, FakePredictor, picture
from web.batch_uploads import sweep_uploads, waiting_uploads
from web.batch_worker import answer_next
from web.database import db, now
from web.models import Batch, BatchItem


def zipped(files: dict[str, bytes], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression=zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def send(person: Person, files: dict[str, bytes], *, name: str = "", field: str = "files") -> TestResponse:
    parts = [(io.BytesIO(content), path) for path, content in files.items()]
    response = person.post("/batches", {"name": name, field: parts}, content_type="multipart/form-data")
    response.request.environ["wsgi.input"].close()  # a file, where it is large
    return response


def sent(person: Person, files: dict[str, bytes], **options: str) -> str:
    """Sends a batch, and returns its key."""
    response = send(person, files, **options)
    assert response.status_code == 303, response.text
    return response.location.rpartition("/")[2]


def answer_all(app: Flask) -> int:
    """Does the worker's work, and returns how many files that were."""
    count = 0
    while answer_next(app):
        count += 1
    return count


def items(app: Flask, key: str) -> list[BatchItem]:
    with app.app_context():
        query = select(BatchItem).join(Batch, Batch.id == BatchItem.batch_id).where(Batch.key == key)
        return list(db.session.scalars(query.order_by(BatchItem.position)))


def uploads(app: Flask) -> list[Path]:
    with app.app_context():
        return sorted(waiting_uploads().root.iterdir())


def told(response: TestResponse) -> str:
    found = re.search(r'class="problem-text">([^<]*)<', response.text)
    assert found, response.text
    return found[1].replace("&#39;", "'")


def table(response: TestResponse) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(response.data.decode("utf-8-sig"))))


def shown(response: TestResponse) -> list[str]:
    """The files of a page's table, in order."""
    return re.findall(r'<span class="id">([^<]+)</span>', response.text)


def test_a_folder_is_on_the_disk_before_it_is_acknowledged_and_answered_afterwards(
    app: Flask, mira: Person, kept: Kept
) -> None:
    key = sent(
        mira, {"screening/b.jpg": picture(), "screening/a.jpg": picture(), "screening/.DS_Store": b"x"}
    )
    waiting = items(app, key)
    assert [(item.name, item.state) for item in waiting] == [("b.jpg", "waiting"), ("a.jpg", "waiting")]
    assert {path.name for path in uploads(app)} == {item.upload_key for item in waiting}
    page = mira.get(f"/batches/{key}")
    assert "screening" in page.text
    assert '<noscript><meta http-equiv="refresh"' in page.text
    assert mira.get(f"/batches/{key}/progress").json == {
        "total": 2,
        "done": 0,
        "waiting": 2,
        "state": "running",
        "standing": "",
        "refer": 0,
        "routine": 0,
        "unsure": 0,
        "failed": 0,
    }

    assert answer_all(app) == 2
    assert uploads(app) == []
    assert kept.rows() == 2
    assert [item.state for item in items(app, key)] == ["done", "done"]
    known = mira.get(f"/batches/{key}/progress").json
    assert (known["done"], known["refer"], known["waiting"]) == (2, 2, 0)
    page = mira.get(f"/batches/{key}")
    assert "All 2 files are done" in page.text
    assert 'http-equiv="refresh"' not in page.text
    assert NOTICE.replace("'", "&#39;") in page.text


def test_a_bad_file_is_a_row_with_its_reason_and_the_rest_are_answered(app: Flask, mira: Person) -> None:
    key = sent(
        mira,
        {
            "notes.docx": zipped({"word.xml": b"x"}),
            "empty.jpg": b"",
            "cut.jpg": picture()[:900],
            "ok.jpg": picture(),
        },
    )
    assert answer_all(app) == 3
    found = {item.name: (item.state, item.error) for item in items(app, key)}
    assert found["ok.jpg"] == ("done", "")
    assert found["empty.jpg"] == ("failed", "This file is empty. Copy it again from the camera.")
    assert found["notes.docx"][0] == found["cut.jpg"][0] == "failed"
    assert found["notes.docx"][1].endswith(".")
    page = mira.get(f"/batches/{key}").text
    assert "3 files could not be read.</b> The rest are unaffected." in page
    assert found["empty.jpg"][1] in page
    assert uploads(app) == []


def test_where_no_file_can_be_read_no_rest_is_spoken_of(mira: Person) -> None:
    page = mira.get(f"/batches/{sent(mira, {'empty.jpg': b''})}").text
    assert "1 file could not be read." in page
    assert "unaffected" not in page


def test_a_zip_is_opened_and_its_folders_are_no_rows(app: Flask, mira: Person) -> None:
    content = zipped({"clinic/": b"", "clinic/one.jpg": picture(), "clinic/two.png": picture(form="PNG")})
    key = sent(mira, {"Monday.zip": content})
    assert [item.name for item in items(app, key)] == ["one.jpg", "two.png"]
    assert answer_all(app) == 2
    assert "clinic" in mira.get("/batches").text


def test_names_that_lead_elsewhere_reach_the_table_alone(app: Flask, mira: Person, tmp_path: Path) -> None:
    key = sent(
        mira,
        {"w.zip": zipped({"../../evil.jpg": picture(), "/etc/x.jpg": picture(), "C:\\a\\b.jpg": picture()})},
    )
    assert [item.name for item in items(app, key)] == ["evil.jpg", "etc/x.jpg", "C:/a/b.jpg"]
    assert all(re.fullmatch("[0-9a-f]{32}", path.name) for path in uploads(app))
    assert list(tmp_path.rglob("*evil*")) == []


def test_more_files_than_a_batch_takes_are_refused_in_a_sentence_and_leave_nothing(
    make_app: Any, predictor: FakePredictor
) -> None:
    app = make_app(BATCH_FILES=3)
    mira = Person(app)
    mira.register()
    response = send(mira, {f"{number}.jpg": b"x" for number in range(4)})
    assert response.status_code == 400
    assert told(response) == "These are 4 files; a batch takes 3 at most. Send them in parts."
    response = send(mira, {"many.zip": zipped({f"{number}.jpg": b"x" for number in range(4)})})
    assert response.status_code == 400
    response = send(mira, {f"{number}.jpg": b"x" for number in range(9)})
    assert response.status_code == 413
    assert "more than a batch takes" in told(response)
    assert uploads(app) == []


def test_more_bytes_than_a_batch_takes_are_refused_and_leave_nothing(make_app: Any) -> None:
    app = make_app(DERM_BATCH_MB=1)
    mira = Person(app)
    mira.register()
    response = send(mira, {"a.jpg": b"x" * 600_000, "b.jpg": b"x" * 600_000})
    assert (response.status_code, told(response)) == (
        400,
        "Together these files have more than 1 MB. Send them in parts.",
    )
    response = send(mira, {"a.jpg": b"x" * 3_000_000})
    assert response.status_code == 413
    response = send(mira, {"bomb.zip": zipped({"zeros.jpg": bytes(5_000_000)})})
    assert response.status_code == 400
    assert uploads(app) == []


def test_only_batches_may_be_that_large(make_app: Any) -> None:
    app = make_app(MAX_CONTENT_LENGTH=100_000)
    mira, visitor = Person(app), Person(app)
    mira.register()
    assert mira.upload(b"x" * 200_000).status_code == 413
    assert send(visitor, {"a.jpg": b"x" * 200_000}).location.startswith("/login")
    key = sent(mira, {"a.jpg": b"x" * 90_000, "b.jpg": b"x" * 90_000, "large.jpg": b"x" * 200_000})
    assert [item.state for item in items(app, key)] == ["waiting", "waiting", "failed"]


def test_nothing_chosen_is_a_sentence(mira: Person) -> None:
    response = send(mira, {})
    assert response.status_code == 400
    assert "no file has arrived" in told(response)


def test_a_user_has_a_few_batches_at_work_at_most(app: Flask, mira: Person, stranger: Person) -> None:
    for _ in range(3):
        sent(mira, {"a.jpg": picture()})
    assert "3 of your batches are not done yet" in told(send(mira, {"a.jpg": picture()}))
    sent(stranger, {"a.jpg": picture()})
    answer_all(app)
    sent(mira, {"a.jpg": picture()})


@pytest.fixture
def mixed(app: Flask, mira: Person, predictor: FakePredictor) -> str:
    """A batch with every kind of row, answered but for the last file."""
    key = sent(
        mira,
        {
            "refer.jpg": picture(),
            "routine.jpg": picture(),
            "dark.jpg": picture(),
            "bad.jpg": b"no picture",
            "zz.jpg": picture(),
        },
    )
    for probabilities, quality in ((None, ()), (ROUTINE, ()), (None, (DARK,)), (None, ())):
        if probabilities:
            predictor.probabilities = dict(probabilities)
        predictor.quality = quality
        answer_next(app)
    return key


def test_the_table_sorts_by_links_and_what_has_no_figure_stands_last(mira: Person, mixed: str) -> None:
    def order(query: str) -> list[str]:
        return [name.removesuffix(".jpg") for name in shown(mira.get(f"/batches/{mixed}{query}"))]

    assert order("") == ["refer", "routine", "dark", "bad", "zz"]
    assert order("?sort=file") == ["bad", "dark", "refer", "routine", "zz"]
    assert order("?sort=file&order=descending") == ["zz", "routine", "refer", "dark", "bad"]
    assert order("?sort=risk&order=descending") == ["refer", "routine", "dark", "bad", "zz"]
    assert order("?sort=risk") == ["routine", "refer", "dark", "bad", "zz"]
    assert order("?sort=advice") == ["refer", "routine", "dark", "bad", "zz"]
    assert order("?sort=diagnosis")[2:] == ["dark", "bad", "zz"]
    assert order("?show=failed") == ["bad"]
    assert order("?show=unsure") == ["dark"]
    assert order("?sort=nonsense&order=up&show=all") == order("")
    assert 'aria-sort="descending"' in mira.get(f"/batches/{mixed}?sort=risk&order=descending").text


def test_the_csv_has_a_row_a_file_and_no_figure_where_there_is_no_answer(mira: Person, mixed: str) -> None:
    response = mira.get(f"/batches/{mixed}/table.csv")
    assert response.headers["Content-Disposition"].startswith('attachment; filename="batch-')
    rows = {row["file"]: row for row in table(response)}
    assert list(rows) == ["refer.jpg", "routine.jpg", "dark.jpg", "bad.jpg", "zz.jpg"]
    assert (rows["refer.jpg"]["advice"], rows["refer.jpg"]["top"], rows["refer.jpg"]["p_mel"]) == (
        "refer",
        "mel",
        "0.62",
    )
    assert float(rows["refer.jpg"]["malignant_probability"]) == pytest.approx(0.67)
    dark = rows["dark.jpg"]
    assert (dark["advice"], dark["quality"]) == ("unsure", "too-dark")
    assert (dark["top"], dark["malignant_probability"], dark["p_mel"]) == ("", "", "")
    assert rows["bad.jpg"]["state"] == "failed"
    assert rows["bad.jpg"]["error"]
    assert rows["zz.jpg"]["state"] == "waiting"
    assert {row["notice"] for row in rows.values()} == {NOTICE}


def test_a_name_is_no_formula_in_a_spreadsheet(app: Flask, mira: Person) -> None:
    key = sent(mira, {"=1+1.jpg": picture()})
    assert table(mira.get(f"/batches/{key}/table.csv"))[0]["file"] == "'=1+1.jpg"


def test_cancelling_keeps_what_is_answered_and_reads_no_more(app: Flask, mira: Person, kept: Kept) -> None:
    key = sent(mira, {"a.jpg": picture(), "b.jpg": picture()})
    answer_next(app)
    assert mira.post(f"/batches/{key}/cancel").status_code == 303
    assert [item.state for item in items(app, key)] == ["done", "failed"]
    assert (answer_all(app), uploads(app), kept.rows()) == (0, [], 1)
    page = mira.get(f"/batches/{key}").text
    assert "Cancelled" in page
    assert "Not read: the batch was cancelled." in page


def test_a_paused_batch_waits_also_after_a_restart_until_it_is_continued(
    make_app: Any, app: Flask, mira: Person, kept: Kept
) -> None:
    key = sent(mira, {"a.jpg": picture(), "b.jpg": picture(), "c.jpg": picture()})
    answer_next(app)
    assert mira.post(f"/batches/{key}/pause").status_code == 303
    page = mira.get(f"/batches/{key}").text
    assert "Paused: no further file is begun." in page
    assert 'http-equiv="refresh"' not in page
    assert f'action="/batches/{key}/continue"' in page
    assert mira.get(f"/batches/{key}/progress").json["state"] == "paused"
    assert "Paused at 1 of 3" in mira.get("/batches").text
    assert answer_all(app) == answer_all(make_app()) == 0
    assert [item.state for item in items(app, key)] == ["done", "waiting", "waiting"]

    assert mira.post(f"/batches/{key}/continue").status_code == 303
    assert mira.get(f"/batches/{key}/progress").json["state"] == "running"
    assert (answer_all(app), kept.rows(), uploads(app)) == (2, 3, [])
    assert "All 3 files are done" in mira.get(f"/batches/{key}").text


def test_others_are_answered_beside_a_paused_batch(app: Flask, mira: Person, stranger: Person) -> None:
    paused = sent(mira, {f"{number}.jpg": picture(32, 32) for number in range(10)})
    mira.post(f"/batches/{paused}/pause")
    other, own = sent(stranger, {"a.jpg": picture()}), sent(mira, {"b.jpg": picture()})
    assert answer_all(app) == 2
    assert [item.state for key in (other, own) for item in items(app, key)] == ["done", "done"]


def test_a_paused_batch_is_cancelled_like_any_other(app: Flask, mira: Person) -> None:
    key = sent(mira, {"a.jpg": picture()})
    mira.post(f"/batches/{key}/pause")
    mira.post(f"/batches/{key}/cancel")
    assert "Cancelled" in mira.get(f"/batches/{key}").text
    mira.post(f"/batches/{key}/continue")
    assert (answer_all(app), uploads(app)) == (0, [])
    assert mira.get(f"/batches/{key}/progress").json["state"] == "cancelled"


def test_a_batch_that_is_done_is_not_paused(app: Flask, mira: Person) -> None:
    key = sent(mira, {"a.jpg": picture()})
    answer_all(app)
    mira.post(f"/batches/{key}/pause")
    assert mira.get(f"/batches/{key}/progress").json["state"] == "finished"


def test_how_long_a_batch_will_take_leaves_its_pause_out(app: Flask, mira: Person) -> None:
    key = sent(mira, {f"{number}.jpg": picture(32, 32) for number in range(8)})
    for _ in range(3):
        answer_next(app)
    mira.post(f"/batches/{key}/pause")
    with app.app_context():  # as if it had been paused for an hour
        early = now() - timedelta(hours=1)
        db.session.execute(update(BatchItem).where(BatchItem.state == "done").values(claimed_at=early))
        db.session.commit()
    mira.post(f"/batches/{key}/continue")
    assert mira.get(f"/batches/{key}/progress").json["standing"] == ""
    for _ in range(3):
        answer_next(app)
    standing = mira.get(f"/batches/{key}/progress").json["standing"]
    assert "minutes" not in standing
    assert standing


def test_the_list_of_batches_goes_on_in_pages(app: Flask, mira: Person, stranger: Person) -> None:
    app.config["HISTORY_PAGE_SIZE"] = 2
    keys = [sent(mira, {"a.jpg": b""}, name=f"Batch {number}") for number in range(3)]
    sent(stranger, {"a.jpg": b""}, name="Not hers")

    def listed(page: str) -> list[str]:
        return re.findall(r'href="/batches/(\w+)"', page)

    first = mira.get("/batches").text
    assert listed(first) == keys[:0:-1]
    second = mira.get(re.findall(r'rel="next" href="([^"]+)"', first)[0]).text
    assert listed(second) == keys[:1]
    back = mira.get(re.findall(r'rel="prev" href="([^"]+)"', second)[0]).text
    assert listed(back) == keys[:0:-1]


@pytest.mark.parametrize(("answers", "left"), [("keep", 1), ("delete", 0)])
def test_deleting_asks_what_becomes_of_the_answers(
    app: Flask, mira: Person, kept: Kept, answers: str, left: int
) -> None:
    key = sent(mira, {"a.jpg": picture(), "b.jpg": picture()})
    answer_next(app)
    assert "What becomes of its answers" in mira.get(f"/batches/{key}/delete").text
    assert mira.post(f"/batches/{key}/delete").status_code == 400
    assert mira.post(f"/batches/{key}/delete", {"answers": answers}).status_code == 303
    assert mira.get(f"/batches/{key}").status_code == 404
    assert (kept.rows(), bool(kept.files()), uploads(app)) == (left, bool(left), [])


def test_an_answer_that_is_deleted_leaves_its_row(app: Flask, mira: Person) -> None:
    key = sent(mira, {"a.jpg": picture()})
    answer_all(app)
    answer = mira.get(f"/batches/{key}").text.partition("/answers/")[2][:32]
    mira.post(f"/answers/{answer}/delete")
    assert "This answer was deleted." in mira.get(f"/batches/{key}").text
    assert table(mira.get(f"/batches/{key}/table.csv"))[0]["state"] == "removed"


def test_what_cannot_be_committed_leaves_no_upload(
    app: Flask, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    token = mira.token()

    def fail(*_: object) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr("web.batch_uploads.db.session.commit", fail)
    data = {"csrf_token": token, "files": (io.BytesIO(picture()), "a.jpg")}
    assert mira.client.post("/batches", data=data, buffered=True).status_code == 500
    monkeypatch.undo()
    assert uploads(app) == []
    with app.app_context():
        assert db.session.scalar(select(Batch.id)) is None


def test_the_sweep_removes_uploads_that_wait_for_nothing(make_app: Any) -> None:
    app = make_app(SWEEP_OLDER_THAN=timedelta(seconds=-1))
    mira = Person(app)
    mira.register()
    key = sent(mira, {"a.jpg": picture()})
    with app.app_context():
        waiting_uploads().save("0" * 32, [b"left by a killed server"])
    assert sweep_uploads(app) == 1
    assert [path.name for path in uploads(app)] == [items(app, key)[0].upload_key]


def test_deleting_the_account_removes_its_waiting_uploads(app: Flask, mira: Person) -> None:
    from tests.web.conftest import PASSWORD

    sent(mira, {"a.jpg": picture()})
    assert mira.post("/account/delete", {"password": PASSWORD}).status_code == 302
    assert uploads(app) == []
