"""A predictor that answers without a network, and pictures to send it."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from derm_core import (
    DIAGNOSES,
    Explanation,
    Explanations,
    PatientContext,
    Prediction,
    QualityFlag,
    load_image,
)
from derm_core.serving.attribution import ExplanationMethod

WEIGHTS = "9f3c71e2" * 8
REFER = {"akiec": 0.02, "bcc": 0.03, "bkl": 0.1, "df": 0.004, "mel": 0.62, "nv": 0.223, "vasc": 0.003}
ROUTINE = {"akiec": 0.01, "bcc": 0.01, "bkl": 0.06, "df": 0.002, "mel": 0.013, "nv": 0.9, "vasc": 0.005}
DARK = QualityFlag("too-dark", "The picture is almost black: take it again in more light.")
INK = QualityFlag("ink", "There is ink beside the lesion: leave it out of the picture.", "note")


@dataclass(frozen=True)
class MeasuredPoint:
    """Looks like the operating point of a bundle's description."""

    name: str = "sensitivity-0.95"
    threshold: float = 0.18
    sensitivity: float | None = 0.953
    specificity: float | None = 0.78
    sensitivity_ci95: tuple[float, float] | None = (0.92, 0.97)
    specificity_ci95: tuple[float, float] | None = (0.76, 0.8)
    lesions: int = 1119
    photographs: int = 1500
    measured_on: str = "val split of HAM10000"


@dataclass
class FakePredictor:
    """Gives the probabilities it was told, whatever the picture; each class has a round spot for its heatmap.

    Where something that it uses is known, its answers follow an operating point of their own.
    """

    probabilities: dict[str, float] = field(default_factory=lambda: dict(REFER))
    quality: tuple[QualityFlag, ...] = ()
    point: MeasuredPoint = field(default_factory=MeasuredPoint)
    uses: tuple[str, ...] = ("age", "sex", "site")
    context_point: MeasuredPoint = field(
        default_factory=lambda: MeasuredPoint(threshold=0.21, sensitivity=0.961)
    )
    plausible: tuple[str, ...] = ("mel", "nv")
    level: float | None = 0.95
    seen: list[bytes] = field(default_factory=list)
    contexts: list[PatientContext | None] = field(default_factory=list)

    @property
    def description(self) -> Any:
        return SimpleNamespace(
            name="fake-network",
            version="3",
            weights_sha256=WEIGHTS,
            operating_point=self.point,
            context=object() if self.uses else None,
            context_operating_point=self.context_point if self.uses else self.point,
            conformal=None if self.level is None else SimpleNamespace(level=self.level),
        )

    def explain_all(
        self, image: bytes, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        self.seen.append(image)
        self.contexts.append(context)
        known = tuple(name for name in context.known if name in self.uses) if context else ()
        point = self.context_point if known else self.point
        width, height = load_image(image).size
        scale = min(1.0, (max_side or max(width, height)) / max(width, height))
        size = max(1, round(height * scale)), max(1, round(width * scale))
        heatmaps = {code: _spot(size, number) for number, code in enumerate(self.probabilities)}
        malignant = sum(share for code, share in self.probabilities.items() if DIAGNOSES[code].malignant)
        refused = any(flag.severity == "refuse" for flag in self.quality)
        return Explanations(
            Prediction(
                probabilities=dict(self.probabilities),
                top=max(self.probabilities, key=self.probabilities.__getitem__),
                malignant_probability=malignant,
                operating_point=point.threshold,
                advice="unsure" if refused else "refer" if malignant >= point.threshold else "routine",
                quality=self.quality,
                model_name="fake-network",
                model_version="3",
                model_sha256=WEIGHTS,
                seconds=0.081,
                context=known,
                plausible=self.plausible if self.level is not None else (),
            ),
            heatmaps,
        )

    def features(self, image: bytes) -> np.ndarray:
        self.seen.append(image)
        return np.array([1.0, 0.0, 0.0], np.float32)


OTHER_METHODS = (
    ExplanationMethod("grad_cam", "Grad-CAM", "Where the last layer looks.", 1.1),
    ExplanationMethod("layer_cam", "LayerCAM", "Where each place speaks for itself.", 1.2),
)


def fake_methods(predictor: FakePredictor) -> tuple[ExplanationMethod, ...]:
    """Stands for `derm_core.explanation_methods`, which measures a network."""
    return OTHER_METHODS


def fake_explanation(
    predictor: FakePredictor, image: bytes, code: str, *, method: str, max_side: int
) -> Explanation:
    """Stands for `derm_core.explain_by`."""
    answer = predictor.explain_all(image, max_side=max_side)
    return Explanation(answer.prediction, answer[code], code)


def _spot(size: tuple[int, int], number: int) -> np.ndarray:
    rows, columns = np.mgrid[: size[0], : size[1]]
    down, across = rows / size[0] - 0.4 - 0.02 * number, columns / size[1] - 0.25 - 0.08 * number
    return np.exp(-(down**2 + across**2) / 0.03).astype(np.float32)


def picture(width: int = 160, height: int = 120, *, form: str = "JPEG", **options: Any) -> bytes:
    """A file of a brown spot on skin; the upper left corner is blue, so that its orientation can be told."""
    rows, columns = np.mgrid[:height, :width]
    spot = (rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2 < 0.06
    pixels = np.where(spot[..., None], (110, 66, 50), (224, 180, 160)).astype(np.uint8)
    pixels[: height // 4, : width // 4] = (20, 40, 230)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


def image_of(content: bytes) -> Image.Image:
    """The picture in a file's bytes."""
    return Image.open(io.BytesIO(content))
