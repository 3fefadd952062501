"""Case files: what is written is read again, and what somebody tampered with is refused in one sentence."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from derm_core import CaseFileError, open_case_file, write_case_file
from tests.derm_core.interchange.examples import (
    ANSWER,
    MOMENT,
    case_file,
    entries,
    heatmap,
    jpeg,
    lesion,
    packed,
    photograph,
    review,
    tampered,
)


def refusal(content: bytes, **options: Any) -> str:
    with pytest.raises(CaseFileError) as caught, open_case_file(io.BytesIO(content), **options):
        pass
    return str(caught.value)


def test_what_is_written_is_read_again() -> None:
    with open_case_file(io.BytesIO(case_file())) as opened:
        (found,) = opened.lesions
        assert opened.photographs == 2
        assert (found.id, found.name, found.patient) == (lesion().id, "left shoulder", "P-0317")
        assert (found.site, found.body, found.notes) == ("back", ("back", 0.25, 0.5), "Watch it.")
        assert found.created_at == MOMENT
        answered, refused = found.photographs
        assert answered.prediction == ANSWER
        assert answered.measured["sensitivity_ci95"] == [0.9, 0.97]
        assert "specificity_ci95" not in answered.measured
        assert answered.review == review()
        assert (answered.note, answered.patient.age) == ("Itches.\nSince May.", 54.0)
        assert (answered.answered_at, str(answered.taken_on)) == (MOMENT, "2026-11-19")
        assert answered.picture() == jpeg(91)
        assert {code: read() for code, read in answered.heatmaps.items()} == dict.fromkeys(
            ANSWER.probabilities, heatmap()
        )
        assert refused.heatmaps == {}
        assert refused.review is None


def test_the_same_lesions_make_the_same_file() -> None:
    assert case_file() == case_file()


def test_a_file_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    def broken() -> bytes:
        raise OSError("The disk is gone")

    out = tmp_path / "clinic.dermcases"
    with pytest.raises(OSError, match="gone"):
        write_case_file(out, [lesion(photograph(picture=broken))])
    assert list(tmp_path.iterdir()) == []
    assert write_case_file(out, [lesion()]) == 2
    with open_case_file(out) as opened:
        assert opened.photographs == 2


def test_a_photograph_that_is_gone_meanwhile_is_left_out() -> None:
    def gone() -> bytes:
        raise FileNotFoundError

    content = case_file(lesion(photograph(1, picture=gone), photograph(2)))
    with open_case_file(io.BytesIO(content)) as opened:
        assert [one.id for one in opened.lesions[0].photographs] == [photograph(2).id]


def test_a_version_from_the_future_is_refused_in_words() -> None:
    sentence = refusal(tampered(lambda values: values.update(version=2)))
    assert "written by a newer Dermatrace (format 2; this one reads 1). Update this one" in sentence


@pytest.mark.parametrize("length", [0, 10, 400, -1, -30])
def test_a_truncated_file_is_refused(length: int) -> None:
    assert "case file" in refusal(case_file()[:length])


def test_every_single_byte_that_is_cut_off_is_noticed(tmp_path: Path) -> None:
    whole = case_file()
    for length in range(0, len(whole), max(1, len(whole) // 40)):
        refusal(whole[:length])


def test_what_is_no_zip_or_no_case_file_is_refused() -> None:
    assert "not a whole case file" in refusal(b"This is a letter.")
    assert "it has no list" in refusal(packed({"letter.txt": b"Dear colleague"}))
    assert "not one of lesions" in refusal(packed({"manifest.json": b'{"format": "another", "version": 1}'}))
    assert "list of this case file cannot be read" in refusal(packed({"manifest.json": b'{"format": '}))
    assert "cannot be read" in refusal(packed({"manifest.json": b"[" * 100_000}))
    assert "cannot be read" in refusal(packed({"manifest.json": b'{"version": NaN}'}))
    assert "the list is [1]" in refusal(packed({"manifest.json": b"[1]"}))
    missing = Path("/nowhere/x.dermcases")
    with pytest.raises(CaseFileError, match=r"Name a \.dermcases file"), open_case_file(missing):
        pass


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../../x.jpg", "pictures/../../x.jpg", "C:\\x.jpg", "pictures/00001/x.php"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    files = entries(case_file())
    assert "do not belong into one" in refusal(packed(files | {name: b"x"}))


def test_an_entry_that_is_not_listed_is_refused() -> None:
    files = entries(case_file()) | {"pictures/00009/photo.jpg": jpeg()}
    assert "other pictures than it lists" in refusal(packed(files))


def test_a_listed_entry_that_is_missing_is_refused() -> None:
    files = entries(case_file())
    del files["pictures/00002/photo.jpg"]
    assert "other pictures than it lists" in refusal(packed(files))


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    files = entries(case_file()) | {"pictures/00001/photo.jpg": bytes(50_000_000)}
    bomb = packed(files, zipfile.ZIP_DEFLATED)
    assert len(bomb) < 200_000
    assert "packed by another program" in refusal(bomb)


def test_entries_that_share_their_bytes_are_refused() -> None:
    """A list of entries that all point at one picture would hold more than the file has."""
    content = case_file(lesion(*(photograph(number) for number in range(1, 5))))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        picture = archive.getinfo("pictures/00001/photo.jpg")
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as copy:
            copy.writestr(picture.filename, archive.read(picture))
            (info,) = copy.infolist()
            for number in range(9000, 9040):
                other = zipfile.ZipInfo(f"pictures/{number:05}/photo.jpg")
                other.file_size = other.compress_size = info.file_size
                other.CRC, other.header_offset = info.CRC, info.header_offset
                copy.filelist.append(other)
            copy.writestr("manifest.json", archive.read("manifest.json"))
    assert "packed by another program" in refusal(buffer.getvalue())


def test_a_file_that_is_too_large_is_refused() -> None:
    content = case_file()
    assert "wanted: at most" in refusal(content, most_bytes=len(content) - 1)


def test_a_picture_that_was_exchanged_is_refused_when_it_is_read() -> None:
    files = entries(case_file())
    files["pictures/00001/photo.jpg"] = jpeg(10)
    with open_case_file(io.BytesIO(packed(files))) as opened:
        answered, refused = opened.lesions[0].photographs
        with pytest.raises(CaseFileError, match="not the one that was exported"):
            answered.picture()
        assert refused.picture() == jpeg(92)


def at(*path: Any) -> Callable[[dict[str, Any]], Any]:
    def found(values: dict[str, Any]) -> Any:
        place: Any = values
        for step in path:
            place = place[step]
        return place

    return found


LESION = at("lesions", 0)
SHOT = at("lesions", 0, "photographs", 0)
REPLY = at("lesions", 0, "photographs", 0, "answer")


@pytest.mark.parametrize(
    ("where", "changes", "words"),
    [
        (LESION, {"id": "../../../x"}, "id is '../../../x'; wanted: 32 hexadecimal digits"),
        (LESION, {"name": "x" * 81}, "wanted: a plain text of 0 to 80 characters"),
        (LESION, {"name": "two\nlines"}, "lesion 1, name"),
        (LESION, {"name": "", "patient": " "}, "a name, or a patient"),
        (LESION, {"notes": "nul\x00"}, "lesion 1, notes"),
        (LESION, {"notes": "\ud800"}, "lesion 1, notes"),
        (LESION, {"site": "moon"}, "site is 'moon'"),
        (LESION, {"body": {"view": "front", "x": 2, "y": 0}}, "a number from 0 to 1"),
        (LESION, {"created_at": "yesterday"}, "a moment such as"),
        (LESION, {"created_at": "0001-01-01T00:00:00+14:00"}, "a moment"),
        (LESION, {"photographs": {}}, "a list of at most 5,000"),
        (SHOT, {"id": 7}, "lesion 1, photograph 1, id is 7"),
        (SHOT, {"picture": "pictures/00077/photo.jpg"}, "lists a picture that it does not hold"),
        (SHOT, {"picture": "/etc/passwd"}, "lists a picture that it does not hold"),
        (SHOT, {"heatmaps": {}}, "heatmaps is {}; wanted: one for each of mel, nv, bkl"),
        (SHOT, {"taken_on": "2026-13-01"}, "a day such as"),
        (SHOT, {"measured": {"sensitivity": True}}, "sensitivity is True"),
        (SHOT, {"review": {"verdict": "maybe"}}, "one of confirmed, bad-picture"),
        (REPLY, {"probabilities": {"mel": 1.0}}, "two or more of akiec"),
        (REPLY, {"probabilities": {"../mel": 0.5, "nv": 0.5}}, "two or more of akiec"),
        (REPLY, {"probabilities": {"mel": 0.6, "nv": 0.6, "bkl": 0.1}}, "probabilities sum to 1"),
        (REPLY, {"malignant_probability": 0.1}, "the risk is that of the malignant classes"),
        (REPLY, {"top": "nv"}, "top is the most probable class"),
        (REPLY, {"advice": "routine"}, "the advice follows"),
        (REPLY, {"model_sha256": "abc"}, "64 hexadecimal digits"),
        (REPLY, {"seconds": 1e400}, "cannot be read"),
        (REPLY, {"context": ["age", "age"]}, "a list of different words"),
        (REPLY, {"plausible": ["akiec"]}, "some of mel, nv, bkl"),
        (REPLY, {"quality": [{"name": "ink", "reason": "Ink.", "severity": "fatal"}]}, "one of refuse, note"),
        (at("entries", "pictures/00001/photo.jpg"), {"sha256": "0"}, "64 hexadecimal digits"),
        (at("entries", "pictures/00001/photo.jpg"), {"bytes": -1}, "a whole number from 0"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_its_place(
    where: Callable[[dict[str, Any]], Any], changes: dict[str, Any], words: str
) -> None:
    assert words in refusal(tampered(lambda values: where(values).update(changes)))


def test_what_is_listed_twice_is_refused() -> None:
    assert "lists a photograph twice" in refusal(case_file(lesion(photograph(1), photograph(1))))
    assert "lists a lesion twice" in refusal(case_file(lesion(), lesion(photograph(7))))


def test_what_nobody_knows_of_a_measured_point_is_left_out() -> None:
    content = tampered(lambda values: SHOT(values)["measured"].update(script="<b>"))
    with open_case_file(io.BytesIO(content)) as opened:
        assert "script" not in opened.lesions[0].photographs[0].measured


def test_the_list_is_plain_json_with_a_version() -> None:
    values = json.loads(entries(case_file())["manifest.json"])
    assert (values["format"], values["version"], values["made_by"]) == ("dermatrace-cases", 1, "tests")
    assert set(values["entries"]) == {name for name in entries(case_file()) if name != "manifest.json"}
