"""From a network's logits to an answer: temperature, what is known of the patient, risk and advice. Runs no network."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from derm_core.serving.context import PatientContext
from derm_core.serving.description import BundleDescription
from derm_core.serving.prediction import Prediction
from derm_core.serving.preparation import PreparedPicture


def make_prediction(
    description: BundleDescription,
    logits: NDArray[np.float32],
    picture: PreparedPicture,
    context: PatientContext | None,
    seconds: float,
) -> Prediction:
    """Returns the answer to one picture.

    Args:
        description: of the model that answered.
        logits: float32 (C,), in the description's class order; the softmax is computed in float64.
        picture: gives the quality flags and the time it took to prepare it.
        context: what is known of the patient.
        seconds: wall time that the network took.
    """
    model = description.context
    known = model.uses(context) if context is not None and model is not None else ()
    temperature, point = description.temperature, description.operating_point
    if known and model is not None:
        temperature, point = model.temperature, description.context_operating_point
    scaled = (logits.astype(np.float64) + context_bias(description, context)) / temperature
    exponents = np.exp(scaled - scaled.max())
    probabilities = exponents / exponents.sum()
    malignant = min(1.0, float(probabilities[np.array(description.malignant)].sum()))
    return Prediction(
        probabilities=dict(zip(description.classes, probabilities.tolist(), strict=True)),
        top=description.classes[int(probabilities.argmax())],
        malignant_probability=malignant,
        operating_point=point.threshold,
        advice="unsure" if picture.quality else "refer" if malignant >= point.threshold else "routine",
        quality=picture.quality,
        model_name=description.name,
        model_version=description.version,
        model_sha256=description.weights_sha256,
        seconds=picture.seconds + seconds,
        context=known,
    )


def context_bias(description: BundleDescription, context: PatientContext | None) -> NDArray[np.float64]:
    """Returns float64 (C,): what is known of the patient adds to the logits before they are scaled."""
    model = description.context
    if context is None or model is None:
        return np.zeros(len(description.classes))
    return model.temperature * model.weight * model.evidence(context)
