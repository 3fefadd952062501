"""The case list on the disk: rows and files agree, whatever fails in between, and older lists are taken along."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import create_engine, inspect
from sqlalchemy.exc import DBAPIError, StatementError
from sqlalchemy.pool import NullPool

from derm_core import ConfigError, InvalidImageError, PatientContext, load_dataset, load_image, unpack_heatmap
from desktop.case_change import apart, changes, explained_of, pair_of
from desktop.case_entries import Named, NewPhotograph, noted
from desktop.case_exchange import export_dataset
from desktop.case_list import CaseList
from desktop.case_opening import case_list
from desktop.case_reading import FILE, PAGE_SIZE, title
from desktop.case_schema import STEPS, Base, open_database
from tests.derm_core.interchange.examples import ANSWER, MOMENT, REFUSED, jpeg

SHOULDER = Named("P-0317", "left shoulder", "back", "Watch it.")


@pytest.fixture
def cases(tmp_path: Path) -> CaseList:
    return CaseList(tmp_path / "cases")


def shot(number: int = 1, **values: Any) -> NewPhotograph:
    flat = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    given: dict[str, Any] = {
        "picture": jpeg(90 + number),
        "prediction": ANSWER,
        "heatmaps": dict.fromkeys(ANSWER.probabilities, flat),
        "answered_at": MOMENT,
        "key": f"{number:032x}",
    }
    return NewPhotograph(**given | values)


def files(cases: CaseList) -> list[str]:
    return sorted(path.name for path in cases.pictures.root.rglob("*") if path.is_file())


def with_rows(file: Path, statement: str) -> list[Any]:
    connection = sqlite3.connect(file)
    try:
        with connection:
            return connection.execute(statement).fetchall()
    finally:
        connection.close()


def test_a_lesion_is_kept_with_its_photographs_in_order_of_time(cases: CaseList, tmp_path: Path) -> None:
    key = cases.add_lesion(SHOULDER)
    late = shot(1, taken_on=date(2026, 11, 1), patient=PatientContext(54, "female"), note="Itches.")
    assert cases.keep(key, late)
    assert cases.keep(key, shot(2, taken_on=date(2025, 3, 1)))
    assert not cases.keep(key, late)
    lesion = CaseList(tmp_path / "cases").lesion(key)
    assert lesion is not None
    assert title(lesion) == "P-0317, left shoulder"
    assert [visit.taken_on for visit in lesion.visits] == [date(2025, 3, 1), date(2026, 11, 1)]
    newest = lesion.visits[-1]
    assert newest.answer == ANSWER.to_dict()
    assert (newest.age, newest.sex, newest.note, newest.answered_at) == (54, "female", "Itches.", MOMENT)
    assert (newest.width, newest.height, newest.imported_at) == (64, 48, None)
    kept = unpack_heatmap(cases.pictures.heatmap(newest.key, "mel"))
    assert kept.max() == pytest.approx(1)
    assert files(cases).count("photo.jpg") == 2


def test_a_copy_has_no_metadata_and_is_upright(cases: CaseList, lesion: Path) -> None:
    key = cases.add_lesion(SHOULDER)
    cases.keep(key, shot(picture=lesion.read_bytes()))
    content = cases.pictures.photograph(shot().key)
    assert b"Dr Somebody" not in content
    assert load_image(content).size == (180, 240)


def test_no_heatmap_is_kept_where_there_is_no_answer(cases: CaseList) -> None:
    cases.keep(cases.add_lesion(SHOULDER), shot(prediction=REFUSED))
    assert files(cases) == ["photo.jpg"]
    photograph = cases.photograph(shot().key)
    assert photograph is not None
    assert (photograph.is_answered, photograph.lesion_share) == (False, None)


def test_what_cannot_be_kept_leaves_nothing_behind(cases: CaseList, monkeypatch: pytest.MonkeyPatch) -> None:
    key = cases.add_lesion(SHOULDER)
    with pytest.raises(InvalidImageError):
        cases.keep(key, shot(picture=b"This is a letter."))
    with pytest.raises(LookupError):
        cases.keep("0" * 32, shot())
    monkeypatch.setattr("desktop.case_pictures.write_synced", _no_room)
    with pytest.raises(OSError, match="No space"):
        cases.keep(key, shot())
    monkeypatch.undo()
    with pytest.raises(StatementError, match="JSON"):
        cases.keep(key, shot(measured={"odd": {1, 2}}))
    assert files(cases) == []
    lesion = cases.lesion(key)
    assert lesion is not None
    assert lesion.photographs == []


def _no_room(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_what_a_killed_app_left_behind_is_swept_away_at_the_next_start(
    cases: CaseList, tmp_path: Path
) -> None:
    key = cases.add_lesion(SHOULDER)
    cases.keep(key, shot(1))
    flat: Mapping[str, Any] = shot().heatmaps
    cases.pictures.save(f"{9:032x}", jpeg(), flat)
    growing = cases.pictures.root / "00" / f".{8:032x}.abc.partial"
    growing.mkdir()
    (growing / "photo.jpg").write_bytes(b"half")
    again = CaseList(tmp_path / "cases")
    assert list(again.pictures.keys()) == [shot(1).key]
    assert not growing.exists()
    assert again.sweep() == 0
    with_rows(tmp_path / "cases" / FILE, "PRAGMA foreign_keys = ON")
    assert again.pictures.photograph(shot(1).key)


KEEPS_ON = """
import sys
from itertools import count
from pathlib import Path
from desktop.case_entries import Named
from desktop.case_list import CaseList
from tests.desktop.test_case_list import shot
cases = CaseList(Path(sys.argv[1]))
key = cases.add_lesion(Named("P-1"))
for number in count(1):
    cases.keep(key, shot(number))
    if number > 5 and number % 3 == 0:
        cases.delete_photograph(shot(number - 2).key)
    print(number, flush=True)
