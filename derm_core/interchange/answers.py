"""An answer as a case file holds it, and back: what comes from elsewhere must agree with itself. Opens no file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from derm_core.diagnoses import DIAGNOSES
from derm_core.errors import CaseFileError
from derm_core.interchange.records import Record
from derm_core.serving.context import AGES, SEXES, SITES, PatientContext
from derm_core.serving.prediction import ADVICE, Prediction, QualityFlag

_SUM_TOLERANCE = 0.01
_MOST_FLAGS = 30
_MOST_LESIONS_MEASURED = 100_000_000
_MOST_SECONDS = 86_400.0
_CONTEXT = ("age", "sex", "site")
_INTERVALS = ("sensitivity_ci95", "specificity_ci95")


def parse_answer(record: Record) -> Prediction:
    """Returns the answer in a record.

    Raises:
        CaseFileError: a value is missing or none of its kind, the probabilities do not sum to 1, or risk, advice and
            most probable class do not follow from them.
    """
    shares = record.object("probabilities")
    codes = shares.names()
    if len(codes) < 2 or set(codes) - set(DIAGNOSES):
        raise record.wrong("probabilities", f"two or more of {', '.join(DIAGNOSES)}")
    probabilities = {code: shares.number(code, 0, 1) for code in codes}
    risk, point = (record.number(name, 0, 1) for name in ("malignant_probability", "operating_point"))
    top, advice = record.choice("top", codes), record.choice("advice", ADVICE)
    _require(abs(math.fsum(probabilities.values()) - 1) <= _SUM_TOLERANCE, record, "probabilities sum to 1")
    malignant = math.fsum(share for code, share in probabilities.items() if DIAGNOSES[code].malignant)
    _require(abs(malignant - risk) <= _SUM_TOLERANCE, record, "the risk is that of the malignant classes")
    _require(probabilities[top] == max(probabilities.values()), record, "top is the most probable class")
    _require(advice == "unsure" or (advice == "refer") == (risk >= point), record, "the advice follows")
    return Prediction(
        probabilities=probabilities,
        top=top,
        malignant_probability=risk,
        operating_point=point,
        advice=next(known for known in ADVICE if known == advice),
        quality=tuple(_flag(flag) for flag in record.objects("quality", _MOST_FLAGS, "quality")),
        model_name=record.text("model_name", 200),
        model_version=record.text("model_version", 64),
        model_sha256=record.sha256("model_sha256"),
        seconds=record.number("seconds", 0, _MOST_SECONDS),
        context=record.choices("context", _CONTEXT),
        plausible=record.choices("plausible", codes),
        prevalence=None if record.is_null("prevalence") else record.number("prevalence", 0, 1),
    )


def parse_measured(record: Record) -> dict[str, Any]:
    """Returns what the model's bundle says of an operating point: what of it is known here, and nothing else."""
    found: dict[str, Any] = {}
    for name in ("name", "measured_on"):
        if not record.is_null(name):
            found[name] = record.text(name, 200)
    for name in ("threshold", "sensitivity", "specificity"):
        if not record.is_null(name):
            found[name] = record.number(name, 0, 1)
    for name in _INTERVALS:
        if not record.is_null(name):
            ends = record.object(name)
            found[name] = [ends.number("low", 0, 1), ends.number("high", 0, 1)]
    for name in ("lesions", "photographs"):
        if not record.is_null(name):
            found[name] = record.whole(name, _MOST_LESIONS_MEASURED)
    return found


def plain_measured(measured: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the same as plain values for a case file; what it has no word for is left out."""
    texts, shares, counts = (
        ("name", "measured_on"),
        ("threshold", "sensitivity", "specificity"),
        ("lesions", "photographs"),
    )
    found = {name: measured[name] for name in (*texts, *shares, *counts) if measured.get(name) is not None}
    for name in _INTERVALS:
        if measured.get(name):
            low, high = measured[name]
            found[name] = {"low": low, "high": high}
    return found


def parse_patient(record: Record) -> PatientContext:
    """Returns what was known of the patient."""
    age = None if record.is_null("age") else record.number("age", *AGES)
    return PatientContext(age, record.choice("sex", ("", *SEXES)), record.choice("site", ("", *SITES)))


def _flag(record: Record) -> QualityFlag:
    severity = record.choice("severity", ("refuse", "note"))
    return QualityFlag(
        record.text("name", 64), record.text("reason", 400), "note" if severity == "note" else "refuse"
    )


def _require(holds: bool, record: Record, rule: str) -> None:
    if not holds:
        raise CaseFileError(
            f"The case file is damaged: {record.where} does not agree with itself; wanted: {rule}."
        )
