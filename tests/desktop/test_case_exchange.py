"""Case files at the desk, and the way from the desk to the website and back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from sqlalchemy import select

from derm_core import CaseFileError, open_case_file
from desktop.case_exchange import export_cases, import_cases
from desktop.case_list import CaseList
from desktop.case_reading import title
from tests.derm_core.interchange.examples import (
    ANSWER,
    MOMENT,
    case_file,
    entries,
    jpeg,
    lesion,
    packed,
    photograph,
    review,
)
from tests.web.conftest import Person
from tests.web.conftest import app as app
from tests.web.conftest import clinician as clinician
from tests.web.conftest import database as database
from tests.web.conftest import make_app as make_app
from tests.web.conftest import migrated_database as migrated_database
from tests.web.conftest import predictor as predictor
from web.database import db
from web.models import Lesion


@pytest.fixture
def cases(tmp_path: Path) -> CaseList:
    return CaseList(tmp_path / "cases")


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_a_case_file_is_taken_in_and_once_only(cases: CaseList, tmp_path: Path) -> None:
    file = written(tmp_path / "clinic.dermcases", case_file())
    assert import_cases(cases, file).sentences == [
        "Added: 1 lesion, 2 photographs, 1 confirmed diagnosis or mark."
    ]
    assert import_cases(cases, file).sentences == [
        "Nothing was added.",
        "2 photographs were there already.",
    ]
    (found,) = cases.each()
    assert (found.key, title(found), found.site) == (lesion().id, "P-0317, left shoulder", "back")
    assert (found.body, found.created_at) == (["back", 0.25, 0.5], MOMENT)
    answered, refused = found.visits
    assert answered.answer == ANSWER.to_dict()
    assert answered.imported_at is not None
    assert answered.review is not None
    assert (answered.review.reviewer, answered.review.reviewed_at) == ("Dr Klein", MOMENT)
    assert not refused.is_answered


def test_what_is_exported_is_what_was_taken_in(cases: CaseList, tmp_path: Path) -> None:
    import_cases(cases, written(tmp_path / "in.dermcases", case_file()))
    assert export_cases(cases, tmp_path / "out.dermcases") == 2
    with (
        open_case_file(io.BytesIO(case_file())) as before,
        open_case_file(tmp_path / "out.dermcases") as after,
    ):
        (one,), (other,) = before.lesions, after.lesions
        assert (one.id, one.patient, one.body, one.notes) == (
            other.id,
            other.patient,
            other.body,
            other.notes,
        )
        for shot, again in zip(one.photographs, other.photographs, strict=True):
            assert (shot.id, shot.prediction, shot.review) == (again.id, again.prediction, again.review)
            assert (shot.note, shot.taken_on, shot.patient) == (again.note, again.taken_on, again.patient)
            assert shot.measured == again.measured
            assert [read() for read in shot.heatmaps.values()] == [read() for read in again.heatmaps.values()]
    assert export_cases(cases, tmp_path / "none.dermcases", []) == 0


def test_only_what_is_sound_is_taken_in(cases: CaseList, tmp_path: Path) -> None:
    files = entries(case_file(lesion(photograph(1), photograph(2), photograph(3))))
    files["pictures/00001/photo.jpg"] = jpeg(1)
    counts = import_cases(cases, written(tmp_path / "x.dermcases", packed(files)))
    assert (counts.photographs, counts.refused.total()) == (2, 1)
    letter = case_file(lesion(photograph(1, picture=lambda: b"This is a letter.")))
    counts = import_cases(cases, written(tmp_path / "x.dermcases", letter))
    assert counts.sentences[-1] == "1 not taken: The picture or one of its heatmaps cannot be read."
    with pytest.raises(CaseFileError, match="not a whole case file"):
        import_cases(cases, written(tmp_path / "x.dermcases", b"This is a letter."))


def test_a_file_that_cannot_be_written_is_one_sentence(cases: CaseList, tmp_path: Path) -> None:
    with pytest.raises(CaseFileError, match="cannot be written"):
        export_cases(cases, tmp_path / "nowhere" / "x.dermcases")


def test_from_the_desk_to_the_website_and_back_nothing_is_lost_or_doubled(
    cases: CaseList, clinician: Person, tmp_path: Path
) -> None:
    import_cases(cases, written(tmp_path / "in.dermcases", case_file()))
    export_cases(cases, tmp_path / "desk.dermcases")
    sent = {"file": (io.BytesIO((tmp_path / "desk.dermcases").read_bytes()), "desk.dermcases")}
    response = clinician.post("/interchange/import", sent, content_type="multipart/form-data")
    assert response.status_code == 303, response.text
    with clinician.app.app_context():
        key = db.session.scalars(select(Lesion.key)).one()
    back = written(tmp_path / "web.dermcases", clinician.get(f"/lesions/{key}/file").data)
    assert import_cases(cases, back).sentences == [
        "Nothing was added.",
        "2 photographs were there already.",
    ]
    other = CaseList(tmp_path / "other")
    assert import_cases(other, back).photographs == 2
    (found,) = other.each()
    assert found.key == lesion().id
    assert [visit.answer for visit in found.visits] == [visit.answer for visit in next(cases.each()).visits]
    assert found.visits[0].review is not None
    assert found.visits[0].review.diagnosis == review().diagnosis
