"""The prevalence that a clinic states: what it moves, and what it must not."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from derm_core.errors import ConfigError
from derm_core.serving.description import BundleDescription
from derm_core.serving.prevalence import (
    PREVALENCE_VARIABLE,
    Prevalence,
    at_prevalence,
    moved_risk,
    stated_prevalence,
)


@pytest.fixture
def known(description: BundleDescription) -> BundleDescription:
    return dataclasses.replace(
        description,
        prevalence=Prevalence(0.2, 0.15),
        context=None,
        operating_points=description.operating_points,
    )


def test_thresholds_move_by_the_ratio_of_the_odds(known: BundleDescription) -> None:
    # From odds of 1/4 to odds of 1: everything four times as likely.
    moved = at_prevalence(known, 0.5)
    assert [point.threshold for point in moved.operating_points] == pytest.approx([1.6 / 2.2, 0.8])
    assert moved.prevalence == Prevalence(0.2, 0.15, 0.5)
    first, before = moved.operating_points[0], known.operating_points[0]
    assert (first.sensitivity, first.specificity_ci95) == (before.sensitivity, before.specificity_ci95)


def test_stated_again_it_counts_from_where_it_was_set(known: BundleDescription) -> None:
    twice, once = at_prevalence(at_prevalence(known, 0.5), 0.01), at_prevalence(known, 0.01)
    assert twice.prevalence == once.prevalence
    for one, other in zip(twice.operating_points, once.operating_points, strict=True):
        assert one.threshold == pytest.approx(other.threshold, rel=1e-12)


def test_the_same_photographs_are_referred_at_every_prevalence(known: BundleDescription) -> None:
    risks = np.random.default_rng(0).uniform(size=200).tolist()
    for stated in (0.001, 0.05, 0.2, 0.73):
        for threshold in risks:
            points = (dataclasses.replace(known.operating_points[0], threshold=threshold),)
            moved = at_prevalence(
                dataclasses.replace(known, operating_points=points, default_operating_point=points[0].name),
                stated,
            )
            assert moved.prevalence is not None
            shift = moved.prevalence.shift
            # The photograph that the threshold was set on is the one that rounding could lose.
            assert moved_risk(threshold, shift) >= moved.operating_point.threshold
            assert moved_risk(np.nextafter(threshold, 0) - 1e-9, shift) < moved.operating_point.threshold


def test_certain_risks_stay() -> None:
    assert [moved_risk(risk, 3.0) for risk in (0.0, 1.0)] == [0.0, 1.0]
    assert moved_risk(0.3, 0.0) == pytest.approx(0.3, rel=1e-12)


def test_none_leaves_the_description_as_it_is(known: BundleDescription) -> None:
    assert at_prevalence(known, None) is known


@pytest.mark.parametrize("share", [0.0, 1.0, -0.1, 5.0, float("nan")])
def test_a_share_that_is_none_is_refused(known: BundleDescription, share: float) -> None:
    with pytest.raises(ConfigError, match=r"The prevalence is .*; it must be above 0 and below 1"):
        at_prevalence(known, share)


def test_a_model_that_does_not_know_its_own_cannot_be_moved(description: BundleDescription) -> None:
    with pytest.raises(ConfigError, match=r"tiny 1\.2 does not say how common .* Make its bundle anew"):
        at_prevalence(description, 0.1)


def test_the_environment_states_it_where_no_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(PREVALENCE_VARIABLE, raising=False)
    assert stated_prevalence() is None
    monkeypatch.setenv(PREVALENCE_VARIABLE, "0.07")
    assert (stated_prevalence(), stated_prevalence(0.2)) == (0.07, 0.2)
    monkeypatch.setenv(PREVALENCE_VARIABLE, "7 %")
    with pytest.raises(ConfigError, match=r"DERM_PREVALENCE is '7 %'; it must be a number"):
        stated_prevalence()
