"""What happens on the page: a picture is answered and forgotten, and what goes wrong is one sentence."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from derm_core import NOTICE
from desktop import build_interface
from desktop.picture_tab import FAILED, forget, show_answer
from tests.desktop.conftest import FakePredictor

pytestmark = pytest.mark.usefixtures("no_event_loop_is_left")


def upload_of(path: Path) -> dict[str, Any]:
    return {"path": str(path), "orig_name": path.name}


def visibility(changes: tuple[Any, ...]) -> list[Any]:
    return [change["visible"] for change in changes[:3]]


def test_a_picture_brings_its_answer_to_the_front(predictor: FakePredictor, lesion: Path) -> None:
    *changes, page = show_answer(predictor, upload_of(lesion))
    assert visibility(tuple(changes)) == ["hidden", True, False]
    assert "Refer to a dermatologist" in page
    assert "left shoulder.jpg" in page


def test_what_is_no_picture_is_one_sentence_and_asked_for_again(
    predictor: FakePredictor, no_picture: Path
) -> None:
    changes = show_answer(predictor, upload_of(no_picture))
    assert visibility(changes) == [True, False, True]
    assert changes[3] == ""
    sentence = changes[2]["value"]
    assert "&lt;b&gt;{{1}}${2}.jpg is not a picture that can be read (17 bytes)." in sentence
    assert "Wanted: JPEG, PNG, WebP, TIFF, BMP or HEIC." in sentence


def test_any_other_fault_leaves_the_page_usable_and_is_logged(
    lesion: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Broken(FakePredictor):
        def explain_all(self, image: Path, **_: Any) -> Any:
            raise RuntimeError("out of memory")

    with caplog.at_level(logging.ERROR):
        changes = show_answer(Broken(), upload_of(lesion))
    assert visibility(changes) == [True, False, True]
    assert FAILED in changes[2]["value"]
    assert "out of memory" in caplog.text


@pytest.mark.parametrize("upload", [None, {}, {"path": None, "url": "data:image/png;base64,"}])
def test_without_a_picture_nothing_changes(predictor: FakePredictor, upload: Any) -> None:
    assert show_answer(predictor, upload) == (gr.skip(),) * 4


def test_a_picture_is_forgotten_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "3f2a"
    folder.mkdir()
    picture = folder / "mole.jpg"
    picture.write_bytes(b"pixels")
    assert forget([str(picture)]) == []
    assert list(tmp_path.iterdir()) == []
    assert forget([str(picture)]) == []


def test_what_lies_beside_a_picture_stays(tmp_path: Path) -> None:
    for name in ("one.jpg", "two.jpg"):
        (tmp_path / name).write_bytes(b"pixels")
    forget([str(tmp_path / "one.jpg")])
    assert [path.name for path in tmp_path.iterdir()] == ["two.jpg"]


def test_the_interface_sends_nothing_and_offers_no_programming_interface(predictor: FakePredictor) -> None:
    interface = build_interface(predictor)
    assert interface.analytics_enabled is False
    assert interface.get_api_info() == {"named_endpoints": {}, "unnamed_endpoints": {}}
    assert all(fn.api_visibility == "private" for fn in interface.fns.values())


def test_gradio_is_never_asked_to_decode_a_picture(predictor: FakePredictor) -> None:
    interface = build_interface(predictor)
    readers = [fn for fn in interface.fns.values() if any(isinstance(block, gr.Image) for block in fn.inputs)]
    assert [fn.preprocess for fn in readers] == [False]


def test_the_notice_is_part_of_the_page(predictor: FakePredictor) -> None:
    texts = [
        block.value for block in build_interface(predictor).blocks.values() if isinstance(block, gr.HTML)
    ]
    assert sum(NOTICE in (text or "") for text in texts) == 1
