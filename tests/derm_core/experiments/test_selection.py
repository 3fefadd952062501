from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest
import torch
from torch import nn

from derm_core.data.table import load_dataset
from derm_core.errors import ConfigError
from derm_core.experiments.bundling import make_bundle
from derm_core.experiments.candidate import open_average
from derm_core.experiments.comparison import Comparison
from derm_core.experiments.cost import Cost, network_cost
from derm_core.experiments.measured_run import RankedRun
from derm_core.experiments.selection import choose_run, rank_runs
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


def test_the_first_has_nothing_to_be_compared_with_and_the_others_are_compared_with_it(
    tiny_runs: TinyRuns,
) -> None:
    runs = [tiny_runs.short, tiny_runs.long, tiny_runs.short / "last.pt"]
    first, *others = rank_runs(runs, tiny_runs.dataset, "accuracy", replicates=500)
    assert first.versus_best is None
    assert first.tied
    for entry in others:
        assert entry.versus_best is not None
        assert entry.versus_best.difference == pytest.approx(entry.value - first.value)
        assert entry.tied == (not entry.versus_best.told_apart)
    # The last epoch of one is its best.
    same = [entry for entry in (first, *others) if entry.runs[0] in (runs[0], runs[2])]
    assert same[0].value == same[1].value


def test_a_bundle_is_ranked_beside_runs_and_answers_as_the_run_that_it_was_made_of(
    tiny_runs: TinyRuns, tmp_path: Path
) -> None:
    make_bundle([tiny_runs.long], tiny_runs.dataset, tmp_path / "b", name="tiny", version="1")
    one, other = rank_runs([tiny_runs.long, tmp_path / "b"], tiny_runs.dataset, "brier", replicates=200)
    assert (one.value, one.cost) == (other.value, other.cost)
    assert other.versus_best is not None
    assert other.versus_best.p == 1.0


def test_a_figure_that_is_better_when_lower_ranks_the_lowest_first(tiny_runs: TinyRuns) -> None:
    ranked = rank_runs([tiny_runs.short, tiny_runs.long], tiny_runs.dataset, "brier", replicates=200)
    assert ranked[0].value <= ranked[1].value


def test_a_larger_picture_costs_more_and_the_average_nothing(tiny_runs: TinyRuns) -> None:
    runs = [tiny_runs.short, tiny_runs.long]
    ranked = rank_runs(
        runs, tiny_runs.dataset, "accuracy", image_sizes=[32, 64], average=True, replicates=200
    )
    assert len({entry.cost.parameters for entry in ranked}) == 1
    at = {size: {entry.cost for entry in ranked if entry.image_size == size} for size in (32, 64)}
    (small,), (large,) = at[32], at[64]
    assert small < large
    assert all(entry.seconds > 0 for entry in ranked)
    assert {entry.architecture for entry in ranked} == {"resnet18"}


def test_runs_checked_on_different_pictures_are_refused(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    limited = tmp_path / "limited"
    shutil.copytree(tiny_runs.short, limited)
    config = limited / "config.toml"
    config.write_text(config.read_text("utf-8").replace("limit = 0", "limit = 6"), "utf-8")
    with pytest.raises(
        ConfigError, match=r"checked on different pictures.*long \(split val, limit 0\), .*limit 6"
    ):
        rank_runs([tiny_runs.long, limited], tiny_runs.dataset, "accuracy")


def test_runs_of_different_tasks_are_refused(tiny_runs: TinyRuns, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(tiny_runs.short, other)
    config = other / "config.toml"
    config.write_text(config.read_text("utf-8").replace('"nv-bkl-mel"', '"malignancy"'), "utf-8")
    with pytest.raises(ConfigError, match=r"different tasks.*nv-bkl-mel.*malignancy"):
        rank_runs([tiny_runs.long, other], tiny_runs.dataset, "accuracy")


def ranked_run(value: float, cost: Cost, *, told_apart: bool | None = None) -> RankedRun:
    comparison = None
    if told_apart is not None:
        p = 0.01 if told_apart else 0.5
        comparison = Comparison(value - 0.9, (-0.1, 0.1), p, p, 1, 2, 1.0)
    path = Path(f"runs/{value}")
    return RankedRun(
        (path,), "r", 1, 32, "accuracy", value, (0.0, 1.0), 9, "resnet18", cost, 0.01, comparison
    )


@pytest.mark.parametrize(
    ("others", "chosen"),
    [
        ([], 0.9),
        ([(0.8, Cost(5, 50), True)], 0.9),
        ([(0.8, Cost(5, 50), False), (0.7, Cost(1, 10), True)], 0.8),
        ([(0.8, Cost(10, 50), False)], 0.8),
        ([(0.8, Cost(11, 50), False)], 0.9),
        ([(0.8, Cost(5, 60), False), (0.7, Cost(5, 50), False)], 0.7),
        ([(0.8, Cost(10, 100), False)], 0.9),
        ([(0.8, Cost(5, 50), False), (0.7, Cost(5, 50), False)], 0.8),
    ],
    ids=[
        "alone",
        "told apart from a smaller one",
        "a smaller one that is tied, not one that is told apart",
        "as many parameters, fewer multiply-adds",
        "more parameters, fewer multiply-adds",
        "the fastest of the smallest",
        "the same cost",
        "the better of two that cost the same",
    ],
)
def test_of_those_that_cannot_be_told_apart_the_smaller_and_faster_is_chosen(
    others: list[tuple[float, Cost, bool]], chosen: float
) -> None:
    ranked = [ranked_run(0.9, Cost(10, 100))]
    ranked += [ranked_run(value, cost, told_apart=apart) for value, cost, apart in others]
    assert choose_run(ranked).value == chosen
    assert choose_run(ranked, "metric").value == 0.9


def test_the_cost_of_a_network_by_hand() -> None:
    class Tiny(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.fc = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 2)

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            pooled = self.conv(images).mean(dim=(2, 3))
            answer: torch.Tensor = self.fc(pooled)
            return answer

    # 3 x 3 x 3 weights at each of 8 x 8 pixels for 4 channels, then 4 for each of 2 classes.
    by_hand = Cost((27 + 1) * 4 + (4 + 1) * 2, 8 * 8 * 4 * 27 + 4 * 2)
    assert network_cost(Tiny(), 8) == by_hand
    assert network_cost(Tiny(), 8, views=2) == Cost(by_hand.parameters, 2 * by_hand.multiply_adds)
