"""Fits what a bundle knows of its own limits: what the training photographs are like, and what a lesion in view is.

The subspace of the known is fitted to features of training photographs alone; one rule to these and to windows of the
skin beside their lesions (see plain_skin), another to these and to pictures that code draws (see other_pictures). No
photograph of anything else is shown. The thresholds are quantiles over validation photographs, each once as it is and
once as another camera might have taken it (see retaken): a lesion that is only photographed differently is to be
answered. Where the network learnt from a second dataset, what that shows of other lesions counts as known, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.linear_model import LogisticRegression

from derm_core.data.table import Dataset
from derm_core.experiments.other_pictures import draw_other_picture
from derm_core.experiments.plain_skin import cut_skin
from derm_core.experiments.retaken import retaken
from derm_core.files import replace_file
from derm_core.images import load_image
from derm_core.serving.bundle import load_bundle
from derm_core.serving.description import DESCRIPTION_FILE
from derm_core.serving.outliers import Reference, Rule, encoded, scaled_features
from derm_core.serving.predictor import Predictor

Progress = Callable[[Iterable[Any], int], Iterable[Any]]

DIMENSIONS = 32
"""Of the subspace. Fewer let more other pictures pass; more refuse more lesions photographed elsewhere."""
FARTHEST_SHARE, LEAST_SKIN_SHARE, LEAST_OTHER_SHARE = 0.985, 0.01, 0.005
"""Quantiles over validation photographs and their retakes, at which the thresholds of distance and rules are set."""
_PHOTOGRAPHS, _RETAKEN, _SKIN, _OTHER = 4000, 1000, 1200, 1200
"""How many are taken at most: training photographs as they are, retaken ones, windows of bare skin, drawn pictures."""
_PALETTE = 100
"""Training photographs that drawn pictures take their colours from."""
_LEAST_TRAINING, _LEAST_VALIDATION, _LEAST_SKIN = 500, 100, 50
_STRENGTH = 100.0
"""C of the logistic regression; its inputs have unit length, so that weights must be large to tell anything."""


def fit_reference(
    predictor: Predictor,
    train: Dataset,
    valid: Dataset,
    *,
    extra: Dataset | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Reference | None:
    """Fits a reference on a model's features of training photographs and sets its thresholds on validation ones.

    Args:
        predictor: answers with the weights that the reference will stand beside.
        train: what the network was trained on.
        valid: photographs of other lesions.
        extra: what else it was trained on; photographs of the lesions of `train` and `valid` are passed over.
        seed: of what is drawn at random.
        progress: wraps the features and their number, to show how far it is.

    Returns:
        The reference; None where there are too few photographs, or too little bare skin on them, for a useful one.
    """
    if len(train) < _LEAST_TRAINING or len(valid) < _LEAST_VALIDATION:
        return None
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(train))
    first, again = order[:_PHOTOGRAPHS], order[:_RETAKEN]

    def features(pictures: Iterator[Image.Image], count: int) -> NDArray[np.float32]:
        found = (predictor.features(picture) for picture in pictures)
        return np.array(list(progress(found, count) if progress else found), dtype=np.float32)

    known = features(_photographs(train, first), len(first))
    elsewhere = _of_other_lesions(extra, train, valid)
    if elsewhere is not None:
        rows = np.arange(len(elsewhere))
        known = np.concatenate([known, features(_photographs(elsewhere, rows), len(elsewhere))])
    varied = features((retaken(image, generator) for image in _photographs(train, again)), len(again))
    skin = features(_skin(train, order, generator), min(_SKIN, len(order)))
    if len(skin) < _LEAST_SKIN:
        return None
    colours = np.concatenate([_colours(image) for image in _photographs(train, order[:_PALETTE])])
    other = features((draw_other_picture(generator, colours) for _ in range(_OTHER)), _OTHER)
    everything = np.arange(len(valid))
    checked = features(_photographs(valid, everything), len(valid))
    checked_again = features(
        (retaken(image, generator) for image in _photographs(valid, everything)), len(valid)
    )
    checked_skin = features(_skin(valid, everything, generator), len(valid))
    reference = _with_thresholds(_fit(known, varied, skin, other), np.concatenate([checked, checked_again]))
    return replace(
        reference,
        measured={
            "training photographs": len(first),
            "training photographs from elsewhere": len(known) - len(first),
            "windows of bare skin": len(skin),
            "drawn pictures": len(other),
            "validation photographs": len(checked),
            "validation photographs refused": _refused(reference, checked),
            "validation photographs retaken refused": _refused(reference, checked_again),
            "validation windows of bare skin": len(checked_skin),
            "validation windows of bare skin refused": _refused(reference, checked_skin),
        },
    )


def add_reference(
    folder: Path,
    predictor: Predictor,
    train: Dataset,
    valid: Dataset,
    *,
    extra: Dataset | None = None,
    progress: Progress | None = None,
) -> Reference | None:
    """Fits a reference with a bundle's own predictor and writes it into the bundle's model.json; weights and card stay.

    The arguments are those of fit_reference, and the folder of the bundle that the predictor was loaded from.
    """
    reference = fit_reference(predictor, train, valid, extra=extra, progress=progress)
    description = replace(load_bundle(folder).description, reference_statistics=reference)
    replace_file(folder / DESCRIPTION_FILE, description.to_json().encode())
    return reference


def _fit(
    known: NDArray[np.float32],
    varied: NDArray[np.float32],
    skin: NDArray[np.float32],
    other: NDArray[np.float32],
) -> Reference:
    """Returns a reference without thresholds, of features (N, K) of photographs, retakes, bare skin and drawings."""
    scaled = scaled_features(known).astype(np.float64)
    centre = scaled.mean(axis=0)
    # The right singular vectors are the principal directions, the largest variance first.
    _, _, directions = np.linalg.svd(scaled - centre, full_matrices=False)
    lesions = np.concatenate([scaled, scaled_features(varied)])
    return Reference(
        centre=encoded(centre),
        axes=encoded(directions[:DIMENSIONS]),
        farthest=1.0,
        not_other=_fit_rule(lesions, scaled_features(other)),
        not_skin=_fit_rule(lesions, scaled_features(skin)),
        measured={},
    )


def _fit_rule(lesions: NDArray[np.float64], others: NDArray[np.float32]) -> Rule:
    inputs = np.concatenate([lesions, others])
    found = LogisticRegression(C=_STRENGTH, max_iter=1000).fit(inputs, np.arange(len(inputs)) < len(lesions))
    return Rule(encoded(found.coef_[0]), float(found.intercept_[0]), 0.0)


def _with_thresholds(reference: Reference, checked: NDArray[np.float32]) -> Reference:
    def set_at(rule: Rule, share: float) -> Rule:
        return replace(rule, least=float(np.quantile(rule.evidence(checked), share)))

    return replace(
        reference,
        farthest=float(np.quantile(reference.distances(checked), FARTHEST_SHARE)),
        not_other=set_at(reference.not_other, LEAST_OTHER_SHARE),
        not_skin=set_at(reference.not_skin, LEAST_SKIN_SHARE),
    )


def _refused(reference: Reference, features: NDArray[np.float32]) -> float | None:
    if not len(features):
        return None
    return sum(bool(reference.flags(row)) for row in features) / len(features)


def _of_other_lesions(extra: Dataset | None, *known: Dataset) -> Dataset | None:
    """Returns the photographs of lesions that no known dataset holds; None where there are none."""
    if extra is None:
        return None
    lesions = np.concatenate([dataset.lesions for dataset in known])
    table = extra.table[~np.isin(extra.lesions, lesions)].reset_index(drop=True)
    return replace(extra, table=table) if len(table) else None


def _photographs(dataset: Dataset, rows: NDArray[np.int64]) -> Iterator[Image.Image]:
    return (load_image(dataset.image_path(int(row))) for row in rows)


def _skin(dataset: Dataset, rows: NDArray[np.int64], generator: np.random.Generator) -> Iterator[Image.Image]:
    """Yields at most _SKIN windows of bare skin, from the rows in order, until there are enough."""
    found = 0
    for image in _photographs(dataset, rows):
        window = cut_skin(image, generator)
        if window is not None:
            yield window
            found += 1
        if found == _SKIN:
            return


def _colours(image: Image.Image) -> NDArray[np.uint8]:
    """Returns uint8 (48, 3): the colours of a picture, averaged over parts of it."""
    return np.asarray(image.resize((8, 6), Image.Resampling.BOX)).reshape(-1, 3)
