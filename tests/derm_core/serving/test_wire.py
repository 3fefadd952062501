"""wire.py: what a request may say, what goes back, and a status of its own for each thing that is wrong."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from derm_core.diagnoses import NOTICE
from derm_core.serving.context import PatientContext
from derm_core.serving.predictor import Predictor
from derm_core.serving.wire import HEATMAP_SIDE, Reply, reply_to


def post(predictor: Any, body: bytes, kind: str = "image/jpeg", **query: str) -> Reply:
    return reply_to(predictor, method="POST", body=body, content_type=kind, query=query)


def in_json(picture: bytes, **values: Any) -> bytes:
    return json.dumps({"image": base64.b64encode(picture).decode(), **values}).encode()


class Asked:
    """A predictor that notes what it is told of the patient."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor, self.description = predictor, predictor.description
        self.context: PatientContext | None = None

    def predict(self, image: bytes, context: PatientContext | None = None) -> Any:
        self.context = context
        return self._predictor.predict(image)


def test_a_picture_as_the_body_gets_the_answer_of_the_predictor(
    predictor: Predictor, pictures: list[Path]
) -> None:
    for path in pictures:
        reply = post(predictor, path.read_bytes(), "image/anything; charset=x")
        assert reply.status == 200
        wanted = predictor.predict(path).to_dict() | {"notice": NOTICE}
        assert {**reply.values, "seconds": 0} == {**wanted, "seconds": 0}
        assert json.loads(reply.to_json()) == json.loads(json.dumps(reply.values))


def test_json_and_a_bare_body_are_answered_alike(predictor: Predictor, pictures: list[Path]) -> None:
    picture = pictures[0].read_bytes()
    bare = post(predictor, picture, "application/octet-stream")
    wrapped = post(predictor, in_json(picture), "application/json")
    assert bare.values["probabilities"] == wrapped.values["probabilities"]


@pytest.mark.parametrize("wrapped", [True, False])
def test_what_is_known_of_the_patient_reaches_the_predictor(
    predictor: Predictor, pictures: list[Path], wrapped: bool
) -> None:
    asked, picture = Asked(predictor), pictures[0].read_bytes()
    if wrapped:
        post(asked, in_json(picture, age=61, sex="female", site="back"), "application/json")
    else:
        post(asked, picture, age="61", sex="female", site="back")
    assert asked.context == PatientContext(61.0, "female", "back")
    post(asked, picture, age="", sex="")
    assert asked.context is None


def test_a_heatmap_comes_as_a_picture_of_the_photographs_size(
    predictor: Predictor, pictures: list[Path]
) -> None:
    reply = post(predictor, pictures[1].read_bytes(), heatmap="top")
    wanted = predictor.explain(pictures[1])
    assert reply.values["heatmap"]["code"] == wanted.code == reply.values["top"]
    with Image.open(io.BytesIO(base64.b64decode(reply.values["heatmap"]["png"]))) as shown:
        assert (shown.format, shown.mode, shown.size) == ("PNG", "RGBA", (450, 600))
    assert post(predictor, pictures[1].read_bytes(), heatmap="mel").values["heatmap"]["code"] == "mel"
    large = post(predictor, pictures[2].read_bytes(), heatmap="top").values["heatmap"]["png"]
    with Image.open(io.BytesIO(base64.b64decode(large))) as shown:
        assert max(shown.size) == HEATMAP_SIDE


def test_get_says_what_the_model_is(predictor: Predictor) -> None:
    reply = reply_to(predictor, method="GET", body=b"")
    description = predictor.description
    assert reply.status == 200
    assert reply.values["model_sha256"] == description.weights_sha256
    assert [entry["code"] for entry in reply.values["classes"]] == list(description.classes)
    assert reply.values["operating_point"] == {"name": "sensitivity-0.95", "threshold": 0.4}
    assert reply.values["notice"] == NOTICE


@pytest.mark.parametrize(
    ("status", "body", "kind", "query", "says"),
    [
        (400, b"", "image/jpeg", {}, "holds no picture"),
        (400, b"{", "application/json", {}, "not JSON"),
        (400, b"[1]", "application/json", {}, "wanted: an object"),
        (400, b"{}", "application/json", {}, "holds no picture"),
        (400, b'{"image": "%%%"}', "application/json", {}, "not the base64"),
        (400, b'{"image": 5}', "application/json", {}, "not the base64"),
        (
            400,
            b'{"image": "AAAA", "colour": 1}',
            "application/json",
            {},
            "Unknown: colour. Known: image, age",
        ),
        (400, b"x", "image/png", {"age": "old"}, "'old'; wanted: a number"),
        (400, b"x", "image/png", {"age": "nan"}, "The age is nan"),
        (400, b"x", "image/png", {"age": "400"}, "from 0 to 120"),
        (400, b"x", "image/png", {"sex": "femal"}, "Did you mean 'female'"),
        (415, b"x", "text/plain", {}, "Content-Type is text/plain"),
        (415, b"x", "", {}, "Content-Type is missing"),
        (422, b"x", "image/png", {}, "not a picture that can be read"),
    ],
)
def test_what_is_wrong_with_a_request_is_one_sentence_with_its_status(
    predictor: Predictor, status: int, body: bytes, kind: str, query: dict[str, str], says: str
) -> None:
    reply = post(predictor, body, kind, **query)
    assert reply.status == status
    assert list(reply.values) == ["error"]
    assert says in reply.values["error"]


def test_a_class_that_the_model_does_not_know_is_named(predictor: Predictor, pictures: list[Path]) -> None:
    reply = post(predictor, pictures[0].read_bytes(), heatmap="melanoma")
    assert reply.status == 400
    assert "Unknown class 'melanoma'" in reply.values["error"]


def test_other_methods_are_refused(predictor: Predictor) -> None:
    assert reply_to(predictor, method="DELETE", body=b"").status == 405


def test_too_long_a_picture_is_not_decoded(predictor: Predictor) -> None:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((200, 200, 3), np.uint8)).save(stream, "BMP")
    reply = reply_to(
        predictor, method="POST", body=stream.getvalue(), content_type="image/bmp", max_bytes=100_000
    )
    assert reply.status == 413
    assert reply.values["error"] == "The picture has 0.1 MB; at most 0.1 MB are taken. Save a smaller copy."
