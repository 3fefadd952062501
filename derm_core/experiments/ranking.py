"""A ranking of runs as plain values, as lines, as Markdown and as the sentence that it comes to. Measures nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from derm_core.experiments.comparison import Comparison
from derm_core.experiments.measured_run import RankedRun
from derm_core.experiments.selection import choose_run
from derm_core.serving import markdown

_BY_FOLDS = (
    "Each recipe was trained once for each fold, and each lesion is answered by the run that has not seen it. The "
    "answers of all folds are measured together, and their probabilities compared as they are, though several networks "
    "gave them. The epoch of each run was chosen on its own fold, as that of any run is on its validation split."
)
_NOTES = (
    "Intervals are 95% percentile intervals over lesions. Differences are paired: both runs are measured on the same "
    "redrawn sets of lesions; p is two-sided, and Holm's correction is for the number of runs compared. McNemar's "
    "exact test counts the lesions of which the run has more, or fewer, photographs right than the best; it is a "
    "second view, uncorrected. Milliseconds are the median of this machine in this comparison, decoding included; "
    "they are shown, and decide nothing."
)


def plain_ranking(ranked: Sequence[RankedRun], chosen: RankedRun) -> list[dict[str, Any]]:
    """Returns one dictionary a run, best first, for JSON; `tied` with the best, and `chosen` for one of them."""
    rows = []
    for entry in ranked:
        values = asdict(entry)
        comparison = values.pop("versus_best")
        values |= values.pop("cost") | {"runs": [str(run) for run in entry.runs]}
        rows.append(values | {"tied": entry.tied, "chosen": entry is chosen, "versus_best": comparison})
    return rows


def ranking_lines(ranked: Sequence[RankedRun]) -> list[str]:
    """Returns a line a run for the terminal."""
    lines = []
    for place, entry in enumerate(ranked, start=1):
        low, high = entry.ci95
        epochs = entry.fold_epochs or (entry.epoch,)
        line = (
            f"{place}. {run_words(entry)}: {entry.metric} {entry.value:.3f} (95% CI {low:.3f}-{high:.3f}) on "
            f"{entry.lesions} validation lesions, {'epoch' if len(epochs) == 1 else 'epochs'} "
            f"{', '.join(map(str, epochs))}"
        )
        if entry.versus_best is not None:
            line += f"; {_against_best(entry.versus_best)}"
        lines.append(line)
    return lines


def verdict(ranked: Sequence[RankedRun], chosen: RankedRun) -> str:
    """Returns what the ranking comes to, in a sentence or two: who is tied with the best, and who is chosen and why."""
    best, tied = ranked[0], [entry for entry in ranked if entry.tied]
    if len(tied) == 1:
        others = f" {run_words(best)} is told apart from all others at 95%." if len(ranked) > 1 else ""
        return f"Chosen: {run_words(best)} ({best.cost}).{others}"
    reason = (
        "the mean of the weights, which was asked for"
        if chosen not in (best, choose_run(ranked))
        else f"the best {best.metric}"
        if chosen is best and any(entry.cost < best.cost for entry in tied)
        else "the smallest and fastest of them"
        if sum(entry.cost == chosen.cost for entry in tied) == 1
        else f"of the smallest and fastest the one with the best {best.metric}"
    )
    return (
        f"{len(tied)} of {len(ranked)} cannot be told apart from the best at 95%: "
        f"{', '.join(run_words(entry) for entry in tied)}. Chosen: {run_words(chosen)} ({chosen.cost}), {reason}."
    )


def ranking_markdown(ranked: Sequence[RankedRun], chosen: RankedRun) -> str:
    """Returns a document with the table of the ranking, the verdict, and what the columns mean."""
    best = ranked[0]
    header = ["", "run", f"{best.metric} (95% CI)", "difference to the best (95% CI)", "p", "p, Holm"]
    header += ["lesions better, worse", "p, McNemar", "parameters", "multiply-adds", "ms a picture"]
    rows = []
    for place, entry in enumerate(ranked, start=1):
        name = markdown.cell(run_words(entry))
        rows.append(
            [
                str(place),
                f"**{name}**" if entry is chosen else name,
                markdown.with_interval(entry.value, entry.ci95),
                *_comparison_cells(entry.versus_best),
                f"{entry.cost.parameters:,}",
                f"{entry.cost.multiply_adds:,}",
                f"{1000 * entry.seconds:.1f}",
            ]
        )
    by_folds = bool(best.fold_epochs)
    parts = [
        f"# {'Recipes' if by_folds else 'Runs'} ranked by {best.metric}",
        f"On {best.lesions} lesions of the validation split{'s of all folds' if by_folds else ''}. "
        f"{verdict(ranked, chosen)}",
        markdown.table(header, rows),
        *([_BY_FOLDS] if by_folds else []),
        _NOTES,
    ]
    return "\n\n".join(parts) + "\n"


def run_words(entry: RankedRun) -> str:
    """Returns how a person knows an entry: the run folders and the size of their pictures.

    Folds of a recipe are joined as the command line joins them; an average stands as a sum.
    """
    joint = "+" if entry.fold_epochs else " + "
    return f"{joint.join(shlex.quote(str(run)) for run in entry.runs)} at {entry.image_size} px"


def _against_best(comparison: Comparison) -> str:
    low, high = comparison.difference_ci95
    return (
        f"{comparison.difference:+.3f} to the best (95% CI {low:+.3f} to {high:+.3f}, "
        f"Holm's p {_p(comparison.p_holm)}): {'told apart' if comparison.told_apart else 'not told apart'}"
    )


def _comparison_cells(comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return [markdown.NOTHING] * 5
    low, high = comparison.difference_ci95
    return [
        f"{comparison.difference:+.3f} ({low:+.3f} to {high:+.3f})",
        _p(comparison.p),
        _p(comparison.p_holm),
        f"{comparison.lesions_better}, {comparison.lesions_worse}",
        _p(comparison.p_mcnemar),
    ]


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"
