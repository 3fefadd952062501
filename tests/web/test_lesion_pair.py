"""Two visits side by side: which ones, what both heatmaps explain, and what each answer says of it."""

from __future__ import annotations

from tests.web.fakes import REFER, ROUTINE
from tests.web.test_lesion_timeline import visit
from web.lesion_pair import NO_CLASS, Pair, pair_of
from web.visits import Visit


def paired(*visits: Visit, **asked: str) -> Pair:
    found = pair_of(visits, **asked)
    assert found
    return found


def days(pair: Pair) -> list[str]:
    return [side.visit.day.isoformat() for side in pair.sides]


def keyed(one: Visit, key: str, probabilities: dict[str, float]) -> Visit:
    one.prediction.key, one.prediction.probabilities = key, dict(probabilities)
    one.prediction.top = max(probabilities, key=probabilities.__getitem__)
    return one


JANUARY = keyed(visit("2026-01-01", 0.03), "a", ROUTINE)
MARCH = keyed(visit("2026-03-01", 0.67), "b", REFER)
REFUSED = keyed(visit("2026-02-01", None), "c", REFER)


def test_the_latest_stands_beside_the_answered_one_before() -> None:
    assert pair_of([MARCH]) is None
    assert days(paired(JANUARY, REFUSED, MARCH)) == ["2026-01-01", "2026-03-01"]
    assert days(paired(REFUSED, MARCH)) == ["2026-02-01", "2026-03-01"]
    assert days(paired(JANUARY, REFUSED, MARCH, left="b", right="a")) == ["2026-03-01", "2026-01-01"]
    assert days(paired(JANUARY, MARCH, left="theirs", right="")) == ["2026-01-01", "2026-03-01"]


def test_both_explain_what_the_latest_answer_rests_on_or_what_is_asked_for() -> None:
    assert paired(JANUARY, MARCH).chosen == "mel"
    asked = paired(JANUARY, MARCH, code="bkl")
    assert asked.chosen == "bkl"
    assert [side.readings["bkl"] for side in asked.sides] == [
        "Benign keratosis: 6%",
        "Benign keratosis: 10%",
    ]
    assert paired(JANUARY, MARCH, code="nonsense").chosen == "mel"
    assert paired(JANUARY, MARCH, code=NO_CLASS).chosen == NO_CLASS
    assert next(iter(asked.classes)) == "mel"
    assert set(asked.classes) == set(REFER)


def test_a_class_that_one_model_does_not_know_is_said_there_and_shown_on_the_other() -> None:
    other = keyed(visit("2026-04-01", 0.3), "d", {"malignant": 0.3, "benign": 0.7})
    pair = paired(MARCH, other, code="mel")
    assert pair.chosen == "mel"
    assert pair.left.readings["mel"] == "Melanoma: 62%"
    assert pair.right.readings["mel"] == "Melanoma: not known to the model that answered"
    assert ("mel" in pair.left.explained, "mel" in pair.right.explained) == (True, False)
    assert "mel" in pair.classes
    assert "benign" in pair.classes


def test_where_no_answer_was_given_there_is_nothing_to_explain() -> None:
    pair = paired(JANUARY, REFUSED)
    assert pair.right.explained == frozenset()
    assert pair.right.readings["nv"] == "No heatmap: no answer was given."
    assert pair.chosen == "nv"
    both = paired(keyed(visit("2026-01-01", None), "e", REFER), REFUSED)
    assert (both.classes, both.chosen) == ({}, NO_CLASS)
