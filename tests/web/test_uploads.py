"""Sending a photograph: what is kept of a good one, and what is said of a bad one."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from flask import Flask
from PIL import Image

from tests.web.conftest import Kept, Person
from tests.web.fakes import REFER, FakePredictor, image_of, picture


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


def test_the_photograph_of_a_phone_is_taken_as_it_comes(mira: Person, kept: Kept) -> None:
    heif = pytest.importorskip("pillow_heif", reason="HEIC is read where pillow-heif is installed")
    heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "SecretCamera"
    key = mira.answered(picture(form="HEIF", exif=exif.tobytes()))
    stored = kept.file(key, "photo.jpg").read_bytes()
    assert (image_of(stored).format, image_of(stored).size) == ("JPEG", (120, 160))
    assert b"SecretCamera" not in stored
    assert "BMP or HEIC" in mira.get("/new").text


def test_a_photograph_that_is_all_detail_is_taken_too(mira: Person, kept: Kept) -> None:
    grain = np.random.default_rng(0).integers(0, 256, (240, 320, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(grain).save(buffer, "PNG")
    key = mira.answered(buffer.getvalue())
    assert image_of(kept.file(key, "photo.jpg").read_bytes()).size == (320, 240)
    assert mira.get(f"/answers/{key}/report.pdf").status_code == 200


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


def test_what_hides_behind_or_inside_a_photograph_is_not_kept(mira: Person, kept: Kept) -> None:
    script = b"<script>alert(document.cookie)</script>"
    buffer = io.BytesIO()
    image_of(picture()).save(buffer, "JPEG", comment=script, icc_profile=b"profile" + script)
    for content in (picture() + script, buffer.getvalue()):
        assert script in content
        key = mira.answered(content)
        for name in ("photo.jpg", "thumbnail.jpg"):
            stored = kept.file(key, name).read_bytes()
            assert script not in stored
            assert image_of(stored).format == "JPEG"
            assert not {"comment", "icc_profile", "exif"} & image_of(stored).info.keys()


def test_a_photograph_is_served_as_what_it_is_and_to_be_kept_by_nobody(mira: Person) -> None:
    key = mira.answered(picture(form="PNG"))
    for name, kind in (("photo", "image/jpeg"), ("thumbnail", "image/jpeg"), ("heatmap/mel", "image/webp")):
        response = mira.get(f"/answers/{key}/{name}")
        assert response.mimetype == kind
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Cache-Control"] == "private, no-store"
        assert response.headers["Content-Security-Policy"].startswith("default-src 'none'")


def test_a_very_large_photograph_is_kept_at_display_size(
    mira: Person, kept: Kept, predictor: FakePredictor
) -> None:
    content = picture(2600, 1300, quality=20)
    key = mira.answered(content)
    assert image_of(kept.file(key, "photo.jpg").read_bytes()).size == (2400, 1200)
    assert predictor.seen == [content]
    overlay = image_of(mira.get(f"/answers/{key}/heatmap/mel").data)
    assert overlay.size == (960, 480)


def many_scans() -> bytes:
    """A small JPEG that would keep a processor busy for minutes."""
    content = picture(progressive=True)
    last = content[content.rindex(b"\xff\xda") : -2]
    return content[:-2] + last * 200 + b"\xff\xd9"


BAD_UPLOADS = {
    "empty": b"",
    "text": b"This is not a picture at all, whatever its name says.",
    "html": b"<html><script>alert(1)</script></html>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"/>',
    "cut short": picture(400, 300)[:2000],
    "garbage after the header": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 8,
    "gif": picture(form="GIF"),
    "more scans than a camera draws": many_scans(),
    "a picture behind a program": b"MZ" + picture(),
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
