"""What a model answers to a split of a dataset, and how good that is. Draws nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from derm_core.data.table import Dataset
from derm_core.diagnoses import get_diagnosis
from derm_core.evaluation.calibration import operating_threshold
from derm_core.evaluation.malignancy import Figures
from derm_core.evaluation.metrics import evaluate_probabilities
from derm_core.evaluation.subgroups import subgroups_of
from derm_core.experiments.candidate import (
    Candidate,
    Progress,
    answer_split,
    data_name,
    probability_table,
)
from derm_core.experiments.run_table import ReportedRun
from derm_core.serving.predictor import Predictor

SENSITIVITY = 0.95
"""Share of malignant photographs that the threshold of the subgroups finds in the whole split."""


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers.

    Attributes:
        label: tells the model from the others of a figure.
        classes: codes in the order of the columns.
        labels: int64 (N,), index into the classes.
        probabilities: float64 (N, C).
        risk: float64 (N,), the probability of malignancy.
        lesions: str (N,).
        figures: those of `evaluate_probabilities`, with subgroups.
    """

    label: str
    classes: tuple[str, ...]
    labels: np.ndarray
    probabilities: np.ndarray
    risk: np.ndarray
    lesions: np.ndarray
    figures: Figures

    @property
    def malignant(self) -> np.ndarray:
        """bool (N,): whether each photograph shows a malignant lesion."""
        return np.array([get_diagnosis(code).malignant for code in self.classes])[self.labels]


@dataclass(frozen=True, eq=False)
class RunAnswers(Answers):
    """What a run answers before temperature scaling; its figures are those at the threshold that finds SENSITIVITY.

    Attributes:
        run: whose best epoch answered.
        subset: the photographs.
        data: what people call their dataset.
        split: the name of the split.
        predictor: what answered.
    """

    run: ReportedRun
    subset: Dataset
    data: str
    split: str
    predictor: Predictor


def answer_run(
    run: ReportedRun, candidate: Candidate, split: str | None, *, bootstrap: int, progress: Progress | None
) -> RunAnswers:
    """Asks a run's best epoch about a split and measures the answers.

    Args:
        run: as the report names it.
        candidate: the same run, opened with its dataset.
        split: a split of the dataset; None for the run's own validation split. The run's own limit of pictures holds.
        bootstrap: how many sets of lesions are drawn for the intervals.
        progress: wraps the answers and their number, to show how far it is.

    Raises:
        DatasetError: the dataset has no such split.
    """
    split = split or candidate.config.data.valid_split
    subset = candidate.split(split)
    predictor = candidate.predictor(candidate.describe(name=candidate.config.name, version="0"))
    answers = answer_split(predictor, subset, progress)
    labels, probabilities = candidate.labels(subset), probability_table(answers)
    risk = np.array([answer.malignant_probability for answer in answers])
    flags = np.array(predictor.description.malignant)
    malignant = flags[labels]
    figures = evaluate_probabilities(
        labels,
        probabilities,
        classes=candidate.classes,
        malignant=flags.tolist(),
        lesions=subset.lesions,
        operating_threshold=operating_threshold(risk, malignant, SENSITIVITY) if malignant.any() else None,
        malignant_probability=risk,
        groups=subgroups_of(subset.table),
        bootstrap=bootstrap,
    )
    return RunAnswers(
        run.label,
        run.classes,
        labels,
        probabilities,
        risk,
        subset.lesions,
        figures,
        run=run,
        subset=subset,
        data=data_name(candidate.dataset),
        split=split,
        predictor=predictor,
    )
