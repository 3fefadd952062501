"""Fits the context model of a bundle: on training photographs' tables alone, weighted on validation. Sees no pixels."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
from scipy.optimize import minimize, minimize_scalar
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from derm_core.data.table import Dataset
from derm_core.serving.context import (
    SEXES,
    SITES,
    ContextModel,
    PatientContext,
    context_features,
    contexts_of,
)

_KNOTS = (10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
_STRENGTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
_FOLDS = 5
_LEAST = 50  # photographs that know anything of the patient, for a fit that is worth its name


def fit_context_model(train: Dataset, labels: np.ndarray, classes: int) -> ContextModel | None:
    """Fits p(class | age, sex, site) to the training photographs' table, with a weight of 0 so far.

    Each photograph counts once with everything that is known and once with each part of it left out, so that the model
    answers whatever is missing. The strength of the L2 penalty is chosen by cross-validation over lesions.

    Args:
        train: the training photographs.
        labels: int64 (N,), their classes.
        classes: how many there are.

    Returns:
        The model; None where too little is known of the patients, or a class has no photograph.
    """
    contexts = contexts_of(train)
    counts = np.bincount(labels, minlength=classes)
    if sum(bool(context.known) for context in contexts) < _LEAST or (counts == 0).any():
        return None
    sexes = tuple(sex for sex in SEXES if any(context.sex == sex for context in contexts))
    sites = tuple(site for site in SITES if any(context.site == site for context in contexts))
    masks = list(product((True, False), repeat=3))
    rows = [
        [*context_features(_masked(context, mask), _KNOTS, sexes, sites), label, fold]
        for mask in masks
        for context, label, fold in zip(contexts, labels, _folds(train), strict=True)
    ]
    # Ages come in steps of five years, so most rows are alike: each is fitted once, with its number for a weight.
    table, numbers = np.unique(np.array(rows), axis=0, return_counts=True)
    inputs, answers, folds = table[:, :-2], table[:, -2].astype(np.int64), table[:, -1].astype(np.int64)
    shares = numbers / len(masks)
    best = LogisticRegression(max_iter=1000, C=_strength(inputs, answers, folds, shares))
    best.fit(inputs, answers, sample_weight=shares)
    coefficients, intercepts = best.coef_, best.intercept_
    if classes == 2:
        # Of two classes scikit-learn gives the difference alone.
        coefficients, intercepts = (
            np.vstack([-best.coef_, best.coef_]) / 2,
            np.array([-1, 1]) * best.intercept_ / 2,
        )
    return ContextModel(
        knots=_KNOTS,
        sexes=sexes,
        sites=sites,
        coefficients=tuple(tuple(row) for row in coefficients.tolist()),
        intercepts=tuple(intercepts.tolist()),
        log_prior=tuple(np.log(counts / counts.sum()).tolist()),
        weight=0.0,
        temperature=1.0,
    )


def fit_weight(logits: np.ndarray, evidence: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Returns the `weight` of the evidence and the `temperature` that goes with it.

    The weight minimises the log-loss of softmax(logits / T + weight evidence) in which each class counts by the square
    root of its number of photographs, as in training: the evidence is what tells rare diagnoses apart, and by plain
    numbers naevi alone would decide how much it counts. With this weight the temperature minimises the plain log-loss,
    so that the probabilities are calibrated.

    Args:
        logits: float (N, C), of photographs that no weight of the network was trained on.
        evidence: float (N, C), as ContextModel.evidence gives it for each.
        labels: int64 (N,).
    """
    rows = np.arange(len(labels))
    shares = 1 / np.sqrt(np.bincount(labels)[labels])

    def losses(log_temperature: float, weight: float) -> np.ndarray:
        scores = logits * math.exp(-log_temperature) + weight * evidence
        found: np.ndarray = logsumexp(scores, axis=1) - scores[rows, labels]
        return found

    both = minimize(
        lambda values: float(np.average(losses(values[0], values[1]), weights=shares)),
        np.array([0.0, 0.5]),
        method="L-BFGS-B",
        bounds=[(-3.0, 3.0), (0.0, 2.0)],
    )
    weight = float(both.x[1])
    found = minimize_scalar(
        lambda value: float(losses(value, weight).mean()), bounds=(-3.0, 3.0), method="bounded"
    )
    return weight, math.exp(found.x)


def _strength(inputs: np.ndarray, labels: np.ndarray, folds: np.ndarray, shares: np.ndarray) -> float:
    """Returns the strength with the least log-loss over photographs of lesions that the fit has not seen.

    scikit-learn's own search neither weighs rows in its score nor knows what to do where a fold lacks a class.

    Args:
        inputs: float64 (N, F).
        labels: int64 (N,).
        folds: int64 (N,), which fold each row is held out with.
        shares: float64 (N,), how many photographs each row stands for.
    """
    losses = dict.fromkeys(_STRENGTHS, 0.0)
    for fold in np.unique(folds):
        seen = folds != fold
        classes = np.unique(labels[seen])
        # A class whose lesions are all held out has no probability, whatever the strength.
        held_out = ~seen & np.isin(labels, classes)
        if len(classes) < 2 or not held_out.any():
            continue
        columns = np.searchsorted(classes, labels[held_out])
        for strength in _STRENGTHS:
            model = LogisticRegression(max_iter=1000, C=strength)
            model.fit(inputs[seen], labels[seen], sample_weight=shares[seen])
            found = model.predict_log_proba(inputs[held_out])[np.arange(len(columns)), columns]
            losses[strength] -= float(found @ shares[held_out])
    return min(losses, key=losses.__getitem__)


def _folds(train: Dataset) -> np.ndarray:
    """Returns int64 (N,): the fold of each photograph, that of its lesion."""
    folds = np.zeros(len(train), dtype=np.int64)
    splitter = GroupKFold(min(_FOLDS, len(set(train.lesions))))
    for fold, (_, held_out) in enumerate(splitter.split(folds, groups=train.lesions)):
        folds[held_out] = fold
    return folds


def _masked(context: PatientContext, mask: tuple[bool, ...]) -> PatientContext:
    age, sex, site = mask
    return PatientContext(
        context.age if age else None, context.sex if sex else "", context.site if site else ""
    )
