"""What is known of a patient, and what it says of the diagnosis: by hand, and against scikit-learn."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from derm_core.data.table import COLUMNS, Dataset
from derm_core.errors import ConfigError
from derm_core.serving.context import (
    SEXES,
    SITES,
    ContextModel,
    PatientContext,
    context_features,
    contexts_of,
)

from .patients import KNOTS, face_model


def plain(model: ContextModel) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(model.to_dict()))
    return values


def test_what_is_known_is_named() -> None:
    assert PatientContext().known == ()
    assert PatientContext(age=0.0).known == ("age",)
    assert PatientContext(site="ear", sex="male").known == ("sex", "site")
    assert PatientContext(120, "female", "acral").known == ("age", "sex", "site")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"age": 121}, r"The age is 121; it must be from 0 to 120 years, or left out\."),
        ({"age": -0.5}, r"The age is -0\.5; it must"),
        ({"age": math.nan}, r"The age is nan; it must"),
        ({"sex": "x"}, r"^Unknown sex 'x'\. Known: female, male\.$"),
        ({"sex": "femal"}, r"Unknown sex 'femal'\. .* Did you mean 'female'\?"),
        (
            {"site": "nose"},
            r"^Unknown body site 'nose'\. Known: abdomen, acral, back, .*, upper extremity\.$",
        ),
        ({"site": "lower extremities"}, r"'lower extremities'\. .* Did you mean 'lower extremity'\?"),
    ],
)
def test_what_cannot_be_is_refused_with_the_nearest_match(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PatientContext(**values)


@pytest.mark.parametrize(
    ("row", "context"),
    [
        ({"age": 45.0, "sex": "male", "site": "back"}, PatientContext(45.0, "male", "back")),
        ({"age": np.float64(0), "sex": "", "site": ""}, PatientContext(0.0)),
        ({"age": math.nan, "sex": "female", "site": ""}, PatientContext(sex="female")),
        ({"age": None, "sex": None, "site": None}, PatientContext()),
        ({"age": 121.0, "sex": "unknown", "site": "nose"}, PatientContext()),
        ({"age": -5.0, "sex": "Male", "site": "Back"}, PatientContext()),
        ({"age": math.inf, "sex": "x", "site": math.nan}, PatientContext()),
        ({}, PatientContext()),
    ],
)
def test_what_a_row_does_not_say_in_these_words_counts_as_not_known(
    row: dict[str, Any], context: PatientContext
) -> None:
    assert PatientContext.from_row(row) == context


def test_a_datasets_rows_are_read_in_their_order() -> None:
    rows = [
        ("a.png", 45.0, "male", "back"),
        ("b.png", np.nan, "", "nose"),
        ("c.png", np.nan, "female", "ear"),
    ]
    named = pd.DataFrame(rows, columns=["image", "age", "sex", "site"], index=[7, 3, 5])
    table = named.assign(diagnosis="nv", lesion_id="", confirmed_by="", split="train")[list(COLUMNS)]
    assert contexts_of(Dataset(Path("nowhere"), table)) == [
        PatientContext(45.0, "male", "back"),
        PatientContext(),
        PatientContext(sex="female", site="ear"),
    ]


@pytest.mark.parametrize(
    ("age", "expected"),
    [
        (None, [1, 0, 0]),
        (0, [0, 0, 0]),
        (20, [0, 0, 0]),
        (25, [0, 0.25, 0]),
        (40, [0, 1, 0]),
        (50, [0, 1, 0.25]),
        (80, [0, 1, 1]),
        (120, [0, 1, 1]),
    ],
)
def test_ages_climb_from_knot_to_knot_and_stay_beyond_the_last(
    age: float | None, expected: list[float]
) -> None:
    assert context_features(PatientContext(age), KNOTS, (), ()).tolist() == expected


def test_sex_and_site_are_one_of_those_that_were_seen() -> None:
    seen = (KNOTS, ("female", "male"), ("ear", "face"))
    context = PatientContext(30, "male", "ear")
    assert context_features(context, *seen).tolist() == [0, 0.5, 0, 0, 1, 1, 0]
    assert context_features(PatientContext(site="back"), *seen).tolist() == [1, 0, 0, 0, 0, 0, 0]
    model = face_model()
    assert model.uses(PatientContext(30, "female", "face")) == ("age", "sex", "site")
    assert model.uses(PatientContext(30, "male", "back")) == ("age",)
    assert model.uses(PatientContext(sex="male", site="back")) == ()


def test_evidence_by_hand() -> None:
    # On the face 0.2 x 16 = 3.2 stand against 0.8: four fifths against one, where it was one against four.
    expected = [math.log(0.8 / 0.2), math.log(0.2 / 0.8)]
    np.testing.assert_allclose(face_model().evidence(PatientContext(site="face")), expected, atol=1e-12)
    # What does not matter is no evidence, and the weight is not in it.
    np.testing.assert_allclose(face_model().evidence(PatientContext(age=30)), [0, 0], atol=1e-12)
    weighted = face_model(weight=0.5, temperature=3.0)
    np.testing.assert_allclose(weighted.evidence(PatientContext(site="face")), expected, atol=1e-12)


def test_where_nothing_is_of_use_the_evidence_is_exactly_zero() -> None:
    # The intercepts are not the prior, so a sum would not be zero.
    model = face_model(intercepts=(3.0, -1.0))
    for context in (PatientContext(), PatientContext(sex="male"), PatientContext(site="ear")):
        assert model.evidence(context).tolist() == [0.0, 0.0]
    assert model.evidence(PatientContext(age=30)).tolist() != [0.0, 0.0]
    # What it has not seen is as if it were not said.
    assert (
        model.evidence(PatientContext(30, "male", "ear")).tolist()
        == model.evidence(PatientContext(30)).tolist()
    )


@pytest.fixture(scope="module")
def fitted() -> tuple[ContextModel, LogisticRegression]:
    """scikit-learn's model of three classes on these features, and ours with its numbers."""
    random = np.random.default_rng(3)
    contexts = [
        PatientContext(
            None if number % 5 == 0 else float(random.integers(0, 121)),
            ("", *SEXES)[random.integers(0, 3)],
            ("", *SITES)[random.integers(0, 1 + len(SITES))],
        )
        for number in range(150)
    ]
    inputs = np.stack([context_features(context, KNOTS, SEXES, SITES) for context in contexts])
    labels = random.integers(0, 3, 150)
    peer = LogisticRegression().fit(inputs, labels)
    model = ContextModel(
        knots=KNOTS,
        sexes=SEXES,
        sites=SITES,
        coefficients=tuple(map(tuple, peer.coef_.tolist())),
        intercepts=tuple(peer.intercept_.tolist()),
        log_prior=tuple(np.log([0.5, 0.3, 0.2]).tolist()),
        weight=0.7,
        temperature=1.3,
    )
    return model, peer


