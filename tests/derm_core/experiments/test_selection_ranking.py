"""A ranking as text: what it says of ties, and that all figures stand in it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from derm_core.experiments.comparison import Comparison
from derm_core.experiments.cost import Cost
from derm_core.experiments.measured_run import RankedRun
from derm_core.experiments.ranking import plain_ranking, ranking_lines, ranking_markdown, verdict
from derm_core.experiments.selection import choose_run

BEST = RankedRun(
    runs=(Path("runs/a"), Path("runs/b c")),
    name="recipe",
    epoch=7,
    image_size=224,
    metric="macro_f1",
    value=0.7654,
    ci95=(0.70, 0.82),
    lesions=300,
    architecture="resnet18",
    cost=Cost(11_180_103, 1_814_073_344),
    seconds=0.0234,
)
TIED = replace(
    BEST,
    runs=(Path("runs/small"),),
    value=0.7511,
    cost=Cost(2_232_839, 300_774_272),
    versus_best=Comparison(-0.0143, (-0.05, 0.02), 0.21, 0.42, 8, 12, 0.5034),
)
APART = replace(
    TIED, runs=(Path("runs/poor"),), versus_best=Comparison(-0.2, (-0.3, -0.1), 0.0002, 0.0004, 3, 40, 1e-9)
)


def test_the_verdict_names_the_ties_the_choice_and_the_reason() -> None:
    ranked = [BEST, TIED, APART]
    said = verdict(ranked, choose_run(ranked))
    assert said == (
        "2 of 3 cannot be told apart from the best at 95%: runs/a + 'runs/b c' at 224 px, runs/small at 224 px. "
        "Chosen: runs/small at 224 px (2.2 million parameters, 0.30 billion multiply-adds), the smallest and fastest "
        "of them."
    )
    assert verdict(ranked, BEST).endswith("1.81 billion multiply-adds), the best macro_f1.")
    twin = replace(TIED, runs=(Path("runs/twin"),))
    assert verdict([BEST, TIED, twin], TIED).endswith(
        "of the smallest and fastest the one with the best macro_f1."
    )


def test_the_mean_of_the_weights_is_taken_where_it_is_asked_for_and_among_the_best() -> None:
    alone = replace(BEST, runs=(Path("runs/a"),), cost=TIED.cost)
    mean = replace(TIED, runs=(Path("runs/a"), Path("runs/b")))
    assert choose_run([alone, mean], "small") is alone
    assert choose_run([alone, mean], "average") is mean
    said = verdict([alone, mean], mean)
    assert said.endswith("multiply-adds), the mean of the weights, which was asked for.")
    worse = replace(mean, versus_best=APART.versus_best)
    assert choose_run([alone, worse], "average") is alone


def test_the_verdict_without_ties() -> None:
    assert verdict([BEST, APART], BEST).endswith("is told apart from all others at 95%.")
    assert verdict([BEST], BEST) == (
        "Chosen: runs/a + 'runs/b c' at 224 px (11.2 million parameters, 1.81 billion multiply-adds)."
    )


def test_the_plain_values_are_json_and_say_which_is_chosen() -> None:
    first, second, third = json.loads(json.dumps(plain_ranking([BEST, TIED, APART], TIED)))
    assert first["runs"] == ["runs/a", "runs/b c"]
    assert first["ci95"] == [0.70, 0.82]
    assert first["versus_best"] is None
    assert (first["parameters"], first["multiply_adds"]) == (11_180_103, 1_814_073_344)
    assert [row["chosen"] for row in (first, second, third)] == [False, True, False]
    assert [row["tied"] for row in (first, second, third)] == [True, True, False]
    assert second["versus_best"]["difference"] == -0.0143
    assert second["versus_best"]["difference_ci95"] == [-0.05, 0.02]
    assert {"runs", "name", "epoch", "image_size", "metric", "value", "ci95", "lesions"} <= set(first)


def test_the_markdown_is_one_table_with_every_run() -> None:
    text = ranking_markdown([BEST, TIED, APART], TIED)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert len({row.count("|") for row in rows}) == 1
    assert "| 0.765 (0.700 to 0.820) |" in rows[2]
    assert "**runs/small at 224 px**" in rows[3]
    assert (
        "| -0.014 (-0.050 to +0.020) | 0.210 | 0.420 | 8, 12 | 0.503 | 2,232,839 | 300,774,272 | 23.4 |"
        in rows[3]
    )
    assert "| < 0.001 | < 0.001 | 3, 40 | < 0.001 |" in rows[4]
    assert verdict([BEST, TIED, APART], TIED) in text


@pytest.mark.parametrize(("entry", "words"), [(TIED, "not told apart"), (APART, "told apart")])
def test_the_lines_say_what_is_told_apart(entry: RankedRun, words: str) -> None:
    first, second = ranking_lines([BEST, entry])
    assert first == (
        "1. runs/a + 'runs/b c' at 224 px: macro_f1 0.765 (95% CI 0.700-0.820) on 300 validation lesions, epoch 7"
    )
    assert second.endswith(f": {words}")
