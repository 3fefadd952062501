"""The trials of a search, kept by Optuna, and which process runs which. Trains nothing.

All trials wait in Optuna's queue from the beginning, each with its place in the search. Who takes one holds a lock on a
file for as long as it runs; the system gives the lock up when the process ends, however it ends, and the next process
that comes by continues the trial from its checkpoint.
"""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState

from derm_core.errors import ConfigError
from derm_core.experiments.search_plan import SearchPlan
from derm_core.experiments.trial_storage import DATABASE, open_study
from derm_core.files import replace_file

STATE = ".search"
_PLACE, _FOLDER, _IDENTITY = "place", "folder", "search"
_POLL_SECONDS = 0.5
_ORPHAN_SECONDS = 60.0


@dataclass(frozen=True)
class Claim:
    """A trial that this process runs, and no other until it releases the lock.

    `continued` where a process that was killed began it; `reported` are the epochs whose metric is in the storage.
    """

    trial: optuna.trial.Trial
    place: int
    lock: FileLock
    continued: bool = False
    reported: tuple[int, ...] = ()


@dataclass(frozen=True)
class Entry:
    """A trial as the storage has it; `here` where its run folder lies in this search folder."""

    place: int
    frozen: FrozenTrial
    here: bool

    @property
    def error(self) -> str:
        """Why it failed; empty where it did not."""
        return str(self.frozen.user_attrs.get("error", ""))


