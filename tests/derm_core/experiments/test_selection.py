from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch

from derm_core.data.table import load_dataset
from derm_core.errors import ConfigError
from derm_core.experiments.candidate import open_average
from derm_core.experiments.selection import rank_runs
from derm_core.training.checkpoint import load_best, load_last
from tests.derm_core.experiments.conftest import TinyRuns


def test_the_run_with_the_higher_metric_comes_first(tiny_runs: TinyRuns) -> None:
    ranked = rank_runs([tiny_runs.short, tiny_runs.long], tiny_runs.dataset, "balanced_accuracy")
    values = [entry.value for entry in ranked]
    assert values == sorted(values, reverse=True)
    assert {entry.runs for entry in ranked} == {(tiny_runs.short,), (tiny_runs.long,)}
    for entry in ranked:
        assert entry.lesions == 12
        assert 0 <= entry.ci95[0] <= entry.value <= entry.ci95[1] <= 1


def test_the_ranking_reads_no_test_picture(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    shutil.copytree(tiny_runs.dataset.folder, folder)
    dataset = load_dataset(folder)
    test = dataset.subset("test")
    for index in range(len(test)):
        path = test.image_path(index)
        path.write_bytes(b"x" * path.stat().st_size)
    assert rank_runs([tiny_runs.long], dataset, "accuracy")


def test_each_run_is_tried_at_each_size(tiny_runs: TinyRuns) -> None:
    ranked = rank_runs([tiny_runs.long], tiny_runs.dataset, "accuracy", image_sizes=[32, 64])
    assert {entry.image_size for entry in ranked} == {32, 64}
    (as_trained,) = rank_runs([tiny_runs.long], tiny_runs.dataset, "accuracy")
    assert as_trained == next(entry for entry in ranked if entry.image_size == 32)


def test_a_run_on_other_data_is_refused(tiny_runs: TinyRuns) -> None:
    other = dataclasses.replace(tiny_runs.dataset, table=tiny_runs.dataset.table.iloc[:-1])
    with pytest.raises(ConfigError, match="trained on other data"):
        rank_runs([tiny_runs.long], other, "accuracy")


def test_a_metric_that_is_not_known_is_named_with_those_that_are(tiny_runs: TinyRuns) -> None:
    with pytest.raises(ConfigError, match=r"'beauty' cannot be computed.*accuracy.*macro_f1"):
        rank_runs([tiny_runs.long], tiny_runs.dataset, "beauty")


def test_the_average_is_the_mean_of_the_weights(tiny_runs: TinyRuns) -> None:
    runs = [tiny_runs.short / "last.pt", tiny_runs.long]
    average = open_average(runs, tiny_runs.dataset)
    short, long = load_last(tiny_runs.short)["model"], load_best(tiny_runs.long)["model"]
    torch.testing.assert_close(average.state["fc.weight"], (short["fc.weight"] + long["fc.weight"]) / 2)
    assert average.state["bn1.num_batches_tracked"].dtype == torch.int64
    assert len(average.commands) == 2


def test_the_average_is_ranked_beside_its_parts(tiny_runs: TinyRuns) -> None:
    runs = [tiny_runs.short, tiny_runs.long]
    ranked = rank_runs(runs, tiny_runs.dataset, "accuracy", average=True)
    assert {entry.runs for entry in ranked} == {(tiny_runs.short,), (tiny_runs.long,), tuple(runs)}


def test_the_average_of_one_run_is_the_run(tiny_runs: TinyRuns) -> None:
    (alone,) = rank_runs([tiny_runs.long], tiny_runs.dataset, "accuracy")
    assert (
        open_average([tiny_runs.long], tiny_runs.dataset).state.keys()
        == load_best(tiny_runs.long)["model"].keys()
    )
    assert alone.runs == (tiny_runs.long,)
