"""An evaluation as text: what is left out of it."""

from __future__ import annotations

from _evaluation_tables import group_tables

TOO_FEW = {"n": 3, "lesions": 2}


def test_what_a_dataset_knows_nothing_of_has_no_table() -> None:
    tables = group_tables(
        {"sex": {"unknown": TOO_FEW}, "confirmed_by": {"histo": TOO_FEW, "unknown": TOO_FEW}}
    )
    assert [table.split("  ")[0] for table in tables] == ["confirmed by"]
    assert "unknown" in tables[0]
