"""benchmark.py: the ratios it reports are those of the times it took. No time is asserted."""

from __future__ import annotations

import json
import pickle
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import _benchmark_answers as answers
import _benchmark_peak
import _benchmark_training
import benchmark
import pytest
from _benchmark_turns import Competitor, Epoch

from derm_core.errors import ConfigError
from tests.derm_core.data.coloured import coloured_dataset


def test_a_ratio_is_taken_within_each_round() -> None:
    times = {"ours": [1.0, 2.0, 9.0], "theirs": [2.0, 2.0, 3.0]}
    found = answers.compare("net", "tensor", "ours", "theirs", times)
    assert found.ratio == {"min": 0.5, "median": 1.0, "max": 3.0}
    assert found.milliseconds == {"ours": 2000.0, "theirs": 2000.0}


def test_every_round_runs_every_case_once_in_an_order_that_turns() -> None:
    calls: list[str] = []
    times = answers.interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, 4, "test")
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4, "c": 4}
    rounds = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert len(rounds) == 4 + answers.WARM_UP_ROUNDS
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert set(rounds) == {"abc", "bca", "cab"}


def test_a_small_run_reports_every_comparison_and_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "figures.json"
    options = ["--model", "", "--architecture", "mobilenet_v3_small", "--rounds", "2", "--json", str(out)]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    benchmark.main()
    report = json.loads(out.read_text("utf-8"))
    assert {"processor", "cores", "threads", "torch", "captum"} <= set(report["machine"])
    assert [entry["starts_from"] for entry in report["comparisons"]] == ["tensor"] * 3 + ["picture file"] * 2
    for entry in report["comparisons"]:
        assert entry["network"] == "mobilenet_v3_small, random (224 px)"
        assert 0 < entry["ratio"]["min"] <= entry["ratio"]["median"] <= entry["ratio"]["max"]
    assert capsys.readouterr().out.count("takes") == 5


def test_nothing_to_measure_is_one_clear_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["benchmark.py", "--model", "", "--architecture"])
    with pytest.raises(ConfigError, match="nothing to measure"):
        benchmark.main()


class OneAfterTheOther:
    """A turn that never waits; a second an epoch."""

    def __init__(self) -> None:
        self.epochs: list[Epoch] = []

    def begin(self) -> None:
        self.epochs.clear()

    def end_epoch(self, **figures: float) -> None:
        self.epochs.append(Epoch(1.0, 2.0, figures))


def run_here(
    competitors: Mapping[str, Competitor], on_epoch: Callable[[str, Epoch], object]
) -> dict[str, list[Epoch]]:
    """take_turns without its processes, each of which would import PyTorch."""
    epochs = {}
    for name, competitor in competitors.items():
        turn = OneAfterTheOther()
        pickle.loads(pickle.dumps(competitor))(turn)
        epochs[name] = turn.epochs
        for epoch in turn.epochs:
            on_epoch(name, epoch)
    return epochs


def test_a_small_training_reports_both_sides_and_their_comparison(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_benchmark_peak, "_SIDE", {"cpu": 64})
    monkeypatch.setattr(_benchmark_training, "take_turns", run_here)
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    dataset = coloured_dataset(tmp_path / "set", train=33, valid=3)
    out = tmp_path / "figures.json"
    options = [
        *["--training", str(dataset.folder), "--contests", "frozen", "--peers", "plain", "--epochs", "2"],
        *["--frozen-architecture", "mobilenet_v3_small", "--image-size", "32", "--workers", "0"],
        *["--threads", "1", "--target", "0", "--json", str(out)],
    ]
    monkeypatch.setattr(sys, "argv", ["benchmark.py", *options])
    benchmark.main()
    report = json.loads(out.read_text("utf-8"))
    (contest,) = report["contests"]
    assert (contest["training_pictures"], contest["validation_pictures"]) == (33, 3)
    assert {name: result["epoch_seconds"] for name, result in contest["results"].items()} == {
        "ours": [1.0, 1.0],
        "plain": [1.0, 1.0],
    }
    assert {result["target_epoch"] for result in contest["results"].values()} == {1}
    assert contest["comparisons"] == [
        {
            "what": "ours",
            "against": "plain",
            "times_as_fast": 1.0,
            "times_as_fast_to_target": 1.0,
            "times_the_processor": 1.0,
        }
    ]
    assert "ours against plain" in capsys.readouterr().out
    assert sorted(path.name for path in dataset.folder.iterdir()) == ["images", "metadata.csv"]
