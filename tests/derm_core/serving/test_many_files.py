"""Pictures of folders: found in order, answered in order on every core, and a bad one is no end."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from derm_core.errors import InvalidImageError
from derm_core.serving.context import PatientContext
from derm_core.serving.many_files import find_pictures, predict_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.jpg", "a.JPEG", "notes.docx", ".hidden.jpg", "back/c.tif", ".trash/d.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    return tmp_path


def test_pictures_are_found_by_their_names_in_order(folder: Path) -> None:
    found, ignored = find_pictures([folder])
    assert [str(path.relative_to(folder)) for path in found] == ["a.JPEG", "b.jpg", "back/c.tif"]
    assert ignored == 1
    assert find_pictures([folder], recursive=False)[0] == found[:2]


def test_what_is_named_itself_is_tried_whatever_it_is_called(folder: Path) -> None:
    named = [folder / "notes.docx", folder / "gone"]
    assert find_pictures(named) == (named, 0)


class Answering:
    """Answers with the file's name; later files are done before earlier ones."""

    def __init__(self, *, batches: bool) -> None:
        self.batches = batches
        self.together: list[int] = []
        self._late = threading.Event()

    def predict(self, file: Path, context: PatientContext | None) -> Any:
        if file.name == "bad.jpg":
            raise InvalidImageError("bad.jpg is cut short.")
        return file.name, context

    def predict_many(self, files: Any, *, contexts: Any, batch_size: int, on_error: str) -> Any:
        self.together.append(batch_size)
        assert on_error == "return"
        for file, context in zip(files, [*contexts, *[None] * 9], strict=False):
            yield SimpleNamespace(name=file.name, context=context)


def test_answers_come_in_order_and_a_bad_file_gives_its_error_in_its_place() -> None:
    files = [Path(f"{number}.jpg") for number in range(40)]
    files[7] = Path("bad.jpg")
    known = PatientContext(54)
    answers = list(predict_files(Answering(batches=False), files, contexts=[known]))  # type: ignore[arg-type]
    assert isinstance(answers[7], InvalidImageError)
    assert answers[0] == ("0.jpg", known)
    assert answers[8:] == [(f"{number}.jpg", None) for number in range(8, 40)]


def test_no_more_pictures_are_read_than_are_asked_for() -> None:
    files = [Path(f"{number}.jpg") for number in range(1000)]
    asked: list[str] = []

    class Counting(Answering):
        def predict(self, file: Path, context: PatientContext | None) -> Any:
            asked.append(file.name)
            return super().predict(file, context)

    answers = predict_files(Counting(batches=False), files)  # type: ignore[arg-type]
    next(answers)
    answers.close()
    assert len(asked) < 500


def test_on_a_gpu_they_go_through_the_network_together() -> None:
    predictor = Answering(batches=True)
    answers = list(predict_files(predictor, [Path("a.jpg"), Path("b.jpg")], batch_size=16))  # type: ignore[arg-type]
    assert [answer.name for answer in answers] == ["a.jpg", "b.jpg"]  # type: ignore[union-attr]
    assert predictor.together == [16]
