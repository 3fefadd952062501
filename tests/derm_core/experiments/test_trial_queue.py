"""Who runs which trial: each has one runner, and none is lost when its runner is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.trial import TrialState

from derm_core.errors import ConfigError
from derm_core.experiments import trial_queue
from derm_core.experiments.search_plan import SearchPlan, plan_search
from derm_core.experiments.trial_queue import Claim, TrialQueue
from tests.web.postgres import empty_database

RECIPE = "ham7-mobilenet_v2"


def plan(over: str = "training.learning_rate=1e-4..1e-2:log", **options: object) -> SearchPlan:
    return plan_search(RECIPE, [over], **({"method": "random", "trials": 3} | options))  # type: ignore[arg-type]


_opened: list[TrialQueue] = []


@pytest.fixture(autouse=True)
def closed() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def open_queue(folder: Path, asked: SearchPlan | None = None, *, storage: str | None = None) -> TrialQueue:
    _opened.append(TrialQueue(folder, asked or plan(), "data", storage=storage))
    return _opened[-1]


def claimed(queue: TrialQueue) -> Claim:
    claim = queue.claim()
    assert claim is not None
    return claim


def states(queue: TrialQueue) -> list[TrialState]:
    return [entry.frozen.state for entry in queue.entries()]


def test_all_trials_wait_in_order_from_the_beginning(tmp_path: Path) -> None:
    queue = open_queue(tmp_path / "search")
    assert states(queue) == [TrialState.WAITING] * 3
    claims = [claimed(queue) for _ in range(3)]
    assert [claim.place for claim in claims] == [0, 1, 2]
    assert not any(claim.continued for claim in claims)
    for claim in claims:
        queue.finish(claim, TrialState.COMPLETE, 0.5)
    assert queue.claim() is None
    assert states(queue) == [TrialState.COMPLETE] * 3


def test_a_grid_has_its_points_in_order(tmp_path: Path) -> None:
    grid = plan("training.seed=[7, 5]", method="grid", trials=None)
    queue = open_queue(tmp_path / "search", grid)
    claims = [claimed(queue), claimed(queue)]
    assert [grid.suggest(claim.trial) for claim in claims] == [{"training.seed": 7}, {"training.seed": 5}]


def test_two_processes_never_have_the_same_trial(tmp_path: Path) -> None:
    one, other = open_queue(tmp_path / "search"), open_queue(tmp_path / "search")
    claims = [claimed(one), claimed(other), claimed(one)]
    assert sorted(claim.place for claim in claims) == [0, 1, 2]
    assert states(other) == [TrialState.RUNNING] * 3


def test_a_trial_whose_runner_is_gone_is_continued_with_its_settings_before_new_ones_begin(
    tmp_path: Path,
) -> None:
    queue = open_queue(tmp_path / "search")
    lost = claimed(queue)
    settings = queue.plan.suggest(lost.trial)
    lost.trial.report(0.4, 1)
    # The system does this when a process ends, however it ends.
    lost.lock.release()
    again = claimed(open_queue(tmp_path / "search"))
    assert (again.place, again.continued, again.reported) == (lost.place, True, (1,))
    assert queue.plan.suggest(again.trial) == settings
    again.trial.report(0.5, 2)
    queue.finish(again, TrialState.COMPLETE, 0.5)
    assert queue.entries()[0].frozen.intermediate_values == {1: 0.4, 2: 0.5}


def test_a_runner_that_dies_before_it_draws_settings_leaves_the_same_ones_to_the_next(tmp_path: Path) -> None:
    asked = plan()
    claimed(open_queue(tmp_path / "search", asked)).lock.release()
    there = asked.suggest(claimed(open_queue(tmp_path / "search", asked)).trial)
    assert asked.suggest(claimed(open_queue(tmp_path / "undisturbed", asked)).trial) == there


def test_a_trial_whose_runner_died_as_it_took_it_is_not_lost(tmp_path: Path) -> None:
    queue = open_queue(tmp_path / "search")
    # Killed between taking the trial and saying so.
    queue._study.ask()
    claims = [claimed(open_queue(tmp_path / "search")) for _ in range(3)]
    assert sorted(claim.place for claim in claims) == [0, 1, 2]
    for claim in claims:
        queue.finish(claim, TrialState.COMPLETE, 0.5)
    assert queue.claim() is None
    assert states(queue) == [TrialState.COMPLETE] * 3


def test_a_queue_that_was_half_filled_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    enqueue = TrialQueue._enqueue

    def killed_at_1(queue: TrialQueue, place: int) -> None:
        if place == 1:
            raise KeyboardInterrupt
        enqueue(queue, place)

    with monkeypatch.context() as patch:
        patch.setattr(TrialQueue, "_enqueue", killed_at_1)
        with pytest.raises(KeyboardInterrupt):
            open_queue(tmp_path / "search")
    assert [entry.place for entry in open_queue(tmp_path / "search").entries()] == [0, 1, 2]


def test_more_trials_may_be_asked_for_but_not_fewer(tmp_path: Path) -> None:
    open_queue(tmp_path / "search")
    assert len(open_queue(tmp_path / "search", plan(trials=5)).entries()) == 5
    with pytest.raises(ConfigError, match="was begun with 5 trials, more than 3"):
        open_queue(tmp_path / "search")


def test_another_search_does_not_go_on_in_the_folder(tmp_path: Path) -> None:
    open_queue(tmp_path / "search")
    with pytest.raises(
        ConfigError, match=r"another search: seed was 0 and is now 1; training\.epochs was 15"
    ):
        open_queue(tmp_path / "search", plan(seed=1, overrides=["training.epochs=2"]))
    with pytest.raises(ConfigError, match="another search: data was 'data' and is now 'other'"):
        TrialQueue(tmp_path / "search", plan(), "other")


def test_a_folder_with_something_else_in_it_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ConfigError, match="exists already and holds no search"):
        open_queue(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_folder_may_be_moved(tmp_path: Path) -> None:
    queue = open_queue(tmp_path / "search {1}")
    queue.finish(claimed(queue), TrialState.COMPLETE, 0.5)
    (tmp_path / "search {1}").rename(tmp_path / "elsewhere")
    assert states(open_queue(tmp_path / "elsewhere"))[0] == TrialState.COMPLETE


@pytest.mark.parametrize(
    ("storage", "message"),
    [
        ("sqlite:////tmp/search.db", "SQLite serves one machine"),
        ("nonsense", "cannot be opened"),
        ("nonsense://host/name", "cannot be opened"),
        ("postgresql://user:secret@127.0.0.1:1/none", "cannot be opened"),
    ],
)
def test_a_storage_that_cannot_be_used_is_refused(storage: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        open_queue(tmp_path / "search", storage=storage)
    assert "secret" not in str(refused.value)


def test_a_search_does_not_change_its_storage(tmp_path: Path) -> None:
    open_queue(tmp_path / "here")
    with pytest.raises(ConfigError, match="holds a search in another storage"):
        open_queue(tmp_path / "here", storage="postgresql://127.0.0.1:1/none")
    (tmp_path / "there" / trial_queue.STATE).mkdir(parents=True)
    (tmp_path / "there" / "trial-0000").mkdir()
    with pytest.raises(ConfigError, match="holds a search in another storage"):
        open_queue(tmp_path / "there")


def test_machines_that_share_a_database_share_the_trials_and_continue_only_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial_queue, "_ORPHAN_SECONDS", 0.0)
    with empty_database() as url:
        one = open_queue(tmp_path / "one" / "search", storage=url)
        other = open_queue(tmp_path / "other" / "search", storage=url)
        lost, claim = claimed(one), claimed(other)
        assert (lost.place, claim.place) == (0, 1)
        lost.lock.release()
        # Its checkpoint lies on the first machine.
        last = claimed(other)
        assert last.place == 2
        other.finish(claim, TrialState.COMPLETE, 0.5)
        other.finish(last, TrialState.PRUNED)
        assert other.claim() is None
        again = claimed(open_queue(tmp_path / "one" / "search", storage=url))
        assert (again.place, again.continued) == (0, True)
        assert [entry.here for entry in one.entries()] == [True, False, False]
        # One that nobody said to have taken is nobody's.
        open_queue(tmp_path / "one" / "search", plan(trials=4), storage=url)._study.ask()
        assert claimed(other).place == 3
