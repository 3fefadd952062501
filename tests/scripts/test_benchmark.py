"""benchmark.py: the ratios it reports are those of the times it took. No time is asserted."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import benchmark
import pytest

from derm_core.errors import ConfigError


def test_a_ratio_is_taken_within_each_round() -> None:
    times = {"ours": [1.0, 2.0, 9.0], "theirs": [2.0, 2.0, 3.0]}
    found = benchmark.compare("net", "tensor", "ours", "theirs", times)
    assert found.ratio == {"min": 0.5, "median": 1.0, "max": 3.0}
    assert found.milliseconds == {"ours": 2000.0, "theirs": 2000.0}


def test_every_round_runs_every_case_once_in_an_order_that_turns() -> None:
    calls: list[str] = []
    times = benchmark.interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, 4, "test")
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4, "c": 4}
    rounds = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert len(rounds) == 4 + benchmark.WARM_UP_ROUNDS
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
