"""Sample answers of a run: photographs with their heatmaps, chosen by rule. Trains nothing and measures nothing."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass

import altair as alt
import numpy as np
from PIL import Image

from derm_core.diagnoses import get_diagnosis
from derm_core.experiments.answers import RunAnswers
from derm_core.experiments.figure import Chart, Figure, expression, rows_of
from derm_core.experiments.marks import Group
from derm_core.explanation.overlay import heatmap_to_rgba
from derm_core.images import load_image

_SIDE = 300
_QUALITY = 85
_PAPER_WIDTH, _PAPER_HEIGHT = 120, 90


@dataclass(frozen=True)
class Sample:
    """A photograph and what was answered: files as data addresses, names of diagnoses, probability in [0, 1]."""

    photograph: str
    heatmap: str
    truth: str
    answer: str
    probability: float
    right: bool


@dataclass(frozen=True)
class SampleFigure(Figure):
    """A figure whose page shows the samples as pictures of their own."""

    samples: tuple[Sample, ...] = ()


def sample_figure(one: RunAnswers, group: Group, on: str) -> SampleFigure | None:
    """Returns two photographs of each diagnosis with the heatmap of the answer that a run gives.

    Of each diagnosis it takes the right answer of median confidence and the wrong answer of highest confidence, where
    there are such: a fair sample of what goes well, and the worst of what does not.
    """
    samples = [_explain(one, index) for index in choose_samples(one.labels, one.probabilities)]
    if not samples:
        return None
    return SampleFigure(
        name=f"{group.task}-samples",
        title="Sample answers and what they rest on",
        caption=(
            f"Answers of {one.run.label} (epoch {one.run.best_epoch}) to some of {on}: of each diagnosis, the right "
            "answer of median confidence and the wrong answer of highest confidence. Each photograph stands beside its "
            "Grad-CAM heatmap for the answer given: the green ground is what the answer rests on most, and the white "
            "line is half of the peak. A heatmap shows where the network looks, not whether it is right."
        ),
        panels=tuple(_tile(sample) for sample in samples),
        columns=4,
        panel_width=2 * _PAPER_WIDTH + 4,
        spacing=(16, 56),
        samples=tuple(samples),
    )


def choose_samples(labels: np.ndarray, probabilities: np.ndarray) -> list[int]:
    """Returns rows: for each class the right one of median confidence, then the wrong one of highest confidence.

    Args:
        labels: int64 (N,).
        probabilities: float (N, C).
    """
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    chosen = []
    for label in range(probabilities.shape[1]):
        order = np.flatnonzero(labels == label)
        order = order[np.argsort(confidence[order], kind="stable")]
        right, wrong = order[answers[order] == label], order[answers[order] != label]
        if len(right):
            chosen.append(int(right[len(right) // 2]))
        if len(wrong):
            chosen.append(int(wrong[-1]))
    return chosen


def _explain(one: RunAnswers, index: int) -> Sample:
    path = one.subset.image_path(index)
    explanation = one.predictor.explain(path, max_side=_SIDE)
    height, width = explanation.heatmap.shape
    picture = load_image(path).resize((width, height), Image.Resampling.LANCZOS)
    laid_over = picture.convert("RGBA")
    laid_over.alpha_composite(Image.fromarray(heatmap_to_rgba(explanation.heatmap)))
    truth, answer = one.run.classes[one.labels[index]], explanation.prediction.top
    return Sample(
        photograph=_address(picture),
        heatmap=_address(laid_over.convert("RGB")),
        truth=get_diagnosis(truth).name,
        answer=get_diagnosis(answer).name,
        probability=explanation.prediction.probabilities[answer],
        right=truth == answer,
    )


def _address(picture: Image.Image) -> str:
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def _tile(sample: Sample) -> Chart:
    """Returns photograph and heatmap side by side under the truth and the answer."""
    places: Sequence[tuple[float, str]] = ((0.0, sample.photograph), (_PAPER_WIDTH + 4.0, sample.heatmap))
    rows = rows_of({"x": x, "address": address} for x, address in places)
    verdict = "right" if sample.right else "wrong"
    title = alt.TitleParams(
        sample.truth,
        subtitle=f"{verdict}: {sample.answer}, {sample.probability:.0%}",
        subtitleColor=expression("ink" if sample.right else "malignant"),
    )
    scale = alt.Scale(domain=[0, 2 * _PAPER_WIDTH + 4], nice=False, zero=False)
    return (
        alt.Chart(rows)
        .mark_image(width=_PAPER_WIDTH, height=_PAPER_HEIGHT, align="left", baseline="top", aspect=True)
        .encode(x=alt.X("x:Q", axis=None, scale=scale), y=alt.value(0), url="address:N")
        .properties(height=_PAPER_HEIGHT, title=title)
    )