"""


def test_killed_at_any_moment_each_row_has_its_files_and_each_file_its_row(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KEEPS_ON, str(tmp_path / "cases")]
    with subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE) as keeping:
        assert keeping.stdout is not None
        for _ in range(8):
            keeping.stdout.readline()
        keeping.kill()
    cases = CaseList(tmp_path / "cases")
    rows = {visit.key for lesion in cases.each() for visit in lesion.visits}
    assert len(rows) >= 7
    assert set(cases.pictures.keys()) == rows
    for key in rows:
        assert len(list(cases.pictures.path(key).parent.iterdir())) == 1 + len(ANSWER.probabilities)


def test_the_newest_review_counts_and_each_step_stays(cases: CaseList) -> None:
    cases.keep(cases.add_lesion(SHOULDER), shot())
    key = shot().key
    assert cases.review(key, noted("confirmed", "nv", "follow-up"))
    assert cases.review(key, noted("confirmed", "mel", "histopathology", "0.4 mm"))
    photograph = cases.photograph(key)
    assert photograph is not None
    assert photograph.review is not None
    assert (photograph.review.diagnosis, photograph.review.comment) == ("mel", "0.4 mm")
    assert cases.review(key, noted("withdrawn"))
    photograph = cases.photograph(key)
    assert photograph is not None
    assert photograph.review is None
    assert [step.verdict for step in photograph.reviews] == ["confirmed", "confirmed", "withdrawn"]
    earlier = replace(noted("confirmed", "bkl", "consensus"), reviewed_at=MOMENT.replace(year=2020))
    assert not cases.review(key, earlier, only_newer=True)
    assert not cases.review("0" * 32, noted("bad-picture"))


def test_what_is_deleted_is_gone_with_its_files(cases: CaseList, tmp_path: Path) -> None:
    key = cases.add_lesion(SHOULDER)
    for number in (1, 2, 3):
        cases.keep(key, shot(number))
    cases.review(shot(1).key, noted("bad-picture"))
    assert cases.delete_photograph(shot(1).key)
    assert not cases.delete_photograph(shot(1).key)
    assert files(cases).count("photo.jpg") == 2
    assert cases.delete_lesion(key) == 2
    assert cases.delete_lesion(key) is None
    assert files(cases) == []
    assert with_rows(tmp_path / "cases" / FILE, "SELECT count(*) FROM reviews") == [(0,)]


def test_lesions_are_found_by_any_of_their_words(cases: CaseList) -> None:
    cases.add_lesion(SHOULDER)
    cases.add_lesion(Named("P-0400", "100% sure", "face"))
    assert [title(one) for one in cases.page("shoulder p-03").lesions] == ["P-0317, left shoulder"]
    assert [title(one) for one in cases.page("100%").lesions] == ["P-0400, 100% sure"]
    assert cases.page("%").total == 1
    assert cases.page("BACK").total == 1
    assert cases.page("nothing").lesions == []
    assert [words for words, _ in cases.titles()] == ["P-0400, 100% sure", "P-0317, left shoulder"]


def test_pages_end_where_the_lesions_do(cases: CaseList) -> None:
    for number in range(PAGE_SIZE + 1):
        cases.add_lesion(Named(f"P-{number}"))
    last = cases.page(number=7)
    assert (last.number, last.total, len(last.lesions)) == (1, PAGE_SIZE + 1, 1)
    assert len(list(cases.each())) == PAGE_SIZE + 1


def test_a_lesion_is_called_otherwise(cases: CaseList) -> None:
    key = cases.add_lesion(SHOULDER)
    assert cases.rename(key, replace(SHOULDER, name="right shoulder"))
    lesion = cases.lesion(key)
    assert lesion is not None
    assert lesion.name == "right shoulder"
    assert not cases.rename("0" * 32, SHOULDER)


def test_the_steps_make_the_tables_of_the_models(tmp_path: Path) -> None:
    def told(engine: Any) -> dict[str, Any]:
        found = inspect(engine)
        return {
            table: (
                [
                    (column["name"], str(column["type"]), column["nullable"])
                    for column in found.get_columns(table)
                ],
                sorted(index["column_names"][0] for index in found.get_indexes(table) if not index["unique"]),
                [(key["referred_table"], key["options"]) for key in found.get_foreign_keys(table)],
            )
            for table in found.get_table_names()
        }

    modelled = create_engine(f"sqlite:///{tmp_path / 'models'}", poolclass=NullPool)
    Base.metadata.create_all(modelled)
    assert told(open_database(tmp_path / "steps")) == told(modelled)


def test_a_list_of_an_earlier_version_is_taken_along_with_its_rows(tmp_path: Path) -> None:
    folder = tmp_path / "cases"
    folder.mkdir()
    open_database(folder / FILE, STEPS[:1])
    with_rows(
        folder / FILE,
        "INSERT INTO lesions (key, patient, name, site, notes, created_at, changed_at) VALUES "
        f"('{7:032x}', 'P-1', '', '', '', '2026-01-02 03:04:05', '2026-01-02 03:04:05')",
    )
    assert with_rows(folder / FILE, "PRAGMA user_version") == [(1,)]
    cases = CaseList(folder)
    assert with_rows(folder / FILE, "PRAGMA user_version") == [(len(STEPS),)]
    lesion = cases.lesion(f"{7:032x}")
    assert lesion is not None
    assert (lesion.patient, lesion.created_at) == ("P-1", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    cases.keep(lesion.key, shot())
    assert cases.review(shot().key, noted("bad-picture"))


def test_a_step_that_fails_leaves_the_list_as_it_was(tmp_path: Path) -> None:
    open_database(tmp_path / FILE, STEPS[:1])
    broken = (*STEPS[:1], ("CREATE TABLE half (id INTEGER)", "CREATE TABLE lesions (id INTEGER)"))
    with pytest.raises(DBAPIError, match="already exists"):
        open_database(tmp_path / FILE, broken)
    assert with_rows(tmp_path / FILE, "PRAGMA user_version") == [(1,)]
    assert with_rows(tmp_path / FILE, "SELECT name FROM sqlite_master WHERE name = 'half'") == []


def test_a_list_from_the_future_is_refused_in_words(cases: CaseList, tmp_path: Path) -> None:
    with_rows(tmp_path / "cases" / FILE, "PRAGMA user_version = 99")
    with pytest.raises(ConfigError, match=r"newer version of the app .tables 99; this one knows 2"):
        CaseList(tmp_path / "cases")


def test_the_list_of_a_folder_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path))
    assert case_list() is case_list()
    assert (tmp_path / "case-list" / FILE).is_file()
    assert (tmp_path / "case-list").stat().st_mode & 0o077 == 0


def test_reviewed_cases_become_a_dataset_without_names(cases: CaseList, tmp_path: Path) -> None:
    key = cases.add_lesion(SHOULDER)
    for number in (1, 2, 3):
        cases.keep(key, shot(number, patient=PatientContext(54, "female")))
    cases.review(shot(1).key, noted("confirmed", "mel", "histopathology"))
    cases.review(shot(2).key, noted("bad-picture"))
    export_dataset(cases, tmp_path / "dataset")
    dataset = load_dataset(tmp_path / "dataset")
    (row,) = dataset.table.to_dict("records")
    assert (row["diagnosis"], row["confirmed_by"], row["age"]) == ("mel", "histo", 54)
    assert (row["lesion_id"], row["site"]) == (key, "back")
    assert "P-0317" not in (tmp_path / "dataset" / "metadata.csv").read_text()


def test_what_changed_is_told_in_order(cases: CaseList) -> None:
    key = cases.add_lesion(SHOULDER)
    calm = replace(
        ANSWER,
        probabilities={"mel": 0.1, "nv": 0.8, "bkl": 0.1},
        top="nv",
        malignant_probability=0.1,
        advice="routine",
        model_sha256="a" * 64,
        plausible=(),
    )
    cases.keep(key, shot(1, taken_on=date(2025, 10, 1), prediction=calm))
    cases.keep(key, shot(2, taken_on=date(2026, 9, 1), prediction=REFUSED))
    cases.keep(key, shot(3, taken_on=date(2026, 11, 1)))
    lesion = cases.lesion(key)
    assert lesion is not None
    first, refused, last = lesion.visits
    assert pair_of(lesion.visits) == (first, last)
    assert pair_of(lesion.visits, left=refused.key) == (refused, last)
    assert pair_of(lesion.visits[:1]) is None
    assert explained_of(lesion.visits) == "mel"
    assert changes(first, last) == [
        "13 months apart",
        "Risk of malignancy 10% → 60%",
        "How much of the pictures the lesion covers cannot be told for both",
        "Two different models answered, so the figures are not fully comparable",
    ]
    assert changes(refused, last)[-1] == "One of the two has no answer, so there are no figures to compare"
    first.lesion_share, last.lesion_share = 0.08, 0.12
    assert "The lesion covers 8% of the earlier picture and 12% of the later one" in changes(first, last)


@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2026, 1, 1), "On the same day"),
        (date(2026, 1, 2), "1 day apart"),
        (date(2025, 12, 1), "31 days apart"),
        (date(2027, 1, 1), "12 months apart"),
        (date(2031, 1, 1), "5 years apart"),
    ],
)
def test_the_time_between_two_visits_is_told_in_words(day: date, words: str) -> None:
    assert apart(date(2026, 1, 1), day) == words
