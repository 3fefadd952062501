"""A photograph in, an answer out: uploads good and bad, the answer's page, the note, the history and deletion."""

from __future__ import annotations

import io
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from PIL import Image
from sqlalchemy.orm import Session

import derm_core
from derm_core import DIAGNOSES, NOTICE, BundleError
from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, REFER, ROUTINE, FakePredictor, MeasuredPoint, picture
from web.answering import sweep_pictures
from web.inference import Inference
from web.pictures import sample_photograph


def image_of(content: bytes) -> Image.Image:
    return Image.open(io.BytesIO(content))


def with_exif(content: bytes, orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "SecretCamera"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 24.0)
    buffer = io.BytesIO()
    image_of(content).save(buffer, "JPEG", exif=exif, quality=95)
    assert b"SecretCamera" in buffer.getvalue()
    return buffer.getvalue()


def test_a_photograph_is_answered_and_kept(mira: Person, kept: Kept, predictor: FakePredictor) -> None:
    content = picture()
    key = mira.answered(content, note="Left calf.\r\nNew since May.")
    row = kept.row(key)
    assert predictor.seen == [content]
    assert (row.top, row.advice, row.operating_point) == ("mel", "refer", 0.18)
    assert row.probabilities == REFER
    assert list(row.probabilities) == list(REFER)
    assert row.note == "Left calf.\nNew since May."
    assert row.operating_point_measured["lesions"] == 1119
    assert (row.width, row.height) == (160, 120)
    assert row.created_at.tzinfo is not None
    assert {path.name for path in kept.files()} == {
        "photo.jpg", "thumbnail.jpg", *(f"heatmap-{code}.png" for code in REFER)
    }  # fmt: skip


def test_a_photograph_from_the_camera_is_answered_too(mira: Person) -> None:
    assert mira.upload(field="camera").status_code == 303


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "BMP"])
def test_every_format_offered_is_taken(mira: Person, kept: Kept, form: str) -> None:
    key = mira.answered(picture(form=form))
    assert image_of(kept.file(key, "photo.jpg").read_bytes()).format == "JPEG"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_is_gone_and_the_orientation_kept(mira: Person, kept: Kept, orientation: int) -> None:
    key = mira.answered(with_exif(picture(), orientation))
    for name in ("photo.jpg", "thumbnail.jpg"):
        content = kept.file(key, name).read_bytes()
        assert b"Exif" not in content
        assert b"SecretCamera" not in content
        assert not image_of(content).getexif()
    stored = image_of(kept.file(key, "photo.jpg").read_bytes())
    upright = orientation < 5
    assert stored.size == ((160, 120) if upright else (120, 160))
    blue_at = {1: (0, 0), 2: (1, 0), 3: (1, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 1), 8: (0, 1)}[
        orientation
    ]
    corner = stored.getpixel(
        (8 if blue_at[0] == 0 else stored.width - 9, 8 if blue_at[1] == 0 else stored.height - 9)
    )
    assert corner[2] > 180 > corner[0]


def test_nothing_of_the_clients_name_reaches_the_disk(mira: Person, kept: Kept, app: Flask) -> None:
    mira.upload(name="Maria_Musterfrau_1961.jpg")
    home: Path = app.config["DERM_HOME"]
    assert kept.rows() == 1
    for path in home.rglob("*"):
        assert "Musterfrau" not in path.name
        assert not path.is_file() or b"Musterfrau" not in path.read_bytes()


