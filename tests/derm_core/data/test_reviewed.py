"""Reviewed cases as a dataset: each lesion on one side, and on the same one from export to export."""

from __future__ import annotations

from pathlib import Path

import pytest

from derm_core import DatasetError, ReviewedCase, load_dataset, write_reviewed


def case(number: int, lesion: str, **values: str) -> ReviewedCase:
    given = {"diagnosis": "mel", "sex": "female", "site": "back", "confirmed_by": "histopathology"} | values
    return ReviewedCase(image=f"{number}.jpg", lesion=lesion, age=54.0 if number % 2 else None, **given)


def test_a_lesion_keeps_its_side_whatever_else_is_exported(tmp_path: Path) -> None:
    many = [case(number, f"lesion-{number // 2}") for number in range(200)]
    first = write_reviewed(tmp_path / "first", many, (b"x" for _ in many)).table
    sides = first.groupby("lesion_id")["split"].agg(set)
    assert all(len(side) == 1 for side in sides)
    shares = first["split"].value_counts(normalize=True)
    assert 0.6 < shares["train"] < 0.95
    again = write_reviewed(tmp_path / "again", many[50:60], [b"x"] * 10).table
    assert list(again["split"]) == list(first["split"][50:60])


def test_how_it_is_known_is_told_as_in_the_published_sets(tmp_path: Path) -> None:
    ways = ("histopathology", "follow-up", "consensus", "")
    cases = [case(number, str(number), confirmed_by=way) for number, way in enumerate(ways)]
    write_reviewed(tmp_path / "set", cases, [b"one", b"two", b"three", b"four"])
    dataset = load_dataset(tmp_path / "set")
    assert list(dataset.table["confirmed_by"]) == ["histo", "follow_up", "consensus", ""]
    assert dataset.image_path(1).read_bytes() == b"two"
    assert dataset.provenance["source"] == "reviewed cases"


def test_without_a_case_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="No case is reviewed yet"):
        write_reviewed(tmp_path / "set", [], [])
    assert not (tmp_path / "set").exists()
