"""What came out of a search: its trials, best first, as plain values and as a table. Runs nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from optuna.trial import TrialState

from derm_core.experiments.search_plan import SearchPlan
from derm_core.experiments.search_space import Value, set_words, short
from derm_core.experiments.trial_queue import Entry
from derm_core.serving import markdown

STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
    TrialState.FAIL: "failed",
}


@dataclass(frozen=True)
class TrialOutcome:
    """A trial: `run` is the name of its run folder, `here` whether that lies in this search folder.

    `value` is the metric of its best epoch so far, None before the first; `epochs` are those recorded. `settings` are
    those that the search tries; `error` says why it failed.
    """

    trial: int
    run: str
    here: bool
    state: str
    value: float | None
    epochs: int
    settings: dict[str, Value]
    error: str


@dataclass(frozen=True)
class SearchOutcome:
    """The trials of a search: the complete ones first, then the pruned ones, each by their metric; then the rest."""

    plan: SearchPlan
    trials: tuple[TrialOutcome, ...]

    @property
    def best(self) -> TrialOutcome | None:
        """The complete trial with the best metric; None where none is complete."""
        return self.trials[0] if self.trials and self.trials[0].state == "complete" else None

    @property
    def best_words(self) -> str:
        """The words that make train.py do what the best trial did: --set section.key=value ..."""
        return "" if self.best is None else set_words(self.plan.words(self.best.settings))

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for JSON."""
        best = None
        if self.best is not None:
            best = asdict(self.best) | {"overrides": self.plan.words(self.best.settings)}
        return {
            "recipe": self.plan.recipe,
            "overrides": list(self.plan.overrides),
            "over": {setting.key: str(setting) for setting in self.plan.space},
            "method": self.plan.method,
            "pruner": self.plan.pruner,
            "seed": self.plan.seed,
            "metric": self.plan.metric,
            "best": best,
            "trials": [asdict(trial) for trial in self.trials],
        }

    def table(self) -> str:
        """Returns the trials as a Markdown table."""
        keys = [setting.key for setting in self.plan.space]
        rows = []
        for trial in self.trials:
            rows.append(
                [
                    trial.run if trial.here or trial.state == "waiting" else f"{trial.run} (elsewhere)",
                    markdown.number(trial.value),
                    trial.state,
                    str(trial.epochs),
                    *(
                        markdown.cell(short(trial.settings[key]))
                        if key in trial.settings
                        else markdown.NOTHING
                        for key in keys
                    ),
                ]
            )
        return markdown.table(["trial", self.plan.metric, "state", "epochs", *keys], rows)


def read_outcome(plan: SearchPlan, entries: Sequence[Entry]) -> SearchOutcome:
    """Returns the trials as the storage has them."""
    order = list(STATES.values())
    trials = [_trial_outcome(entry) for entry in entries]
    return SearchOutcome(
        plan,
        tuple(
            sorted(
                trials,
                key=lambda trial: (
                    order.index(trial.state),
                    -trial.value if trial.value is not None else 0.0,
                    trial.trial,
                ),
            )
        ),
    )


def trial_name(place: int) -> str:
    """Returns the name of a trial's run folder."""
    return f"trial-{place:04d}"


def _trial_outcome(entry: Entry) -> TrialOutcome:
    trial = entry.frozen
    return TrialOutcome(
        trial=entry.place,
        run=trial_name(entry.place),
        here=entry.here,
        state=STATES[trial.state],
        value=max(trial.intermediate_values.values(), default=None),
        epochs=max(trial.intermediate_values, default=0),
        # Those of a grid are known before the trial begins.
        settings=trial.params or trial.system_attrs.get("fixed_params", {}),
        error=entry.error,
    )
