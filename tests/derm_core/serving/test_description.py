"""What a model.json says of patients and of its own certainty: written, read again and refused."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import pytest

from derm_core.errors import BundleError
from derm_core.serving.calibration import Calibration
from derm_core.serving.conformal import Conformal, ConformalSets
from derm_core.serving.description import BundleDescription
from derm_core.serving.format_versions import ADDED
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prevalence import Prevalence
from tests.derm_core.evaluation.fake_predictor import sex_model

MOVED = (OperatingPoint("sensitivity-0.95", 0.3, 0.96, 0.8, (0.9, 1.0), (0.7, 0.9), 120, 150, "drawn"),
         OperatingPoint("half", 0.25))  # fmt: skip


@pytest.fixture(scope="module")
def with_context(description: BundleDescription) -> BundleDescription:
    return dataclasses.replace(description, context=sex_model(7, weight=0.62), context_operating_points=MOVED)


def changed(description: BundleDescription, **changes: Any) -> str:
    return json.dumps(json.loads(description.to_json()) | changes)


def test_a_context_survives_the_trip_through_model_json(with_context: BundleDescription) -> None:
    back = BundleDescription.from_json(with_context.to_json())
    assert back == with_context
    assert back.context == sex_model(7, weight=0.62)
    assert back.context_operating_points == MOVED
    assert back.to_json() == with_context.to_json()


def test_advice_follows_the_point_of_the_same_name(
    description: BundleDescription, with_context: BundleDescription
) -> None:
    assert with_context.operating_point == description.operating_point
    assert with_context.context_operating_point == MOVED[0]
    other = dataclasses.replace(with_context, default_operating_point="half")
    assert other.context_operating_point == MOVED[1]
    # Without points of its own an answer follows those of the photograph alone.
    without = dataclasses.replace(with_context, context_operating_points=())
    assert without.context_operating_point == description.operating_point
    assert BundleDescription.from_json(without.to_json()) == without


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weight": -1}, "its weight must be 0 or more"),
        ({"weight": math.nan}, "its weight must be finite"),
        ({"intercepts": [0.0] * 6}, "its numbers are not those of 7 classes and 18 features"),
        ({"coefficients": [[0.0] * 17] * 7}, "its numbers are not those of 7 classes and 18 features"),
        ({"coefficients": 5}, "not iterable"),
        ({"sexes": None}, "not iterable"),
        ({"knots": []}, "its knots must be two or more ages"),
        ({"extra": 1}, "these differ: extra"),
    ],
)
def test_a_context_of_other_sizes_or_values_is_refused(
    with_context: BundleDescription, change: dict[str, Any], message: str
) -> None:
    values = json.loads(with_context.to_json())["context"] | change
    with pytest.raises(BundleError, match=rf"In model\.json, context is wrong: .*{message}"):
        BundleDescription.from_json(changed(with_context, context=values))


@pytest.mark.parametrize("value", [[], "none", 0])
def test_a_context_that_is_no_object_is_refused(with_context: BundleDescription, value: Any) -> None:
    with pytest.raises(BundleError, match=r"In model\.json, context is .*; wanted: an object"):
        BundleDescription.from_json(changed(with_context, context=value))


def test_points_of_other_names_or_without_a_context_are_refused(with_context: BundleDescription) -> None:
    points = json.loads(with_context.to_json())["context_operating_points"]
    renamed = [points[0], points[1] | {"name": "third"}]
    for change in (
        {"context_operating_points": renamed},
        {"context_operating_points": points[:1]},
        {"context_operating_points": points[::-1]},
        {"context": None},
    ):
        with pytest.raises(BundleError, match=r"context_operating_points is .*beside a context, or nothing"):
            BundleDescription.from_json(changed(with_context, **change))
    with pytest.raises(BundleError, match="context_operating_points is None; wanted: a list"):
        BundleDescription.from_json(changed(with_context, context_operating_points=None))


def test_a_first_version_knows_nothing_of_patients(with_context: BundleDescription) -> None:
    values = json.loads(with_context.to_json()) | {"format_version": 1}
    for key in ("head_units", "views", "context", "context_operating_points", *ADDED[3]):
        del values[key]
    del values["preprocessing"]["samplewise"]
    read = BundleDescription.from_json(json.dumps(values))
    assert (read.context, read.context_operating_points) == (None, ())
    assert read == dataclasses.replace(with_context, context=None, context_operating_points=())


@pytest.mark.parametrize("key", ["context", "context_operating_points"])
def test_a_second_version_says_whether_it_knows_of_patients(
    with_context: BundleDescription, key: str
) -> None:
    values = json.loads(with_context.to_json())
    del values[key]
    with pytest.raises(BundleError, match=rf"model\.json lacks {key}\."):
        BundleDescription.from_json(json.dumps(values))


@pytest.fixture(scope="module")
def certain(with_context: BundleDescription) -> BundleDescription:
    """A description with everything that the third format added."""
    sets = ConformalSets((0.0, 0.1, 0.1, 0.0, 0.2, 0.3, 0.0), (6, 40, 60, 5, 50, 400, 8), {"coverage": 0.96})
    return dataclasses.replace(
        with_context,
        calibration=Calibration("biases", (0.1,) * 7, (-0.2,) * 7),
        prevalence=Prevalence(0.25, 0.2),
        conformal=Conformal(0.95, "by class", sets, dataclasses.replace(sets, measured=None)),
    )


def test_a_fourth_version_leans_to_nothing(certain: BundleDescription) -> None:
    values = json.loads(certain.to_json()) | {"format_version": 4}
    del values["calibration"]["adjustment"]
    assert BundleDescription.from_json(json.dumps(values)) == certain
    with pytest.raises(BundleError, match="adjustment"):
        BundleDescription.from_json(json.dumps(values | {"format_version": 5}))


def test_certainty_survives_the_trip_through_model_json(certain: BundleDescription) -> None:
    back = BundleDescription.from_json(certain.to_json())
    assert back == certain
    assert back.to_json() == certain.to_json()
    stated = dataclasses.replace(certain, prevalence=Prevalence(0.25, 0.2, 0.05))
    assert BundleDescription.from_json(stated.to_json()) == stated


def test_a_second_version_knows_nothing_of_its_certainty(certain: BundleDescription) -> None:
    values = json.loads(certain.to_json()) | {"format_version": 2}
    for key in ADDED[3]:
        del values[key]
    read = BundleDescription.from_json(json.dumps(values))
    assert read == dataclasses.replace(certain, calibration=None, prevalence=None, conformal=None)
    assert read.context == certain.context


def test_a_third_version_notes_no_marks_and_refuses_no_white_ground(certain: BundleDescription) -> None:
    values = json.loads(certain.to_json()) | {"format_version": 3}
    for limit in ("most_white", "most_pen", "most_ruler"):
        del values["quality"][limit]
    values["quality"]["most_ink"] = 0.01
    read = BundleDescription.from_json(json.dumps(values))
    unknown = dataclasses.replace(certain.quality, most_white=1.0, most_pen=1.0, most_ruler=1.0)
    assert read == dataclasses.replace(certain, quality=unknown)


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("calibration", {"bias": [0.0] * 6}, "bias of calibration is .*one number for each of 7 classes"),
        ("calibration", {"bias": [math.inf] * 7}, "bias of calibration is inf; wanted: a finite number"),
        ("calibration", {"context_bias": None}, "context_bias of calibration is None"),
        ("calibration", {"method": 1}, "method is 1; wanted: a text"),
        ("prevalence", {"holds_at": 0}, "holds_at of prevalence is 0; wanted: a number above 0 and below 1"),
        ("prevalence", {"holds_at": None}, "holds_at is None"),
        ("prevalence", {"stated": 1}, "stated of prevalence is 1; wanted: a number above 0 and below 1"),
        ("conformal", {"level": 1}, "level of conformal is 1; wanted: a number above 0 and below 1"),
        ("conformal", {"photograph": None}, "photograph of conformal is None; wanted: an object"),
        ("conformal", {"context": {"thresholds": [0.5] * 7}}, "context of conformal lacks lesions, measured"),
    ],
)
def test_parts_of_other_sizes_or_values_are_refused(
    certain: BundleDescription, part: str, change: dict[str, Any], message: str
) -> None:
    values = json.loads(certain.to_json())[part] | change
    with pytest.raises(BundleError, match=rf"In model\.json, {message}"):
        BundleDescription.from_json(changed(certain, **{part: values}))


@pytest.mark.parametrize(
    "change",
    [{"thresholds": [0.5] * 6}, {"lesions": [1] * 8}, {"thresholds": [1.5] * 7}, {"lesions": [-1] * 7}],
)
def test_sets_of_other_sizes_or_values_are_refused(
    certain: BundleDescription, change: dict[str, Any]
) -> None:
    values = json.loads(certain.to_json())["conformal"]
    with pytest.raises(BundleError, match=r"In model\.json, (thresholds|lesions) of photograph of conformal"):
        BundleDescription.from_json(
            changed(certain, conformal=values | {"photograph": values["photograph"] | change})
        )
