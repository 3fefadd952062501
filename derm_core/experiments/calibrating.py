"""Sets what a bundle says of its certainty, on the validation split alone: temperatures, context, thresholds, sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.evaluation.calibration import fit_temperature, operating_threshold, prevalence_of_risks
from derm_core.evaluation.class_biases import fit_class_biases
from derm_core.evaluation.conformal import LEVEL, fit_thresholds
from derm_core.evaluation.logit_adjustment import Adjusted, choose_strength, class_adjustment, try_adjustments
from derm_core.experiments.candidate import Candidate, Progress, answer_split, probability_table
from derm_core.experiments.context_fitting import fit_context_model, fit_weight
from derm_core.serving.calibration import Calibration
from derm_core.serving.conformal import Conformal, ConformalSets
from derm_core.serving.context import ContextModel, contexts_of
from derm_core.serving.description import BundleDescription
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prediction import Prediction
from derm_core.serving.prevalence import Prevalence

SENSITIVITIES = (0.95, 0.90)
"""Operating points that a bundle carries; advice follows the first."""
STEADY = 1 - 1e-4
"""What thresholds are multiplied by. Each is set at the probability of one photograph, and another machine, or another
number of threads, rounds that by some millionths: without a margin its answer would flip."""
_TEMPERATURE = "temperature scaling"
_BIASES = "temperature scaling and a bias for each diagnosis"
_SETS = (
    "a threshold for each diagnosis on its own lesions; diagnoses with too few for that share one, so that what is "
    "promised holds for these together"
)


@dataclass(frozen=True)
class Certainty:
    """What was set, and the answers that it was set on.

    `description` is that of the candidate, complete but for what is measured on other lesions. `alone` are the answers
    to the validation photographs, `told` those that know the patients; the same where the model has no use for them.
    `adjustments` is what leaning to rare diagnoses gave where the strength was to be chosen.
    """

    description: BundleDescription
    valid: Dataset
    labels: np.ndarray
    alone: Sequence[Prediction]
    told: Sequence[Prediction]
    adjustments: Sequence[Adjusted] = ()

    @cached_property
    def malignant(self) -> np.ndarray:
        """bool (N,)"""
        return np.array(self.description.malignant)[self.labels]


def calibrate(
    candidate: Candidate,
    description: BundleDescription,
    *,
    half: bool,
    adjustment: float | None = 0.0,
    progress: Progress | None = None,
) -> Certainty:
    """Sets everything on the validation split, through predictors of the weights as they are stored.

    `adjustment` is how far answers lean to rare diagnoses (derm_core.evaluation.logit_adjustment); None chooses it.

    Raises:
        ConfigError: the validation split holds no malignant picture, or nothing else; or answers are to lean to a
            diagnosis that no training photograph has.
    """
    valid_split = candidate.config.data.valid_split
    valid = candidate.split(valid_split)
    labels = candidate.labels(valid)
    malignant = np.array(description.malignant)[labels]
    if not malignant.any() or malignant.all():
        raise ConfigError(
            f"The {valid_split} split of {candidate.dataset.folder} holds no "
            f"{'benign' if malignant.all() else 'malignant'} picture, so no operating point can be set. Split it anew "
            "with prepare_data."
        )
    untouched = replace(description, temperature=1.0)
    answers = answer_split(candidate.predictor(untouched, half=half), valid, progress)
    # Logits are known but for a constant a row, which softmax does not see.
    logits = np.log(np.maximum(probability_table(answers), np.finfo(np.float64).tiny))
    description = _with_calibration(candidate, description, logits, valid, labels)
    description, adjustments = _with_adjustment(candidate, description, logits, labels, adjustment)

    predictor = candidate.predictor(description, half=half)
    contexts = contexts_of(valid)
    alone = answer_split(predictor, valid, progress)
    told = alone
    if description.context is not None:
        told = answer_split(predictor, valid, progress, contexts=contexts)
    points = _operating_points(_risks(alone), malignant)
    description = replace(
        description,
        operating_points=points,
        default_operating_point=points[0].name,
        context_operating_points=_operating_points(_risks(told), malignant) if description.context else (),
        prevalence=Prevalence(prevalence_of_risks(_risks(told), malignant), float(malignant.mean())),
        conformal=Conformal(
            LEVEL,
            _SETS,
            _sets(alone, labels, valid.lesions),
            _context_sets(told, labels, valid.lesions),
        ),
    )
    return Certainty(description, valid, labels, alone, told, adjustments)


def _with_calibration(
    candidate: Candidate,
    description: BundleDescription,
    logits: np.ndarray,
    valid: Dataset,
    labels: np.ndarray,
) -> BundleDescription:
    nothing = np.zeros_like(logits)
    temperature, biases = _fit(logits, nothing, labels, valid.lesions)
    context, context_biases = _fit_context(candidate, logits, valid, labels), np.zeros(logits.shape[1])
    if context is not None:
        contexts = contexts_of(valid)
        known = np.array([bool(context.uses(one)) for one in contexts])
        evidence = context.weight * np.stack([context.evidence(one) for one in contexts])
        moved, context_biases = _fit(
            logits[known], evidence[known], labels[known], valid.lesions[known], context.temperature
        )
        context = replace(context, temperature=moved)
    calibration = Calibration(
        _BIASES if biases.any() or context_biases.any() else _TEMPERATURE,
        tuple(biases.tolist()),
        tuple(context_biases.tolist()),
    )
    return replace(description, temperature=temperature, context=context, calibration=calibration)


def _with_adjustment(
    candidate: Candidate,
    description: BundleDescription,
    logits: np.ndarray,
    labels: np.ndarray,
    strength: float | None,
) -> tuple[BundleDescription, Sequence[Adjusted]]:
    """Returns the description with biases that lean to rare diagnoses, and what each strength gave where one is chosen.

    It is chosen for photographs alone, and holds for all answers.
    """
    calibration = description.calibration
    assert calibration is not None
    if strength == 0:
        return description, ()
    trained = candidate.labels(candidate.split(candidate.config.data.train_split))
    counts = np.bincount(trained, minlength=len(description.classes))
    if not counts.all():
        missing = ", ".join(np.array(description.classes)[counts == 0])
        raise ConfigError(
            f"The training photographs hold none of {missing}, so how far answers should lean to it is not known. "
            "Leave the logit adjustment at 0."
        )
    tried: Sequence[Adjusted] = ()
    if strength is None:
        tried = try_adjustments(logits / description.temperature + calibration.bias, labels, counts)
        strength = choose_strength(tried)
    moved = class_adjustment(counts, strength)
    calibration = replace(
        calibration,
        bias=tuple((calibration.bias + moved).tolist()),
        context_bias=tuple((calibration.context_bias + moved).tolist()),
        adjustment=strength,
    )
    return replace(description, calibration=calibration), tried


def _fit(
    logits: np.ndarray,
    evidence: np.ndarray,
    labels: np.ndarray,
    lesions: np.ndarray,
    temperature: float | None = None,
) -> tuple[float, np.ndarray]:
    """Returns a temperature and biases, float64 (C,): zeros where they do not clearly help on held-out lesions."""
    if temperature is None:
        temperature = fit_temperature(logits, labels, bias=evidence)
    biases = fit_class_biases(logits / temperature + evidence, labels, lesions)
    if biases.any():
        temperature = fit_temperature(logits, labels, bias=evidence + biases)
    return temperature, biases


def _fit_context(
    candidate: Candidate, logits: np.ndarray, valid: Dataset, labels: np.ndarray
) -> ContextModel | None:
    train = candidate.split(candidate.config.data.train_split)
    model = fit_context_model(train, candidate.labels(train), len(candidate.classes))
    if model is None:
        return None
    contexts = contexts_of(valid)
    known = np.array([bool(model.uses(context)) for context in contexts])
    if not known.any():
        return None
    evidence = np.stack([model.evidence(context) for context in contexts])
    weight, temperature = fit_weight(logits[known], evidence[known], labels[known])
    return replace(model, weight=weight, temperature=temperature)


def _operating_points(risk: np.ndarray, malignant: np.ndarray) -> tuple[OperatingPoint, ...]:
    return tuple(
        OperatingPoint(
            f"sensitivity-{sensitivity:.2f}", STEADY * operating_threshold(risk, malignant, sensitivity)
        )
        for sensitivity in SENSITIVITIES
    )


def _context_sets(
    told: Sequence[Prediction], labels: np.ndarray, lesions: np.ndarray
) -> ConformalSets | None:
    known = np.array([bool(answer.context) for answer in told])
    if not known.any():
        return None
    return _sets([answer for answer in told if answer.context], labels[known], lesions[known])


def _sets(answers: Sequence[Prediction], labels: np.ndarray, lesions: np.ndarray) -> ConformalSets:
    found = fit_thresholds(probability_table(answers), labels, lesions)
    return ConformalSets(tuple(STEADY * threshold for threshold in found.thresholds), found.lesions)


def _risks(answers: Sequence[Prediction]) -> np.ndarray:
    return np.array([answer.malignant_probability for answer in answers])
