"""Predictions through the API: made, listed, read, changed, deleted; and what is refused."""

from __future__ import annotations

import io
from typing import NoReturn

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import update

from derm_core import NOTICE
from tests.web.api.conftest import Program, problem_of, queries_for, token_of
from tests.web.conftest import Kept, Person
from tests.web.fakes import DARK, FakePredictor, image_of, picture
from web.database import db
from web.inference import ModelUnavailableError
from web.models import Prediction
from web.turns import ModelBusyError, Turns


def test_a_photograph_in_a_form_is_answered_and_kept(program: Program, kept: Kept) -> None:
    response = program.predict(
        age="54", sex="female", site="back", note=" new \x07since May ", taken_on="2026-05-03"
    )
    assert response.status_code == 201
    answer = response.json
    assert response.location == answer["url"] == f"/api/v1/predictions/{answer['id']}"
    assert answer["advice"] == "refer"
    assert answer["top"] == "mel"
    assert answer["malignant_probability"] == pytest.approx(0.67)
    assert answer["probabilities"][0] == {
        "code": "mel", "name": "Melanoma", "malignant": True, "probability": pytest.approx(0.62),
    }  # fmt: skip
    assert sum(one["probability"] for one in answer["probabilities"]) == pytest.approx(1)
    assert (answer["plausible"], answer["plausible_level"]) == (["mel", "nv"], 0.95)
    assert answer["patient"] == {"age": 54, "sex": "female", "site": "back"}
    assert answer["answered_with"] == ["age", "sex", "site"]
    assert (answer["note"], answer["taken_on"]) == ("new since May", "2026-05-03")
    assert answer["model"]["sha256"] == "9f3c71e2" * 8
    assert answer["notice"] == NOTICE
    assert kept.row(answer["id"]).site == "back"
    assert program.get(response.location).json == answer


def test_a_photograph_alone_is_answered(program: Program, predictor: FakePredictor) -> None:
    content = picture()
    response = program.post("/predictions", data=content, content_type="image/jpeg")
    assert response.status_code == 201
    assert predictor.seen == [content]
    assert response.json["patient"] == {"age": None, "sex": None, "site": None}


def test_the_same_answer_stands_on_the_page(program: Program, mira: Person) -> None:
    key = program.predicted(note="sent by a program")["id"]
    assert "sent by a program" in mira.get(f"/answers/{key}").text
    program.delete(f"/predictions/{key}")
    assert mira.get(f"/answers/{key}").status_code == 404


def test_where_there_is_no_answer_every_figure_is_withheld(
    program: Program, predictor: FakePredictor
) -> None:
    predictor.quality = (DARK,)
    answer = program.predicted()
    assert answer["advice"] == "unsure"
    assert answer["malignant_probability"] is answer["top"] is answer["probabilities"] is None
    assert answer["plausible"] is answer["plausible_level"] is None
    assert answer["heatmaps"] == {}
    assert answer["quality"] == [{"name": "too-dark", "reason": DARK.reason, "severity": "refuse"}]
    problem_of(program.get(f"{answer['url']}/heatmaps/mel"), 404, "not-found")
    assert program.get("/predictions?top=mel").json["items"] == []


def test_heatmaps_come_in_colours_or_as_greys(program: Program) -> None:
    heatmaps = program.predicted()["heatmaps"]
    assert len(heatmaps) == 7
    coloured = program.get(heatmaps["mel"])
    assert coloured.mimetype == "image/png"
    overlay = image_of(coloured.data)
    assert (overlay.mode, overlay.size) == ("RGBA", (160, 120))
    cover = np.asarray(overlay)[..., 3]
    assert cover.min() == 0
    assert cover.max() == pytest.approx(0.88 * 255, abs=30)
    grey = image_of(program.get(f"{heatmaps['mel']}?style=grey").data)
    values = np.asarray(grey)
    assert grey.mode.startswith("I;16")
    assert values.max() > 65000
    assert np.unravel_index(values.argmax(), values.shape)[0] == pytest.approx(0.48 * 120, abs=2)
    problem_of(program.get(f"{heatmaps['mel']}?style=red"), 422, "invalid")
    problem_of(program.get(heatmaps["mel"].replace("/mel", "/melanoma")), 404, "not-found")


