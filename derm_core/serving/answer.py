"""From a network's logits to an answer: calibration, what is known of the patient, risk and advice. Runs no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.conformal import plausible_classes
from derm_core.serving.context import PatientContext
from derm_core.serving.description import BundleDescription
from derm_core.serving.prediction import Prediction, QualityFlag
from derm_core.serving.preparation import PreparedPicture
from derm_core.serving.prevalence import moved_risk


def make_prediction(
    description: BundleDescription,
    logits: NDArray[np.float32],
    features: NDArray[np.float32],
    picture: PreparedPicture,
    context: PatientContext | None,
    seconds: float,
) -> Prediction:
    """Returns the answer to one picture.

    Args:
        description: of the model that answered.
        logits: float32 (C,), in the description's class order; the softmax is computed in float64.
        features: float32 (K,), the activation of the Grad-CAM layer, averaged over its pixels and the picture's views.
        picture: gives the quality flags and the time it took to prepare it.
        context: what is known of the patient.
        seconds: wall time that the network took.
    """
    model = description.context
    known = model.uses(context) if context is not None and model is not None else ()
    point = description.context_operating_point if known else description.operating_point
    calibrated = _softmax(
        (logits.astype(np.float64) + _calibration_bias(description, context))
        / _temperature(description, known)
    )
    risk = min(1.0, float(calibrated[np.array(description.malignant)].sum()))
    probabilities, risk = _at_prevalence(description, calibrated, risk)
    quality, reference = picture.quality, description.reference_statistics
    if reference is not None and not _refused(quality):
        quality += reference.flags(features)
    return Prediction(
        probabilities=dict(zip(description.classes, probabilities.tolist(), strict=True)),
        top=description.classes[int(probabilities.argmax())],
        malignant_probability=risk,
        operating_point=point.threshold,
        advice="unsure" if _refused(quality) else "refer" if risk >= point.threshold else "routine",
        quality=quality,
        model_name=description.name,
        model_version=description.version,
        model_sha256=description.weights_sha256,
        seconds=picture.seconds + seconds,
        context=known,
        plausible=_plausible(description, calibrated, known),
        prevalence=description.prevalence.stated if description.prevalence else None,
    )


def logit_bias(description: BundleDescription, context: PatientContext | None) -> NDArray[np.float64]:
    """Returns float64 (C,): what beside the photograph moves the answer, as a bias of the network's logits.

    It is the sum of what is known of the patient, of the calibration and of the stated prevalence: the largest of
    logits + bias belongs to the class that the answer names first.
    """
    known = description.context.uses(context) if context is not None and description.context else ()
    shift = description.prevalence.shift if description.prevalence else 0.0
    towards_malignant = _temperature(description, known) * shift * np.array(description.malignant)
    bias: NDArray[np.float64] = _calibration_bias(description, context) + towards_malignant
    return bias


def _calibration_bias(description: BundleDescription, context: PatientContext | None) -> NDArray[np.float64]:
    """Returns float64 (C,): what is added to the logits before they are scaled, at the prevalence of calibration."""
    model, calibration = description.context, description.calibration
    known = model.uses(context) if context is not None and model is not None else ()
    bias = np.zeros(len(description.classes))
    if known and model is not None and context is not None:
        bias = model.temperature * model.weight * model.evidence(context)
    if calibration is not None:
        of_mode = calibration.context_bias if known else calibration.bias
        bias = bias + _temperature(description, known) * np.array(of_mode)
    return bias


def _temperature(description: BundleDescription, known: tuple[str, ...]) -> float:
    return description.context.temperature if known and description.context else description.temperature


def _at_prevalence(
    description: BundleDescription, calibrated: NDArray[np.float64], risk: float
) -> tuple[NDArray[np.float64], float]:
    """Returns probabilities and risk at the stated prevalence: within malignant and benign, shares stay as they are.

    The risk goes through the very function that moved the thresholds, so that rounding refers no other photograph.
    """
    shift = description.prevalence.shift if description.prevalence else 0.0
    if not shift or not 0 < risk < 1:
        return calibrated, risk
    moved = moved_risk(risk, shift)
    factors = np.where(np.array(description.malignant), moved / risk, (1 - moved) / (1 - risk))
    return calibrated * factors, moved


def _plausible(
    description: BundleDescription, calibrated: NDArray[np.float64], known: tuple[str, ...]
) -> tuple[str, ...]:
    """Returns codes: sets hold the truth of each diagnosis as often at any prevalence, so the stated one moves none."""
    conformal = description.conformal
    sets = conformal and ((conformal.context if known else None) or conformal.photograph)
    if not sets:
        return ()
    return tuple(description.classes[place] for place in plausible_classes(calibrated, sets))


def _refused(quality: tuple[QualityFlag, ...]) -> bool:
    return any(flag.severity == "refuse" for flag in quality)


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    exponents = np.exp(scores - scores.max())
    probabilities: NDArray[np.float64] = exponents / exponents.sum()
    return probabilities
