"""The audit finds what was planted in datasets: copies, leaks, clashes, overlaps; and nothing in clean ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from derm_core.data.audit import CHANGED, SAME_FILE, SAME_PIXELS, Audit, run_audit
from derm_core.data.audit_findings import (
    COPIES,
    NOWHERE,
    OWN_IDS,
    contradict,
    contradictions,
    counts_by_split,
    crossing_lesions,
    overlap,
    repeats,
    shared_with,
)
from derm_core.data.audit_report import make_report
from derm_core.data.audit_set import read_audit_sets
from derm_core.data.shortcuts import ORIGIN
from tests.derm_core.data.drawn import encoded, lesion, write_table
from tests.derm_core.data.sources import write_files, write_zip


def audit(*folders: Path) -> Audit:
    return run_audit(read_audit_sets(folders), workers=1)


def table(folder: Path, *rows: str, pictures: dict[str, bytes] | None = None) -> Path:
    """Writes a dataset folder; each row is "seed diagnosis lesion_id split", with "-" for what is unknown."""
    read = [[("" if word == "-" else word) for word in row.split()] for row in rows]
    made = {f"{row[0]}.jpg": encoded(lesion(int(row[0]))) for row in read if row[0].isdigit()}
    listed = [(row[0] if "." in row[0] else f"{row[0]}.jpg", row[1], row[2], row[3]) for row in read]
    return write_table(folder, listed, made | (pictures or {}))


def mirrored(seed: int) -> bytes:
    return encoded(lesion(seed).transpose(Image.Transpose.FLIP_LEFT_RIGHT), quality=70)


def test_a_clean_dataset_has_nothing_to_find(tmp_path: Path) -> None:
    rows = [
        f"{seed} {'nv' if seed % 2 else 'mel'} lesion-{seed} {'test' if seed > 6 else 'train'}"
        for seed in range(10)
    ]
    seen = audit(table(tmp_path / "set", *rows))
    report = make_report(seen)
    assert seen.pairs == ()
    assert len(set(seen.lesions.tolist())) == 10
    assert not report.has_faults
    assert report.overlaps == {}
    assert report.sets[0].repeats.groups == ()


def test_copies_say_how_they_repeat(tmp_path: Path) -> None:
    png = encoded(Image.open(write_files(tmp_path, {"1.jpg": encoded(lesion(1))}) / "1.jpg"), "PNG")
    pictures = {"same.jpg": encoded(lesion(1)), "same.png": png, "turned.jpg": mirrored(1)}
    rows = ("1 nv - -", "same.jpg nv - -", "same.png nv - -", "turned.jpg nv - -", "2 nv - -")
    seen = audit(table(tmp_path / "set", *rows, pictures=pictures))
    told = {(pair.first, pair.second): (pair.kind, pair.turn) for pair in seen.pairs}
    assert told[0, 1] == (SAME_FILE, "")
    assert told[0, 2] == (SAME_PIXELS, "")
    assert told[0, 3] == (CHANGED, "mirrored")
    assert repeats(seen, 0).groups == ((0, 1, 2, 3),)
    assert repeats(seen, 0).extra == 3


def test_a_copy_on_the_other_side_of_a_split_is_a_leak(tmp_path: Path) -> None:
    rows = ("1 nv - train", "2 nv - train", "3 nv - test", "copy.jpg nv - test")
    seen = audit(table(tmp_path / "set", *rows, pictures={"copy.jpg": mirrored(2)}))
    (leak,) = crossing_lesions(seen, 0)
    assert (leak.places, leak.shown, leak.evidence) == ((1, 3), (3, 1), COPIES)
    assert shared_with(seen, [leak]) == {"test": {"train": 1}, "train": {"test": 1}}
    assert make_report(seen).has_faults


def test_the_tables_own_lesion_ids_tell_of_a_leak_too(tmp_path: Path) -> None:
    seen = audit(
        table(tmp_path / "set", "1 nv one fold-0", "2 nv one fold-1", "3 nv two fold-1", "4 nv - fold-0")
    )
    (leak,) = crossing_lesions(seen, 0)
    assert (leak.places, leak.evidence) == ((0, 1), OWN_IDS)


def test_another_datasets_lesion_ids_reach_a_dataset_that_has_none(tmp_path: Path) -> None:
    known = table(tmp_path / "known", "1 nv one train", "2 nv one train", "3 mel two train")
    pictures = {f"{seed}.jpg": mirrored(seed) for seed in (1, 2, 3)}
    blind = table(
        tmp_path / "blind",
        "1.jpg benign - train",
        "2.jpg benign - test",
        "3.jpg malignant - test",
        pictures=pictures,
    )
    assert crossing_lesions(audit(blind), 0) == []
    seen = audit(known, blind)
    (leak,) = crossing_lesions(seen, 1)
    assert (leak.places, leak.shown, leak.evidence) == ((3, 4), (4, 3), "known")
    assert crossing_lesions(seen, 0) == []


def test_a_lesion_id_means_something_in_its_own_dataset_only(tmp_path: Path) -> None:
    seen = audit(table(tmp_path / "a", "1 nv one train"), table(tmp_path / "b", "2 nv one train"))
    assert len(set(seen.lesions.tolist())) == 2


def test_clashing_diagnoses_are_found_within_and_across(tmp_path: Path) -> None:
    pictures = {"copy.jpg": mirrored(1)}
    one = table(tmp_path / "one", "1 nv - -", "2 bkl - -", "3 nv same -", "4 mel same -")
    other = table(tmp_path / "other", "copy.jpg malignant - -", "2 benign - -", pictures=pictures)
    found = contradictions(audit(one, other))
    assert [(clash.places, clash.labels, clash.copies) for clash in found] == [
        ((0, 4), ("malignant", "nv"), True),
        ((2, 3), ("mel", "nv"), False),
    ]
    assert found[0].shown in ((0, 4), (4, 0))


@pytest.mark.parametrize(
    ("one", "other", "same_words", "expected"),
    [
        ("nv", "nv", True, False),
        ("nv", "bkl", False, True),
        ("nv", "benign", False, False),
        ("malignant", "nv", False, True),
        ("malignant", "bcc", False, False),
        ("benign", "malignant", True, True),
        ("nv", "", True, False),
        ("rash", "nv", True, True),
        ("rash", "nv", False, False),
    ],
)
def test_diagnoses_clash_where_both_cannot_be_true(
    one: str, other: str, same_words: bool, expected: bool
) -> None:
    assert contradict(one, other, same_words=same_words) is expected
    assert contradict(other, one, same_words=same_words) is expected


def test_the_overlap_of_two_datasets_is_told_by_class_and_split(tmp_path: Path) -> None:
    large = table(tmp_path / "large", *(f"{seed} nv lesion-{seed // 2} train" for seed in range(6)))
    pictures = {f"{seed}.jpg": mirrored(seed) for seed in (0, 2)}
    small = table(
        tmp_path / "small",
        "0.jpg benign - test",
        "2.jpg benign - train",
        "9 malignant - test",
        pictures=pictures,
    )
    report = make_report(audit(large, small))
    found = report.overlaps[1, 0]
    assert found.copies == (6, 7)
    assert found.shown == ((6, 0), (7, 2))
    assert report.class_overlap(1, 0) == {"benign": (2, 2), "malignant": (0, 1)}
    assert report.split_overlap(1, 0) == {"test": {"train": 1}, "train": {"train": 1}}
    assert overlap(report.audit, 0, 1).copies == (0, 2)
    # The other photographs of the two lesions count as shared, though they are no copies.
    assert report.overlaps[0, 1].lesions == (0, 1, 2, 3)


def test_copies_under_two_lesion_ids_are_told_from_those_of_one(tmp_path: Path) -> None:
    pictures = {"a.jpg": mirrored(1), "b.jpg": mirrored(2)}
    found = repeats(
        audit(
            table(
                tmp_path / "set",
                "1 nv one -",
                "2 nv two -",
                "a.jpg nv one -",
                "b.jpg nv three -",
                pictures=pictures,
            )
        ),
        0,
    )
    assert found.one_lesion == 1
    assert found.two_lesions == ((1, 3),)


def test_files_that_cannot_be_read_are_named_and_the_rest_is_audited(tmp_path: Path) -> None:
    pictures = {"cut.jpg": encoded(lesion(1, size=(400, 300)))[:2000], "text.jpg": b"text"}
    rows = ("1 nv - -", "cut.jpg nv - -", "text.jpg nv - -", "gone.jpg mel - -", "2 mel - -")
    report = make_report(audit(table(tmp_path / "set", *rows, pictures=pictures)))
    assert report.sets[0].unreadable == (1, 2, 3)
    reasons = [report.audit.pictures[place].error for place in (1, 2, 3)]
    assert "cut short" in reasons[0]
    assert reasons[2] == "listed, but not there"
    assert report.has_faults


def test_blank_pictures_are_named_and_no_leak(tmp_path: Path) -> None:
    plain = [encoded(Image.new("RGB", (40, 30), shade), "PNG") for shade in ("white", "#fefefe")]
    pictures = {"a.png": plain[0], "b.png": plain[0], "c.png": plain[1]}
    rows = ("a.png nv - train", "b.png nv - test", "c.png mel - test", "1 nv - train")
    seen = audit(table(tmp_path / "set", *rows, pictures=pictures))
    assert seen.blank == (0, 1, 2)
    assert [(pair.first, pair.second, pair.kind) for pair in seen.pairs] == [(0, 1, SAME_FILE)]
    assert crossing_lesions(seen, 0) == []


def test_counts_are_of_pictures_and_of_lesions(tmp_path: Path) -> None:
    seen = audit(table(tmp_path / "set", "1 nv one train", "2 nv one train", "3 mel two test", "4 nv - val"))
    assert counts_by_split(seen, 0) == {
        "train": {"nv": {"pictures": 2, "lesions": 1}},
        "val": {"nv": {"pictures": 1, "lesions": 1}},
        "test": {"mel": {"pictures": 1, "lesions": 1}},
    }


def test_a_class_wholly_from_another_dataset_is_told_by_its_origin(tmp_path: Path) -> None:
    large = table(tmp_path / "large", *(f"{seed} nv - -" for seed in range(12)))
    rows = [f"{seed}.jpg benign - -" for seed in range(8)] + [
        f"{seed} malignant - -" for seed in range(20, 28)
    ]
    small = table(tmp_path / "small", *rows, pictures={f"{seed}.jpg": mirrored(seed) for seed in range(8)})
    shortcuts = make_report(audit(large, small)).sets[1].shortcuts
    assert shortcuts is not None
    origin = shortcuts.rule(ORIGIN)
    assert origin is not None
    assert origin.accuracy == 1
    assert origin.table == (
        ("large", {"benign": 8, "malignant": 0}),
        (NOWHERE, {"benign": 0, "malignant": 8}),
    )


def test_pictures_in_a_zip_archive_are_compared_like_others(tmp_path: Path) -> None:
    packed = write_zip(tmp_path / "set.zip", {f"nv/{seed}.jpg": mirrored(seed) for seed in range(3)})
    seen = audit(packed, table(tmp_path / "set", "2 nv - -"))
    assert [(pair.first, pair.second) for pair in seen.pairs] == [(2, 3)]


def test_what_is_known_of_the_real_benign_malignant_set_is_found(test_data: Path) -> None:
    """Every benign picture is a naevus of HAM10000, some of the malignant ones are its melanomas: origin tells."""
    ham, isic = read_audit_sets([test_data / "ham10000", test_data / "isic_malignant_benign" / "train.zip"])
    ham = replace(ham, rows=tuple(row for row in ham.rows if row.diagnosis in ("mel", "nv")))
    isic = replace(isic, rows=isic.rows[::12])
    report = make_report(run_audit([ham, isic]))
    shares = report.class_overlap(1, 0)
    assert shares["benign"][0] == shares["benign"][1] > 80
    copied, count = shares["malignant"]
    assert 0.25 < copied / count < 0.55
    assert report.contradictions == ()
    shortcuts = report.sets[1].shortcuts
    assert shortcuts is not None
    origin = shortcuts.rule(ORIGIN)
    assert origin is not None
    assert shortcuts.tells(origin)
    assert origin.accuracy == pytest.approx((shares["benign"][1] + count - copied) / len(isic))
    # One photograph, in other colours, that HAM10000 lists under two lesion ids.
    ids = [
        {report.audit.pictures[place].row.lesion_id for place in pair}
        for pair in report.sets[0].repeats.two_lesions
    ]
    assert {"HAM_0004919", "HAM_0000140"} in ids
