"""Similar cases: the nearest by hand arithmetic, one of each lesion, never the lesion that is asked about."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import pandas as pd
import pytest

from derm_core.errors import ConfigError, DatasetError
from derm_core.serving.similar_cases import SimilarCases, unit_vectors


def index_of(
    angles: Sequence[float], lesions: Sequence[str] | None = None, confirmed: Sequence[str] | None = None
) -> SimilarCases:
    """An index of photographs whose vectors lie in a plane, at these angles in degrees."""
    turned = np.deg2rad(np.asarray(angles, dtype=np.float64))
    count = len(angles)
    cases = pd.DataFrame(
        {
            "image_path": [f"images/{number}.jpg" for number in range(count)],
            "diagnosis": ["mel" if number % 2 else "nv" for number in range(count)],
            "lesion_id": lesions or [f"L{number}" for number in range(count)],
            "age": [np.nan if number == 0 else 40.0 + number for number in range(count)],
            "sex": "female",
            "site": "back",
            "confirmed_by": confirmed or ["histo"] * count,
            "thumbnail": [bytes([number % 256]) for number in range(count)],
            "lesion": lesions or [f"L{number}" for number in range(count)],
        }
    )
    vectors = np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)
    return SimilarCases(
        cases, vectors, {"name": "m", "version": "1", "sha256": "a"}, {"name": "d", "split": ""}
    )


def features_at(angle: float) -> np.ndarray:
    """Features whose vector lies at an angle from 0 to 90 degrees: the squares undo the root."""
    turned = np.deg2rad(angle)
    return np.array([np.cos(turned) ** 2, np.sin(turned) ** 2], dtype=np.float32)


def test_vectors_are_signed_roots_of_length_one() -> None:
    vectors = unit_vectors(np.array([[4.0, -9.0, 0.0], [0.0, 0.0, 0.0]], dtype=np.float32))
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors[0], np.array([2, -3, 0]) / np.sqrt(13), rtol=1e-6)
    assert not vectors[1].any()


def test_the_nearest_come_first_with_their_cosine_and_what_is_known_of_them() -> None:
    found = index_of([80, 20, 45, 30]).query(features_at(30), k=3)
    assert [case.image_path for case in found] == ["images/3.jpg", "images/1.jpg", "images/2.jpg"]
    expected = np.cos(np.deg2rad([0, 10, 15]))
    np.testing.assert_allclose([case.similarity for case in found], expected, atol=1e-6)
    first = found[0]
    assert (first.diagnosis, first.lesion_id, first.age) == ("mel", "L3", 43.0)
    assert (first.sex, first.site, first.confirmed_by) == ("female", "back", "histo")
    assert first.thumbnail == b"\x03"


def test_an_unknown_age_is_none() -> None:
    (case,) = index_of([10, 80]).query(features_at(10), k=1)
    assert case.age is None


def test_the_lesion_that_is_asked_about_never_comes_back() -> None:
    index = index_of([30, 31, 32, 60], lesions=["A", "A", "B", "C"])
    assert [case.lesion_id for case in index.query(features_at(30), lesion_id="A")] == ["B", "C"]
    assert [case.lesion_id for case in index.query(features_at(30), lesion_id="elsewhere")] == ["A", "B", "C"]


def test_each_lesion_comes_back_once_by_its_nearest_photograph() -> None:
    index = index_of([10, 30, 50, 70, 75], lesions=["A", "B", "A", "C", "B"])
    found = index.query(features_at(45), k=5)
    assert [(case.lesion_id, case.image_path) for case in found] == [
        ("A", "images/2.jpg"),
        ("B", "images/1.jpg"),
        ("C", "images/3.jpg"),
    ]


def test_many_photographs_of_one_lesion_do_not_hide_the_others() -> None:
    lesions = ["A"] * 30 + ["B", "C", "D"]
    index = index_of([*np.linspace(29, 31, 30), 60, 70, 80], lesions=lesions)
    assert [case.lesion_id for case in index.query(features_at(30), k=3)] == ["A", "B", "C"]
    assert [case.lesion_id for case in index.query(features_at(30), k=3, lesion_id="A")] == ["B", "C", "D"]


def test_only_confirmed_cases_come_back_unless_others_are_asked_for() -> None:
    index = index_of([12, 20, 30], confirmed=["histo", "", "follow_up"])
    assert [case.image_path for case in index.query(features_at(20))] == ["images/0.jpg", "images/2.jpg"]
    assert len(index.query(features_at(20), confirmed_only=False)) == 3


def test_without_a_confirmed_case_the_sentence_says_what_to_do() -> None:
    index = index_of([10, 20], confirmed=["", ""])
    with pytest.raises(DatasetError, match=r"None of the 2 photographs .* confirmed_by .*unconfirmed"):
        index.query(features_at(10))


def test_equal_cases_come_in_the_order_of_the_index() -> None:
    found = index_of([40, 40, 40, 40]).query(features_at(40), k=4)
    assert [case.image_path for case in found] == [f"images/{number}.jpg" for number in range(4)]


def test_a_question_that_makes_no_sense_is_refused() -> None:
    index = index_of([10, 20])
    with pytest.raises(ConfigError, match="k is 0"):
        index.query(features_at(10), k=0)
    with pytest.raises(ConfigError, match=r"shape \(3,\), and this index was made of \(2,\)"):
        index.query(np.zeros(3, np.float32))


def test_the_search_is_that_of_all_dot_products() -> None:
    random = np.random.default_rng(5)
    vectors = unit_vectors(random.normal(size=(300, 40)).astype(np.float32))
    cases = index_of(np.zeros(300)).cases
    index = dataclasses.replace(index_of([0]), cases=cases, vectors=vectors)
    for row in range(5):
        features = random.normal(size=40).astype(np.float32)
        cosines = vectors.astype(np.float64) @ unit_vectors(features[None])[0].astype(np.float64)
        found = index.query(features, k=10)
        assert [case.image_path for case in found] == [
            f"images/{place}.jpg" for place in np.argsort(-cosines)[:10]
        ], row
        np.testing.assert_allclose(
            [case.similarity for case in found], np.sort(cosines)[::-1][:10], atol=1e-6
        )