def test_a_very_large_photograph_is_kept_at_display_size(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    content = picture(5200, 2600, quality=20)
    key = mira.answered(content)
    assert image_of(kept.file(key, "photo.jpg").read_bytes()).size == (2400, 1200)
    assert predictor.seen == [content]
    overlay = image_of(mira.get(f"/answers/{key}/heatmap/mel").data)
    assert overlay.size == (960, 480)


BAD_UPLOADS = {
    "empty": b"",
    "text": b"This is not a picture at all, whatever its name says.",
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "cut short": picture(400, 300)[:2000],
    "garbage after the header": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8,
    "gif": picture(form="GIF"),
    "too many pixels": None,
}


def too_many_pixels() -> bytes:
    buffer = io.BytesIO()
    Image.new("1", (9000, 9000)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("kind", BAD_UPLOADS)
def test_a_bad_upload_gets_one_sentence_and_leaves_nothing(
    mira: Person, kept: Kept, kind: str, predictor: FakePredictor
) -> None:
    content = too_many_pixels() if kind == "too many pixels" else BAD_UPLOADS[kind]
    response = mira.upload(content, note="still here")
    assert response.status_code == 400
    problem = re.search(r'<p class="problem-text">(.*?)</p>', response.text)
    assert problem
    assert problem[1].endswith(".")
    assert "Traceback" not in response.text
    assert "still here" in response.text
    assert kept.rows() == 0
    assert kept.files() == []
    assert predictor.seen == []


def test_a_form_without_a_file_says_so(mira: Person) -> None:
    response = mira.post("/new", content_type="multipart/form-data")
    assert response.status_code == 400
    assert "Choose a picture first." in response.text


def test_too_many_bytes_get_a_page_that_says_how_many_are_too_many(
    mira: Person, make_app: Callable[..., Flask], kept: Kept
) -> None:
    person = Person(make_app(MAX_CONTENT_LENGTH=1_000_000))
    person.login()
    response = person.post("/new", environ_overrides={"CONTENT_LENGTH": "1500000"})
    assert response.status_code == 413
    assert "more than 1 MB" in response.text
    assert kept.files() == []


def test_a_note_that_is_too_long_is_refused_before_the_picture_is_read(
    mira: Person, predictor: FakePredictor
) -> None:
    assert mira.upload(note="x" * 4001).status_code == 400
    assert predictor.seen == []


def test_the_page_of_a_referral_shows_risk_names_and_figures(mira: Person) -> None:
    text = mira.get(f"/answers/{mira.answered()}").text
    for wanted in (
        "Refer to a dermatologist",
        "Most of it is <b>melanoma</b>",
        "<strong>67%</strong>",
        "At 18% this model finds 95% (95% CI 92–97) of malignant lesions and spares 78% (95% CI 76–80) of benign ones.",
        "1,119 lesions",
        "fake-network",
        "version 3",
        "9f3c71e2",
        "&lt;1%",
        NOTICE.replace("'", "&#39;"),
        *(DIAGNOSES[code].name for code in REFER),
    ):
        assert wanted in text, wanted
    assert ">0%<" not in text


def test_routine_says_that_it_clears_nothing(mira: Person, predictor: FakePredictor) -> None:
    predictor.probabilities = dict(ROUTINE)
    text = mira.get(f"/answers/{mira.answered()}").text
    assert "Routine follow-up" in text
    assert "A low figure does not rule out malignancy" in text


def test_no_answer_gives_no_probability_and_no_heatmap(
    mira: Person, predictor: FakePredictor, kept: Kept
) -> None:
    predictor.quality = (DARK,)
    key = mira.answered()
    text = mira.get(f"/answers/{key}").text
    assert "No answer for this picture" in text
    assert DARK.reason in text
    assert not re.search(r"\d+%", re.sub(r"<[^>]+>", "", text))
    assert "Melanoma" not in text
    assert mira.get(f"/answers/{key}/heatmap/mel").status_code == 404
    assert not any("heatmap" in path.name for path in kept.files())
    assert "Melanoma" not in mira.get("/history").text


def test_a_benign_top_class_does_not_hide_why_to_refer(mira: Person, predictor: FakePredictor) -> None:
    predictor.probabilities = {
        "akiec": 0.05,
        "bcc": 0.05,
        "bkl": 0.1,
        "df": 0.0,
        "mel": 0.2,
        "nv": 0.6,
        "vasc": 0.0,
    }
    text = mira.get(f"/answers/{mira.answered()}").text
    assert "Melanocytic naevus is the most likely single diagnosis" in text
    assert 'data-code="mel" src=' in text


def test_a_model_with_other_classes_and_no_measured_figures_is_shown_too(
    mira: Person, predictor: FakePredictor
) -> None:
    predictor.probabilities = {"benign": 0.3, "malignant": 0.7}
    predictor.point = MeasuredPoint(
        sensitivity=None, specificity=None, sensitivity_ci95=None, specificity_ci95=None
    )
    response = mira.get(f"/answers/{mira.answered()}")
    assert response.status_code == 200
    assert "this model finds" not in response.text
    assert "Most of it is" not in response.text


def test_a_link_chooses_the_class_that_is_explained(mira: Person) -> None:
    key = mira.answered()
    shown = re.compile(r'<img class="map" data-code="(\w+)"')
    assert shown.findall(mira.get(f"/answers/{key}").text) == ["mel"]
    assert shown.findall(mira.get(f"/answers/{key}?class=nv").text) == ["nv"]
    assert shown.findall(mira.get(f"/answers/{key}?class=none").text) == []
    assert shown.findall(mira.get(f"/answers/{key}?class=../../etc").text) == ["mel"]


def test_each_class_has_its_own_overlay_at_the_shape_of_the_photograph(mira: Person) -> None:
    key = mira.answered(picture(300, 200))
    overlays = {code: mira.get(f"/answers/{key}/heatmap/{code}") for code in REFER}
    assert {response.mimetype for response in overlays.values()} == {"image/webp"}
    pixels = {
        code: np.asarray(image_of(response.data).convert("RGBA")) for code, response in overlays.items()
    }
    assert {array.shape for array in pixels.values()} == {(200, 300, 4)}
    assert pixels["akiec"][80, 75, 3] > 200
    assert pixels["akiec"][-1, -1, 3] == 0
    assert len({array.tobytes() for array in pixels.values()}) == len(REFER)


@pytest.mark.parametrize("code", ["xyz", "..", "mel.png", "photo", "%2e%2e%2fphoto"])
def test_a_class_that_is_none_has_no_heatmap(mira: Person, code: str) -> None:
    assert mira.get(f"/answers/{mira.answered()}/heatmap/{code}").status_code == 404


def test_photograph_and_thumbnail_are_sent_as_pictures(mira: Person) -> None:
    key = mira.answered(picture(800, 600))
    assert image_of(mira.get(f"/answers/{key}/photo").data).size == (800, 600)
    assert image_of(mira.get(f"/answers/{key}/thumbnail").data).size == (264, 198)
    assert mira.get(f"/answers/{key}/photo").mimetype == "image/jpeg"


def test_a_note_is_kept_changed_and_cleared(mira: Person, kept: Kept) -> None:
    key = mira.answered()
    for note, expected in (("First.\r\nSecond.\x00", "First.\nSecond."), ("Other", "Other"), ("  ", "")):
        assert mira.post(f"/answers/{key}/note", {"note": note}).status_code == 302
        assert kept.row(key).note == expected


def test_a_note_that_is_too_long_is_given_back_with_the_reason(mira: Person, kept: Kept) -> None:
    key = mira.answered(note="short")
    response = mira.post(f"/answers/{key}/note", {"note": "x" * 4001})
    assert response.status_code == 400
    assert "Use at most 4000 characters." in response.text
    assert "x" * 4001 in response.text
    assert kept.row(key).note == "short"


def test_deleting_is_asked_twice_and_leaves_neither_row_nor_file(mira: Person, kept: Kept) -> None:
    key, other = mira.answered(), mira.answered()
    page = mira.get(f"/answers/{key}").text
    assert f'href="/answers/{key}/delete" data-opens="delete"' in page
    assert "Delete this answer?" in mira.get(f"/answers/{key}/delete").text
    assert kept.rows() == 2
    assert mira.post(f"/answers/{key}/delete").location == "/history"
    assert kept.rows() == 1
    assert {path.parent.name for path in kept.files()} == {other}
    assert mira.get(f"/answers/{key}").status_code == 404


def test_the_sample_is_answered_in_one_click_and_marked(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    response = mira.post("/new/sample")
    assert response.status_code == 303
    assert kept.row(response.location.rpartition("/")[2]).is_sample
    assert predictor.seen == [sample_photograph()]
    assert "Sample picture" in mira.get("/history").text
    assert "A picture that we drew" in mira.get(response.location).text


def test_an_empty_history_teaches_and_a_full_one_lists(mira: Person) -> None:
    assert "No answers yet" in mira.get("/history").text
    key = mira.answered(note="Left calf")
    text = mira.get("/history").text
    assert f"/answers/{key}/thumbnail" in text
    assert "Left calf" in text
    assert "1 answer," in text


def test_where_the_commit_fails_no_file_stays(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    token = mira.token()
    monkeypatch.setattr(Session, "commit", _fail)
    response = mira.client.post(
        "/new", data={"csrf_token": token, "picture": (io.BytesIO(picture()), "a.jpg")}, buffered=True
    )
    monkeypatch.undo()
    assert response.status_code == 500
    assert "What you sent may not have been kept" in response.text
    assert (kept.rows(), kept.files()) == (0, [])


def test_where_the_commit_went_through_but_was_not_confirmed_the_files_stay(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    token = mira.token()
    commit = Session.commit

    def lose_the_connection(session: Session) -> None:
        commit(session)
        raise OSError("connection lost")

    monkeypatch.setattr(Session, "commit", lose_the_connection)
    response = mira.client.post(
        "/new", data={"csrf_token": token, "picture": (io.BytesIO(picture()), "a.jpg")}, buffered=True
    )
    monkeypatch.undo()
    assert response.status_code == 500
    assert kept.rows() == 1
    assert len(kept.files()) == 9


def test_where_the_disk_fails_no_row_and_no_file_stays(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.config.update(TESTING=False, PROPAGATE_EXCEPTIONS=False)
    monkeypatch.setattr("web.storage.os.fsync", _fail)
    assert mira.upload().status_code == 500
    monkeypatch.undo()
    assert (kept.rows(), kept.files()) == (0, [])


def _fail(*_: object) -> None:
    raise OSError("No space left on device")


def test_the_sweep_removes_files_without_a_row_and_nothing_else(
    mira: Person, kept: Kept, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = mira.answered()
    with app.app_context():
        orphan = app.extensions["pictures"].folder("0" * 32)
    orphan.mkdir(parents=True)
    (orphan / "photo.jpg").write_bytes(b"left by a killed server")
    assert sweep_pictures(app) == 0
    two_hours_later = time.time() + 7200
    monkeypatch.setattr("web.storage.time.time", lambda: two_hours_later)
    assert sweep_pictures(app) == 1
    assert {path.parent.name for path in kept.files()} == {key}


def test_a_picture_whose_files_are_gone_is_a_plain_404(mira: Person, kept: Kept, app: Flask) -> None:
    key = mira.answered()
    with app.app_context():
        app.extensions["pictures"].delete(key)
    assert mira.get(f"/answers/{key}/photo").status_code == 404
    assert mira.get(f"/answers/{key}").status_code == 200


def test_without_a_model_the_site_runs_and_says_what_is_wrong(
    mira: Person, app: Flask, kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(model: object) -> None:
        raise BundleError("model.safetensors was altered.")

    monkeypatch.setitem(vars(derm_core), "load_predictor", fail)
    app.extensions["inference"] = Inference()
    assert mira.get("/healthz").json == {"status": "ok", "model": "waiting"}
    response = mira.upload()
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "60"
    assert "The model is not available" in response.text
    assert mira.get("/healthz").json == {"status": "ok", "model": "failed"}
    assert mira.get("/history").status_code == 200
    assert kept.files() == []


def test_the_model_is_loaded_once_however_many_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    arrived = threading.Barrier(4)

    def load(model: object) -> FakePredictor:
        loaded.append(model)
        return FakePredictor()

    def ask() -> None:
        arrived.wait(10)
        inference.explain_all(picture(), max_side=100)

    monkeypatch.setitem(vars(derm_core), "load_predictor", load)
    inference = Inference(model="some-model")
    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert loaded == ["some-model"]
    assert inference.state == "ready"
