"""The journal of a long run: every whole row survives a kill, and rows of another run are not gone on with."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from derm_core.errors import ConfigError, InvalidImageError
from derm_core.serving.answer_journal import (
    journal_about,
    journal_rows,
    open_answer_journal,
    rows_at,
    write_rows,
)
from derm_core.serving.answer_rows import answer_columns, answer_row
from derm_core.serving.prediction import Prediction

CLASSES = ("mel", "nv")
ABOUT = {"columns": answer_columns(CLASSES), "model": "9f3c"}


def prediction(risk: float) -> Prediction:
    return Prediction(
        probabilities={"mel": risk, "nv": 1 - risk},
        top="mel" if risk > 0.5 else "nv",
        malignant_probability=risk,
        operating_point=0.5,
        advice="refer" if risk >= 0.5 else "routine",
        quality=(),
        model_name="tiny",
        model_version="1",
        model_sha256="9f3c",
        seconds=0.01234567,
        plausible=("mel", "nv"),
    )


def row(name: str, risk: float) -> dict[str, object]:
    return answer_row(Path(name), prediction(risk), CLASSES)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "answers.journal"
    with open_answer_journal(path, ABOUT, go_on=False) as journal:
        for number in range(3):
            journal.write(row(f"{number}.jpg", number / 4))
    return path


def test_a_row_has_the_agreed_columns_and_plain_values() -> None:
    answered = row("a.jpg", 0.75)
    assert list(answered) == answer_columns(CLASSES)
    assert (answered["p_mel"], answered["seconds"], answered["plausible"]) == (0.75, 0.0123, ["mel", "nv"])
    unread = answer_row(Path("b.jpg"), InvalidImageError("b.jpg is cut short."), CLASSES)
    assert unread["error"] == "b.jpg is cut short."
    assert {value for name, value in unread.items() if name not in ("file", "error")} == {None}


def test_what_a_kill_leaves_of_a_row_is_cut_off_and_the_rest_gone_on_with(path: Path) -> None:
    with path.open("ab") as stream:
        stream.write(b'{"file": "3.jp')
    with open_answer_journal(path, ABOUT, go_on=True) as journal:
        assert [journal.is_done(Path(f"{number}.jpg")) for number in range(4)] == [True, True, True, False]
        assert journal.first == row("0.jpg", 0)
        assert not journal.grown
        journal.write(row("3.jpg", 0.9))
    assert [found["file"] for _, found in journal_rows(path)] == [f"{number}.jpg" for number in range(4)]


def test_rows_are_found_again_by_their_places(path: Path) -> None:
    with open_answer_journal(path, ABOUT, go_on=True) as journal:
        place = journal.write(row("ä.jpg", 0.9))
    places = [place for place, _ in journal_rows(path)]
    assert places[-1] == place
    assert [found["file"] for found in rows_at(path, [place, places[0]])] == ["ä.jpg", "0.jpg"]


def test_rows_stay_where_the_run_fails(path: Path) -> None:
    def fail() -> None:
        with open_answer_journal(path, ABOUT, go_on=True) as journal:
            journal.write(row("3.jpg", 0.9))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert len(list(journal_rows(path))) == 4


def test_rows_of_another_model_are_not_gone_on_with(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with (
        pytest.raises(ConfigError, match="was left by another run: model differ"),
        open_answer_journal(path, ABOUT | {"model": "other"}, go_on=True),
    ):
        pass
    assert path.read_bytes() == before
    (tmp_path / "letter").write_text("Dear Mira")
    assert journal_about(tmp_path / "letter") is None
    assert journal_about(tmp_path / "nothing") is None
    assert journal_about(path) == ABOUT


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl"])
def test_rows_are_written_whole_or_not_at_all(path: Path, tmp_path: Path, name: str) -> None:
    out = tmp_path / name
    columns = list(ABOUT["columns"])
    write_rows(out, (found for _, found in journal_rows(path)), columns)
    if name.endswith("csv"):
        with out.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        assert [found["malignant_probability"] for found in rows] == ["0.0", "0.25", "0.5"]
        assert rows[0]["plausible"] == "mel;nv"
    else:
        assert json.loads(out.read_text().splitlines()[2])["advice"] == "refer"
    before = out.read_bytes()
    with pytest.raises(ValueError, match="dict contains fields" if name.endswith("csv") else "not JSON"):
        write_rows(out, [{"other": float("nan")}], columns)
    assert out.read_bytes() == before
    assert {found.name for found in tmp_path.iterdir()} == {name, path.name}
