"""The benchmark's rounds, rates and whole processes: what takes turns with what, and how often. No time is asserted."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import _benchmark_processes as processes
import _benchmark_rounds as rounds
import _benchmark_runtimes as runtimes
import pytest


def test_a_ratio_is_taken_within_each_round() -> None:
    assert rounds.ratio([1.0, 2.0, 9.0], [2.0, 2.0, 3.0]) == {"min": 0.5, "median": 1.0, "max": 3.0}


def test_every_round_runs_every_case_once_in_an_order_that_turns() -> None:
    calls: list[str] = []
    times = rounds.interleaved({name: lambda name=name: calls.append(name) for name in "abc"}, 4, "test")
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4, "c": 4}
    orders = ["".join(calls[start : start + 3]) for start in range(0, len(calls), 3)]
    assert len(orders) == 4 + rounds.WARM_UP_ROUNDS
    assert all(sorted(order) == ["a", "b", "c"] for order in orders)
    assert set(orders) == {"abc", "bca", "cab"}


class Clock:
    """Stands in for the module `time`; it goes on only when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now

    def spend(self, seconds: float) -> None:
        self.now += seconds


@pytest.mark.parametrize(("most", "measured", "warm"), [(1000.0, 9, 3), (110.0, 6, 2), (1.0, 5, 1)])
def test_slow_rounds_are_fewer(
    monkeypatch: pytest.MonkeyPatch, most: float, measured: int, warm: int
) -> None:
    clock = Clock()
    monkeypatch.setattr(rounds, "time", clock)
    calls: list[int] = []

    def slow() -> None:
        calls.append(1)
        clock.spend(15.0)

    times = rounds.interleaved({"slow": slow}, 9, "test", most_seconds=most)
    assert times == {"slow": [15.0] * measured}
    assert len(calls) == measured + warm


def test_processes_start_again_only_within_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, started = Clock(), []

    def start(command: Sequence[str], *, told: str = "") -> processes.Spent:
        started.append(bool(told))
        clock.spend(4.0)
        return processes.Spent(4.0, 1, "")

    monkeypatch.setattr(processes, "time", clock)
    monkeypatch.setattr(processes, "spend", start)
    plain, found = processes.starts(Path("model"), ["eager"], Path("a.jpg"), 5, most_seconds=10.0)
    assert (plain is not None, list(found), started) == (True, ["eager"], [True, False] * 2)
    plain, _ = processes.starts(Path("model"), ["eager"], Path("a.jpg"), 1, plain=False)
    assert plain is None


def test_a_rate_counts_what_all_threads_did() -> None:
    done: list[int] = []
    assert runtimes.most_a_second(lambda: done.append(1), workers=2, seconds=0.01) > 0
    assert len(done) >= 3


def test_a_process_says_what_it_took_and_how_it_failed() -> None:
    program = "import sys; held = bytearray(30_000_000); print(len(sys.stdin.read()))"
    found = processes.spend([sys.executable, "-c", program], told="four")
    assert found.printed == "4\n"
    assert found.memory > 30_000_000
    with pytest.raises(RuntimeError, match=r"ended with 3: no"):
        processes.spend([sys.executable, "-c", "import sys; print('no', file=sys.stderr); sys.exit(3)"])
