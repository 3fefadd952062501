"""The list of a case file: whatever stands in it, it is read or refused, and never anything else."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest

from derm_core import CaseCounts, CaseFileError
from derm_core.interchange.manifest import parse_entries, parse_lesions
from tests.derm_core.interchange.examples import case_file, entries, lesion, photograph, review

ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 10**400, 1e308, float("inf"), float("nan"), "", "\x00", "\ud800", "9" * 5000),
    *([], [[]], [{}], {}, {"": None}, "2026-02-30", "+10000-01-01T00:00:00", "0001-01-01T00:00:00+23:59"),
)


def listed() -> dict[str, Any]:
    content = case_file(lesion(photograph(1, review=review())))
    return dict(json.loads(entries(content)["manifest.json"]))


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yields where each value stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield (*path, key)
        yield from places(one, (*path, key))


def read(values: Any) -> None:
    sums = parse_entries(values, 1 << 20)

    def reader(name: str) -> Any:
        if name not in sums:
            raise CaseFileError(f"There is no {name!r}.")
        return bytes

    parse_lesions(values, reader)


def test_an_odd_value_anywhere_is_read_or_refused_in_words() -> None:
    whole = listed()
    read(whole)
    refusals = []
    found = list(places(whole))
    assert len(found) > 60
    for *above, last in found:
        for odd in ODD:
            values = copy.deepcopy(whole)
            place = values
            for step in above:
                place = place[step]
            place[last] = odd
            try:
                read(values)
            except CaseFileError as err:
                refusals.append(str(err))
    assert len(refusals) > 10 * len(found)
    assert max(map(len, refusals)) < 500


def test_a_missing_value_anywhere_is_read_or_refused_in_words() -> None:
    whole = listed()
    for *above, last in places(whole):
        values = copy.deepcopy(whole)
        place = values
        for step in above:
            place = place[step]
        del place[last]
        try:
            read(values)
        except CaseFileError:
            continue


@pytest.mark.parametrize("values", [None, 7, "text", [], {"format": 7}, {"format": "dermatrace-cases"}])
def test_what_is_no_list_is_refused(values: Any) -> None:
    with pytest.raises(CaseFileError):
        read(values)


def test_an_import_is_told_in_words() -> None:
    counts = CaseCounts()
    assert counts.sentences == ["Nothing was added."]
    counts.lesions, counts.photographs, counts.there_already = 1, 1200, 1
    counts.refuse("It is torn.")
    counts.refuse("It is torn.")
    assert counts.sentences == [
        "Added: 1 lesion, 1,200 photographs.",
        "1 photograph was there already.",
        "2 not taken: It is torn.",
    ]
