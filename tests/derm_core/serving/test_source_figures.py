"""A rule that sees nothing but the source, by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derm_core.data.table import Dataset
from derm_core.errors import DatasetError
from derm_core.serving.source_figures import KEYS, figures_by_source, source_rule
from tests.derm_core.evaluation.fake_predictor import make_dataset


def diagnoses(*codes: str) -> np.ndarray:
    return np.array(codes, dtype=object)


def test_each_source_is_answered_with_its_commonest_diagnosis() -> None:
    learnt = np.array([True, True, True, False, False])
    known = diagnoses("nv", "nv", "mel", "mel", "mel")
    assert source_rule(learnt, known, np.array([False, True])).tolist() == ["mel", "nv"]


def test_a_source_that_was_not_learnt_is_answered_with_the_commonest_of_all() -> None:
    known = diagnoses("nv", "mel", "nv")
    assert source_rule(np.array([True, True, True]), known, np.array([False])).tolist() == ["nv"]


def test_of_two_as_common_the_first_by_name_is_taken() -> None:
    assert source_rule(np.array([True, True]), diagnoses("nv", "mel"), np.array([True])).tolist() == ["mel"]


def test_a_source_without_photographs_is_not_measured(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data")

    def evaluate(part: Dataset) -> dict[str, Any]:
        return {"n": len(part), "lesions": 1, "ci95": {}} | dict.fromkeys(KEYS, 0.5)

    figures = figures_by_source(dataset, np.ones(len(dataset), bool), evaluate, split="test", replicates=20)
    (part,) = figures["within"]
    assert (part["inside"], part["n"]) == (True, len(dataset.subset("test")))
    # Every class is as common as any other, so the rule is right for one of seven.
    assert figures["rule"]["accuracy"] == pytest.approx(1 / 7)
    low, high = figures["rule"]["ci95"]
    assert low < 1 / 7 < high


def test_a_rule_that_has_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    dataset = make_dataset(tmp_path / "data").subset("test")
    with pytest.raises(DatasetError, match="learns from other splits than test"):
        figures_by_source(dataset, np.ones(len(dataset), bool), dict, split="test")