class TrialQueue:
    """The trials of one search, seen from one search folder.

    Several processes may have one open on the same folder. With a storage on a database server, several machines may
    have one open, too, each on a folder of its own: a trial is then continued on the machine that began it.
    """

    def __init__(
        self, folder: Path, plan: SearchPlan, data_fingerprint: str, *, storage: str | None = None
    ) -> None:
        """Opens the search of a folder, or begins it where there is none.

        Args:
            folder: the search folder; made where it does not exist.
            plan: what is searched.
            data_fingerprint: of the dataset that trials are trained on.
            storage: URL of a database that several machines share; None for a file in the folder.

        Raises:
            ConfigError: the folder is not a search's, the search there is another or has more trials, or the storage
                cannot be opened.
        """
        self.plan, self._folder = plan, folder
        state = folder / STATE
        if folder.exists() and not state.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ConfigError(f"{folder} exists already and holds no search. Name another folder.")
        has_database = (folder / DATABASE).exists()
        if has_database if storage else not has_database and any(folder.glob("trial-*")):
            raise ConfigError(
                f"{folder} holds a search in another storage. Name the one that it was begun with."
            )
        state.mkdir(parents=True, exist_ok=True)
        self.lock = FileLock(state / "queue.lock")
        self._grace = 0.0 if storage is None else _ORPHAN_SECONDS
        self._first_seen: dict[int, float] = {}
        with self.lock:
            self._id = _folder_id(state / "id")
            self._study, self._storage = open_study(folder, plan, storage)
            self._check_same(json.loads(json.dumps(plan.identity(data_fingerprint))))
            self._fill()

    def __enter__(self) -> TrialQueue:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connections to the storage; a trial that is still claimed stays so until the process ends."""
        self._storage.remove_session()
        self._storage.engine.dispose()

    def entries(self) -> list[Entry]:
        """Returns the trials in the order of their places."""
        first: dict[int, FrozenTrial] = {}
        for trial in self._study.get_trials(deepcopy=False):
            place = trial.user_attrs.get(_PLACE)
            # What nobody took before it failed was put aside here; another trial has its place.
            aside = trial.state == TrialState.FAIL and _FOLDER not in trial.user_attrs
            if place is not None and not aside:
                first.setdefault(place, trial)
        return [
            Entry(place, trial, trial.user_attrs.get(_FOLDER) == self._id)
            for place, trial in sorted(first.items())
        ]

    def claim(self) -> Claim | None:
        """Returns a trial to run, one that was interrupted before any other; None where all have ended.

        While other processes of this folder still run theirs, it waits: one of them may be killed.
        """
        while True:
            with self.lock:
                entries = self.entries()
                claim = self._take_over(entries) or self._take_next(entries)
            if claim is not None or all(
                entry.frozen.state.is_finished() or (_FOLDER in entry.frozen.user_attrs and not entry.here)
                for entry in entries
            ):
                return claim
            time.sleep(_POLL_SECONDS)

    def finish(self, claim: Claim, state: TrialState, value: float | None = None, error: str = "") -> None:
        """Writes down how a trial ended."""
        if error:
            claim.trial.set_user_attr("error", error)
        self._study.tell(claim.trial.number, value, state)

    def _take_over(self, entries: Sequence[Entry]) -> Claim | None:
        for entry in entries:
            if entry.frozen.state != TrialState.RUNNING:
                continue
            if _FOLDER not in entry.frozen.user_attrs:
                self._put_back_an_orphan(entry)
            elif entry.here and (lock := self._try_lock(entry.place)) is not None:
                self._study.sampler = self.plan.sampler(entry.place)
                trial = self._revive(entry.frozen.number)
                return Claim(trial, entry.place, lock, True, tuple(entry.frozen.intermediate_values))
        return None

    def _take_next(self, entries: Sequence[Entry]) -> Claim | None:
        if not any(entry.frozen.state == TrialState.WAITING for entry in entries):
            return None
        trial = self._study.ask()
        # Another machine may have been faster at the last one, or have filled the queue at the same time.
        entry = next((entry for entry in self.entries() if entry.frozen.number == trial.number), None)
        if entry is None:
            self._study.tell(trial.number, state=TrialState.FAIL)
            return None
        trial.set_user_attr(_FOLDER, self._id)
        self._study.sampler = self.plan.sampler(entry.place)
        lock = self._try_lock(entry.place)
        return None if lock is None else Claim(trial, entry.place, lock)

    def _put_back_an_orphan(self, entry: Entry) -> None:
        """Queues a trial again whose process was killed between taking it and saying so; nothing was trained of it."""
        now = time.monotonic()
        # On another machine it may be but a moment old.
        if now - self._first_seen.setdefault(entry.frozen.number, now) >= self._grace:
            with suppress(ValueError, optuna.exceptions.UpdateFinishedTrialError):
                self._study.tell(entry.frozen.number, state=TrialState.FAIL)
            self._enqueue(entry.place)

    def _try_lock(self, place: int) -> FileLock | None:
        lock = FileLock(self._folder / STATE / f"trial-{place:04d}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return None
        return lock

    def _revive(self, number: int) -> optuna.trial.Trial:
        # A trial whose process was killed is live again, with the settings that it had: Optuna offers only new ones.
        return optuna.trial.Trial(
            self._study, self._storage.get_trial_id_from_study_id_trial_number(self._study._study_id, number)
        )

    def _fill(self) -> None:
        have = {entry.place for entry in self.entries()}
        if len(have) > self.plan.trials:
            raise ConfigError(
                f"{self._folder} was begun with {len(have)} trials, more than {self.plan.trials}. Ask for as many "
                "or more."
            )
        for place in range(self.plan.trials):
            if place not in have:
                self._enqueue(place)

    def _enqueue(self, place: int) -> None:
        values: dict[str, Any] = dict(self.plan.grid[place]) if self.plan.grid else {}
        self._study.enqueue_trial(values, user_attrs={_PLACE: place})

    def _check_same(self, identity: dict[str, Any]) -> None:
        before = self._study.user_attrs.get(_IDENTITY)
        if before is None:
            self._study.set_user_attr(_IDENTITY, identity)
            return
        changed = [
            f"{key} was {before.get(key)!r} and is now {identity.get(key)!r}"
            for key in dict.fromkeys([*before, *identity])
            if before.get(key) != identity.get(key)
        ]
        if changed:
            raise ConfigError(
                f"{self._folder} holds another search: {'; '.join(changed)}. Continue it with the same settings and "
                "data, or name another folder."
            )


def _folder_id(path: Path) -> str:
    if not path.exists():
        replace_file(path, secrets.token_hex(16).encode())
    return path.read_text("ascii")