def test_the_photograph_comes_back_without_metadata(program: Program) -> None:
    exif = Image.Exif()
    exif[0x010F] = "Camera maker"
    response = program.get(program.predicted()["photo"])
    assert response.mimetype == "image/jpeg"
    assert response.headers["Cache-Control"] == "private, no-store"
    answer = program.predict(picture(exif=exif)).json
    assert not image_of(program.get(answer["photo"]).data).getexif()


def test_the_photograph_of_a_phone_is_taken_as_the_whole_body(program: Program) -> None:
    heif = pytest.importorskip("pillow_heif", reason="HEIC is read where pillow-heif is installed")
    heif.register_heif_opener()
    response = program.post("/predictions", data=picture(form="HEIF"), content_type="image/heic")
    assert response.status_code == 201
    assert (response.json["width"], response.json["height"]) == (160, 120)


def test_the_list_goes_page_by_page_and_skips_nothing(program: Program) -> None:
    made = [program.predicted(note=str(number))["id"] for number in range(5)]
    first = program.get("/predictions?limit=2").json
    made.append(program.predicted()["id"])  # comes in between, and shifts nothing
    second = program.get(f"/predictions?limit=2&cursor={first['next']}").json
    third = program.get(f"/predictions?limit=2&cursor={second['next']}").json
    seen = [item["id"] for page in (first, second, third) for item in page["items"]]
    assert seen == made[4::-1]
    assert third["next"] is None


def test_a_long_page_takes_as_many_queries_as_a_short_one(program: Program) -> None:
    lesions = [program.lesion(str(number))["id"] for number in range(4)]
    for lesion in lesions:
        program.predicted(lesion=lesion)

    program.get("/token")
    assert len(program.get("/predictions?limit=4").json["items"]) == 4
    assert queries_for(program, "/predictions?limit=4") == queries_for(program, "/predictions?limit=1")


def test_the_list_is_filtered(program: Program, predictor: FakePredictor) -> None:
    lesion = program.lesion()["id"]
    inside = program.predicted(lesion=lesion)
    predictor.probabilities = {"mel": 0.01, "nv": 0.99}
    outside = program.predicted()

    def found(query: str) -> list[str]:
        return [item["id"] for item in program.get(f"/predictions?{query}").json["items"]]

    assert found("advice=refer") == found("top=mel") == found(f"lesion={lesion}") == [inside["id"]]
    assert found("advice=routine") == found("top=nv") == [outside["id"]]
    assert found("advice=unsure") == []
    assert found("since=2020-01-01T00:00:00Z") == [outside["id"], inside["id"]]
    with program.app.app_context():
        db.session.execute(
            update(Prediction).where(Prediction.key == inside["id"]).values(review="confirmed")
        )
        db.session.commit()
    assert found("review=confirmed") == [inside["id"]]
    assert found("review=bad-picture") == []
    assert found("until=2020-01-01T00:00:00%2B02:00") == []


UNREADABLE_FILTERS = {
    "limit=0": "limit",
    "limit=many": "limit",
    "limit=5&limit=6": "limit",
    "advice=maybe": "advice",
    "top=cancer": "top",
    "lesion=1": "lesion",
    f"lesion={'0' * 32}": "lesion",
    "cursor=1": "cursor",
    "since=yesterday": "since",
    "since=2026-01-01T00:00:00": "since",
    "since=0001-01-01T00:00:00%2B14:00": "since",
    "since=1700000000": "since",
    "colour=red": "colour",
}
UNFITTING_FIELDS = {
    "age": ("121", "-1", "nan", "old"),
    "sex": ("unknown",),
    "site": ("nose",),
    "note": ("n" * 4001,),
    "taken_on": ("3 May", "2999-01-01"),
    "lesion": ("0" * 32, "left arm"),
    "colour": ("red",),
}


def test_a_filter_that_cannot_be_read_is_named(program: Program) -> None:
    for query, part in UNREADABLE_FILTERS.items():
        problem = problem_of(program.get(f"/predictions?{query}"), 422, "invalid")
        assert [fault["part"] for fault in problem["errors"]] == [part], query
        assert all(fault["detail"].endswith(".") for fault in problem["errors"])


