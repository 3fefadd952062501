"""A predictor without a network, and a dataset to ask it about."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, repeat
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
from PIL import Image

from derm_core.data.table import COLUMNS, Dataset, write_dataset
from derm_core.diagnoses import DIAGNOSES, TASKS
from derm_core.serving.conformal import Conformal, plausible_classes
from derm_core.serving.context import SEXES, SITES, ContextModel, PatientContext
from derm_core.serving.operating_point import OperatingPoint
from derm_core.serving.prediction import Prediction, QualityFlag

HAM7 = TASKS["ham7"].classes


def sex_model(classes: int, *, weight: float = 1.0) -> ContextModel:
    """A context model in which sex alone says something: for women the first class is e times as likely."""
    features = 2 + len(SEXES) + len(SITES)
    favoured = [float(place == 2) for place in range(features)]
    return ContextModel(
        knots=(20.0, 80.0),
        sexes=SEXES,
        sites=SITES,
        coefficients=(tuple(favoured), *[(0.0,) * features] * (classes - 1)),
        intercepts=(0.0,) * classes,
        log_prior=(float(np.log(1 / classes)),) * classes,
        weight=weight,
        temperature=1.0,
    )


@dataclass
class FakePredictor:
    """Answers from the file's name, the same for the same name; some pictures it finds too dark.

    With a `context` model, what is known of the patient moves the answer, and `context_threshold` counts for it.
    """

    task: str = "ham7"
    classes: tuple[str, ...] = HAM7
    threshold: float = 0.25
    context: ContextModel | None = None
    context_threshold: float = 0.35
    conformal: Conformal | None = None
    asked: list[Path] = field(default_factory=list)
    told: list[PatientContext | None] = field(default_factory=list)
    batch_sizes: list[int] = field(default_factory=list)

    @property
    def description(self) -> SimpleNamespace:
        point, moved = (
            OperatingPoint("sensitivity-0.95", threshold)
            for threshold in (self.threshold, self.context_threshold)
        )
        return SimpleNamespace(
            task=self.task,
            classes=self.classes,
            context=self.context,
            default_operating_point=point.name,
            operating_point=point,
            operating_points=(OperatingPoint("half", 0.5), point),
            context_operating_point=moved,
            context_operating_points=(moved,) if self.context else (),
            conformal=self.conformal,
            prevalence=None,
        )

    def predict_many(
        self,
        images: Iterable[Path],
        *,
        contexts: Iterable[PatientContext | None] = (),
        batch_size: int = 32,
    ) -> Iterator[Prediction]:
        self.batch_sizes.append(batch_size)
        for path, context in zip(images, chain(contexts, repeat(None)), strict=False):
            self.asked.append(path)
            self.told.append(context)
            yield self._prediction(path, context)

    def _prediction(self, path: Path, context: PatientContext | None) -> Prediction:
        random = np.random.default_rng(zlib.crc32(path.name.encode()))
        weights = random.exponential(size=len(self.classes))
        for column, code in enumerate(self.classes):
            if path.name.startswith(f"{code}-"):
                weights[column] += 2
        known = self.context.uses(context) if self.context and context else ()
        threshold = self.context_threshold if known else self.threshold
        if self.context and context:
            weights *= np.exp(self.context.weight * self.context.evidence(context))
        probabilities = weights / weights.sum()
        malignant = [DIAGNOSES[code].malignant for code in self.classes]
        risk = float(probabilities[malignant].sum())
        dark = path.stem.endswith("7")
        return Prediction(
            probabilities=dict(zip(self.classes, probabilities.tolist(), strict=True)),
            top=self.classes[int(probabilities.argmax())],
            malignant_probability=risk,
            operating_point=threshold,
            advice="unsure" if dark else "refer" if risk >= threshold else "routine",
            quality=(QualityFlag("too-dark", "The picture is almost black."),) if dark else (),
            model_name="fake",
            model_version="1.0.0",
            model_sha256="ab" * 32,
            seconds=0.01,
            context=known,
            plausible=tuple(
                self.classes[place] for place in plausible_classes(probabilities, self.conformal.photograph)
            )
            if self.conformal
            else (),
        )


def make_dataset(folder: Path, codes: Iterable[str] = HAM7, *, of_each: int = 12) -> Dataset:
    """Writes a dataset of `of_each` tiny pictures a diagnosis, two photographs a lesion; two thirds are "test"."""
    rows = []
    for code in codes:
        for number in range(of_each):
            lesion = number // 2
            rows.append(
                {
                    "image": f"{code}-{number:02d}.png",
                    "diagnosis": code,
                    "lesion_id": f"{code}-{lesion}",
                    "age": 5.0 * number if number else np.nan,
                    "sex": ("male", "female")[lesion % 2],
                    "site": "back" if lesion % 3 else "",
                    "confirmed_by": "histo",
                    "split": "train" if lesion % 3 == 0 else "test",
                }
            )
    stream = io.BytesIO()
    Image.new("RGB", (120, 100), (200, 150, 130)).save(stream, "PNG")
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    return write_dataset(folder, table, [stream.getvalue()] * len(rows))
