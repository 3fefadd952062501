"""What is unlike the known is not answered: by hand in three dimensions, and through an answer."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest

from derm_core.errors import BundleError
from derm_core.serving.outliers import Reference, encoded, scaled_features

from .references import reference, rule


def features(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def names(known: Reference, *values: float) -> list[str]:
    return [flag.name for flag in known.flags(features(*values))]


def test_features_are_scaled_to_the_signed_roots_of_their_shares() -> None:
    scaled = scaled_features(np.array([[1.0, -3.0, 0.0], [0.0, 0.0, 0.0], [40.0, 0.0, 0.0]], np.float32))
    np.testing.assert_allclose(scaled, [[0.5, -math.sqrt(0.75), 0.0], [0, 0, 0], [1, 0, 0]], atol=1e-6)
    assert scaled.dtype == np.float32


def test_distance_is_what_the_subspace_leaves_of_a_picture() -> None:
    rows = np.array([[2, 0, 0], [0, 0, 5], [1, 1, 2]], np.float32)
    # Of the last, a quarter of the square lies along the axis.
    np.testing.assert_allclose(reference().distances(rows), [0, 1, math.sqrt(0.75)], atol=1e-3)
    moved = reference(centre=encoded(np.array([0, 0, 1.0])))
    np.testing.assert_allclose(moved.distances(rows)[:2], [1, 0], atol=1e-3)


def test_what_is_far_from_the_known_is_not_answered() -> None:
    assert names(reference(), 7, 0, 0) == []
    assert names(reference(), 1, 1, 2) == ["not-dermoscopy"]
    assert names(reference(farthest=0.9), 1, 1, 2) == []


def test_rules_refuse_below_their_least_evidence_by_hand() -> None:
    # 4 sqrt(1/4) - 1 = 1.
    known = rule(4, 0, 0, bias=-1, least=1.001)
    assert known.evidence(features(1, 3, 0)[None])[0] == pytest.approx(1.0, abs=1e-3)
    everywhere = {"farthest": 2.0}
    assert names(reference(not_skin=known, **everywhere), 1, 3, 0) == ["no-lesion"]
    assert names(reference(not_other=known, **everywhere), 1, 3, 0) == ["not-dermoscopy"]
    passing = dataclasses.replace(known, least=0.99)
    assert names(reference(not_skin=passing, not_other=passing, **everywhere), 1, 3, 0) == []


def test_the_stronger_reason_is_the_one_that_is_given() -> None:
    weak, strong = rule(0, 0, 0, bias=-1), rule(0, 0, 0, bias=-5)
    assert names(reference(not_skin=weak, not_other=strong), 7, 0, 0) == ["not-dermoscopy"]
    assert names(reference(not_skin=strong, not_other=weak), 7, 0, 0) == ["no-lesion"]
    # Skin is far from lesions as well, but it is known what it is.
    assert names(reference(not_skin=weak), 0, 1, 0) == ["no-lesion"]


def test_every_reason_is_one_sentence_that_says_what_to_do() -> None:
    for known in (reference(farthest=1e-6), reference(not_skin=rule(0, 0, 0, least=1))):
        (flag,) = known.flags(features(1, 1, 1))
        assert flag.reason.count(".") == 1
        assert flag.reason.endswith(".")
        assert "take the picture again" in flag.reason
        assert flag.severity == "refuse"


def test_a_reference_survives_the_trip_through_json() -> None:
    known = reference(not_skin=rule(1, 2, 3, bias=0.5, least=-2))
    assert Reference.from_dict(json.loads(json.dumps(dataclasses.asdict(known)))) == known
    assert Reference.from_dict(None) is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("centre", 3),
        ("centre", "no Base64!"),
        ("centre", encoded(np.array([np.nan, 0, 0]))),
        ("axes", encoded(np.ones(4))),
        ("axes", ""),
        ("farthest", 0),
        ("not_skin", None),
        ("not_skin", {"weights": encoded(np.ones(2)), "bias": 0.0, "least": 0.0}),
        ("not_other", {"weights": encoded(np.ones(3)), "bias": float("inf"), "least": 0.0}),
        ("measured", None),
    ],
)
def test_a_part_that_is_not_as_it_should_be_is_refused_by_its_name(name: str, value: Any) -> None:
    values = dataclasses.asdict(reference()) | {name: value}
    with pytest.raises(BundleError, match=f"In model.json, .*{name}"):
        Reference.from_dict(values)


def test_a_part_that_is_missing_is_named() -> None:
    values = dataclasses.asdict(reference())
    del values["axes"]
    with pytest.raises(BundleError, match="reference_statistics lacks axes"):
        Reference.from_dict(values)
