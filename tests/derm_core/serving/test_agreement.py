"""How near one runtime comes to another, by hand arithmetic."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from derm_core.serving.agreement import Agreement, compare_runtimes
from derm_core.serving.runtimes import FullyExplainedPass, Pixels

PICTURES = [np.full((1, 2, 2, 3), level, np.uint8) for level in (10, 20)]
MAP = np.array([[0.0, 1.0], [2.0, 4.0]], np.float32)


@dataclass
class Fixed:
    """Answers every picture alike, whatever its pixels."""

    logits: tuple[float, float]
    heatmaps: np.ndarray
    name: str = "fixed"
    batches: bool = False

    def explain_all(self, pixels: Pixels) -> FullyExplainedPass:
        logits = np.array([self.logits], np.float32)
        return FullyExplainedPass(logits, np.zeros((1, 3), np.float32), self.heatmaps[None])


def compared(found: Fixed, wanted: Fixed, temperature: float = 1.0) -> Agreement:
    expected = [wanted.explain_all(picture) for picture in PICTURES]
    return compare_runtimes(found, PICTURES, expected, temperature)  # type: ignore[arg-type]


def maps(*parts: np.ndarray) -> np.ndarray:
    return np.stack(parts).astype(np.float32)


def test_a_runtime_agrees_with_itself() -> None:
    runtime = Fixed((1.0, 0.0), maps(MAP, MAP[::-1]))
    assert compared(runtime, runtime) == Agreement(2, 1.0, 0.0, pytest.approx(1.0))  # type: ignore[arg-type]
    assert compared(runtime, runtime).within(1.0)


@pytest.mark.parametrize("confidence", [0.0, 4.0])
def test_the_difference_is_the_most_that_the_logits_can_move_a_probability(confidence: float) -> None:
    wanted = Fixed((confidence, 0.0), maps(MAP, MAP))
    found = Fixed((confidence + 0.01, 0.0), maps(MAP, MAP))
    # At a temperature of one half: 0.02 times the steepest slope of the logistic function, a quarter.
    assert compared(found, wanted, 0.5).difference == pytest.approx(0.005, rel=1e-4)
    assert compared(found, wanted, 0.5).within(1.0)
    assert compared(found, wanted, 0.5).within(0.6)
    assert not compared(found, wanted, 0.5).within(0.4)
    assert not compared(found, wanted, 0.2).within(1.0)
    moved = 1 / (1 + np.exp(-0.02)) - 0.5
    assert moved <= compared(found, wanted, 0.5).difference <= 1.001 * moved


def test_what_moves_all_logits_alike_moves_no_probability() -> None:
    result = compared(Fixed((6.0, 5.0), maps(MAP, MAP)), Fixed((1.0, 0.0), maps(MAP, MAP)))
    assert result.difference == 0.0


def test_another_top_class_is_counted_however_small_the_difference() -> None:
    result = compared(Fixed((0.0, 1e-4), maps(MAP, MAP)), Fixed((1e-4, 0.0), maps(MAP, MAP)))
    assert result.difference < 1e-3
    assert result.same_top == 0.0
    assert not result.within(1.0)


def test_heatmaps_are_compared_by_their_form_and_not_by_their_size() -> None:
    wanted = Fixed((1.0, 0.0), maps(MAP, MAP[::-1]))
    assert compared(Fixed((1.0, 0.0), maps(3 * MAP, MAP[::-1])), wanted).correlation == pytest.approx(1.0)
    turned = compared(Fixed((1.0, 0.0), maps(MAP, MAP)), wanted)
    assert turned.correlation == pytest.approx(np.corrcoef(MAP.ravel(), MAP[::-1].ravel())[0, 1], abs=1e-6)
    assert not turned.within(1.0)


def test_a_class_that_nothing_speaks_for_has_no_heatmap_to_compare() -> None:
    wanted = Fixed((1.0, 0.0), maps(MAP, 0.01 * MAP))
    assert compared(Fixed((1.0, 0.0), maps(MAP, 0.01 * MAP[::-1])), wanted).within(1.0)


@pytest.mark.parametrize("broken", [np.nan, np.inf])
def test_what_is_no_number_agrees_with_nothing(broken: float) -> None:
    wanted = Fixed((1.0, 0.0), maps(MAP, MAP))
    flawed = MAP.copy()
    flawed[1, 1] = broken
    with np.errstate(invalid="ignore"):
        assert not compared(Fixed((1.0, 0.0), maps(flawed, MAP)), wanted).within(1.0)
    assert not compared(Fixed((broken, 0.0), maps(MAP, MAP)), wanted).within(1.0)


def test_an_empty_heatmap_in_place_of_one_agrees_with_nothing() -> None:
    wanted = Fixed((1.0, 0.0), maps(MAP, MAP))
    assert compared(Fixed((1.0, 0.0), maps(0 * MAP, MAP)), wanted).correlation == 0.0