@pytest.mark.parametrize("given", [given for given in product((True, False), repeat=3) if any(given)])
def test_evidence_is_that_of_scikit_learn_whatever_is_missing(
    fitted: tuple[ContextModel, LogisticRegression], given: tuple[bool, bool, bool]
) -> None:
    model, peer = fitted
    for age, sex, site in [(5.0, "female", "ear"), (33.0, "male", "back"), (120.0, "male", "face")]:
        context = PatientContext(age if given[0] else None, sex if given[1] else "", site if given[2] else "")
        expected = peer.predict_proba(model.features(context)[None])[0]
        np.testing.assert_allclose(
            model.evidence(context), np.log(expected) - np.log([0.5, 0.3, 0.2]), atol=1e-9
        )


def test_scores_of_any_size_give_finite_evidence() -> None:
    model = face_model(intercepts=(4000.0, -4000.0))
    evidence = model.evidence(PatientContext(age=30))
    assert np.isfinite(evidence).all()
    np.testing.assert_allclose(evidence, [-math.log(0.2), -8000 - math.log(0.8)])


def test_a_model_survives_the_trip_through_json(fitted: tuple[ContextModel, LogisticRegression]) -> None:
    for model, classes in ((face_model(), 2), (fitted[0], 3)):
        assert ContextModel.from_dict(plain(model), classes) == model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": 1}, "needs exactly the keys .*; these differ: extra"),
        ({"weight": -0.1}, "weight must be 0 or more"),
        ({"temperature": 0}, "temperature above 0"),
        ({"weight": "much"}, "weight must be finite numbers"),
        ({"weight": True}, "weight must be finite numbers"),
        ({"temperature": math.inf}, "temperature must be finite numbers"),
        ({"intercepts": [0.0, math.nan]}, "intercepts must be finite numbers"),
        ({"intercepts": 0.0}, "intercepts must be finite numbers"),
        ({"coefficients": [["a"] * 5] * 2}, "coefficients must be finite numbers"),
        ({"intercepts": [0.0] * 3}, "not those of 2 classes and 5 features"),
        ({"log_prior": [0.0]}, "not those of 2 classes and 5 features"),
        ({"coefficients": [[0.0] * 5]}, "not those of 2 classes and 5 features"),
        ({"coefficients": [[0.0] * 5, [0.0] * 4]}, "not those of 2 classes and 5 features"),
        ({"sites": ["face", "ear"]}, "not those of 2 classes and 6 features"),
        ({"sexes": []}, "not those of 2 classes and 4 features"),
        ({"knots": [20.0, 80.0]}, "not those of 2 classes and 4 features"),
        ({"knots": []}, "knots must be two or more ages"),
        ({"knots": [20.0]}, "knots must be two or more ages"),
        ({"knots": [20.0, 40.0, 40.0]}, "each above the one before"),
    ],
)
def test_what_is_no_model_of_so_many_classes_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ContextModel.from_dict(plain(face_model()) | change, 2)


def test_a_model_that_lacks_a_key_or_is_of_other_classes_is_refused() -> None:
    values = plain(face_model())
    with pytest.raises(ConfigError, match="not those of 3 classes and 5 features"):
        ContextModel.from_dict(values, 3)
    del values["weight"]
    with pytest.raises(ConfigError, match="these differ: weight"):
        ContextModel.from_dict(values, 2)
