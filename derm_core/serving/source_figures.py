"""How much of an accuracy the picture's source alone would give, and what is left of it within one source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.data.split_names import split_names
from derm_core.data.table import Dataset
from derm_core.errors import DatasetError
from derm_core.evaluation.intervals import REPLICATES, bootstrap_over_lesions, proportion_interval
from derm_core.serving.evaluation import ALL

KEYS = ("accuracy", "balanced_accuracy", "malignant_auc")
"""What is told of each source."""

Figures = Mapping[str, Any]


def figures_by_source(
    dataset: Dataset,
    inside: NDArray[np.bool_],
    evaluate: Callable[[Dataset], Figures],
    *,
    split: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Any]:
    """Measures a model within each of two sources, and a rule that sees nothing but the source.

    Where all pictures of a class come from one collection, a network may learn the look of the collection. The rule
    answers with the diagnosis that most photographs of the same source have in the other splits.

    Args:
        dataset: the whole dataset.
        inside: bool (N,), which photographs are from the first source.
        evaluate: measures the model on the photographs that it is given; `derm_core.evaluation.metrics.KEYS` and
            `lesions` are read.
        split: the split to measure.
        replicates, seed: of the bootstrap over lesions.

    Returns:
        `rule` {accuracy, ci95} and `within`, for each source with photographs {inside, n, lesions, ci95, and KEYS}.

    Raises:
        DatasetError: no photograph lies outside the split, so that the rule has nothing to learn from.
    """
    measured = dataset.table["split"].isin(split_names(split)).to_numpy()
    if split == ALL or measured.all():
        raise DatasetError(f"The rule by source learns from other splits than {split}, and there is none.")
    diagnoses = dataset.table["diagnosis"].to_numpy()
    right = source_rule(inside[~measured], diagnoses[~measured], inside[measured]) == diagnoses[measured]
    lesions = dataset.lesions[measured]
    drawn = bootstrap_over_lesions(
        lesions,
        lambda weights: {"accuracy": weights @ right / weights.sum(axis=1)},
        replicates=replicates,
        seed=seed,
    )
    accuracy = float(right.mean())
    rule = {
        "accuracy": accuracy,
        "ci95": proportion_interval(drawn["accuracy"], accuracy, len(np.unique(lesions))),
    }
    within = []
    for side in (True, False):
        part = dataset.table[measured & (inside == side)]
        if len(part):
            figures = evaluate(replace(dataset, table=part.reset_index(drop=True)))
            within.append(
                {"inside": side, "n": figures["n"], "lesions": figures["lesions"]}
                | {key: figures[key] for key in KEYS}
                | {"ci95": {key: figures["ci95"].get(key) for key in KEYS}}
            )
    return {"rule": rule, "within": within}


def source_rule(
    learnt: NDArray[np.bool_], diagnoses: NDArray[np.object_], asked: NDArray[np.bool_]
) -> NDArray[np.object_]:
    """Returns the commonest diagnosis of each asked photograph's source.

    Args:
        learnt: bool (M,), the sources of photographs whose `diagnoses` (M,) are known.
        asked: bool (N,), the sources of others.

    Returns:
        (N,) diagnoses; of a source that was not learnt, the commonest of all.
    """
    answers = {side: _commonest(diagnoses[learnt == side]) or _commonest(diagnoses) for side in (True, False)}
    return np.array([answers[bool(side)] for side in asked], dtype=object)


def _commonest(diagnoses: NDArray[np.object_]) -> str:
    """Returns the commonest, of two as common the first by name; empty where there is none."""
    names, counts = np.unique(diagnoses.astype(str), return_counts=True)
    return str(names[counts.argmax()]) if len(names) else ""