def test_a_field_that_does_not_fit_is_named_and_nothing_is_kept(program: Program, kept: Kept) -> None:
    for part, texts in UNFITTING_FIELDS.items():
        for text in texts:
            problem = problem_of(program.predict(**{part: text}), 422, "invalid")
            assert [fault["part"] for fault in problem["errors"]] == [part], text
    assert (kept.rows(), kept.files()) == (0, [])


def test_what_is_no_photograph_is_refused_with_its_reason(program: Program, kept: Kept) -> None:
    problem = problem_of(program.predict(b"%PDF-1.7"), 422, "unreadable-picture")
    assert "errors" not in problem
    problem_of(program.predict(b""), 422, "unreadable-picture")
    problem_of(program.post("/predictions", data=b"", content_type="image/png"), 422, "unreadable-picture")
    problem_of(program.post("/predictions", data=b"GIF89a", content_type="image/gif"), 415, "wrong-type")
    problem_of(program.post("/predictions", json={"image": "aGVsbG8="}), 415, "wrong-type")
    problem_of(program.post("/predictions"), 415, "wrong-type")
    assert (kept.rows(), kept.files()) == (0, [])


def test_one_form_holds_one_photograph(program: Program) -> None:
    form = {"image": [(io.BytesIO(picture()), "a.jpg"), (io.BytesIO(picture()), "b.jpg")]}
    problem_of(program.post("/predictions", data=form), 422, "invalid")
    form = {"picture": (io.BytesIO(picture()), "a.jpg")}
    problem_of(program.post("/predictions", data=form), 422, "invalid")


def test_note_lesion_and_day_can_be_changed_and_the_answer_cannot(program: Program) -> None:
    answer, lesion = program.predicted(note="first"), program.lesion()["id"]
    changed = program.patch(
        answer["url"], json={"note": "second", "lesion": lesion, "taken_on": "2026-05-03"}
    ).json
    assert (changed["note"], changed["lesion"], changed["taken_on"]) == ("second", lesion, "2026-05-03")
    emptied = program.patch(answer["url"], json={"lesion": None}).json
    assert (emptied["note"], emptied["lesion"]) == ("second", None)
    problem_of(program.patch(answer["url"], json={"advice": "routine"}), 422, "invalid")
    problem_of(program.patch(answer["url"], json={"lesion": "0" * 32}), 422, "invalid")
    assert program.get(answer["url"]).json == emptied | {"taken_on": "2026-05-03"}


def test_a_deleted_prediction_leaves_nothing(program: Program, kept: Kept) -> None:
    url = program.predicted()["url"]
    response = program.delete(url)
    assert (response.status_code, response.data) == (204, b"")
    problem_of(program.get(url), 404, "not-found")
    problem_of(program.delete(url), 404, "not-found")
    assert (kept.rows(), kept.files()) == (0, [])


def test_a_model_that_cannot_be_loaded_is_a_503_with_patience(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> NoReturn:
        raise ModelUnavailableError("The model cannot be loaded.")

    monkeypatch.setattr("web.inference.Inference.answer", fail)
    response = program.predict()
    problem_of(response, 503, "model-unavailable")
    assert response.headers["Retry-After"] == "60"


def test_a_model_with_too_many_in_line_is_a_503_with_patience(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Turns) -> NoReturn:
        raise ModelBusyError(7)

    monkeypatch.setattr(Turns, "request", refuse)
    response = program.predict()
    problem_of(response, 503, "busy")
    assert response.headers["Retry-After"] == "7"


def test_an_account_without_room_is_told_so(mira: Person, kept: Kept) -> None:
    mira.app.config["DERM_QUOTA_MB"] = 1e-6
    program = Program(mira.app, token_of(mira))
    problem_of(program.predict(), 403, "quota-full")
    assert (kept.rows(), kept.files()) == (0, [])


def test_more_bytes_than_a_picture_may_have_are_a_413(program: Program) -> None:
    program.app.config["MAX_CONTENT_LENGTH"] = 1000
    problem_of(program.predict(), 413, "too-large")
    problem_of(program.post("/predictions", data=b"x" * 1001, content_type="image/png"), 413, "too-large")
