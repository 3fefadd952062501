"""A predictor that answers without a network, pictures to hand it, and the event loops that Gradio leaves behind."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
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

# Gradio makes an event loop, with its pair of sockets, for each lock that it makes, and drops it unclosed: while it is
# imported, while an interface is built, and while it is launched. And it asks pandas for what pandas is giving up.
FAULTS_OF_GRADIO = (
    "ignore:unclosed event loop:ResourceWarning",
    r"ignore:unclosed <socket.socket fd=\d+, family=1:ResourceWarning",
    "ignore:'future.no_silent_downcasting' is deprecated:DeprecationWarning",
    "ignore:The copy keyword is deprecated:DeprecationWarning",
)

with warnings.catch_warnings():
    warnings.simplefilter("ignore", ResourceWarning)
    import desktop

    gc.collect()

REFER = {"akiec": 0.02, "bcc": 0.03, "bkl": 0.1, "df": 0.004, "mel": 0.62, "nv": 0.223, "vasc": 0.003}
ROUTINE = {"akiec": 0.01, "bcc": 0.01, "bkl": 0.06, "df": 0.002, "mel": 0.013, "nv": 0.9, "vasc": 0.005}
DARK = QualityFlag("too-dark", "The picture is almost black: take it again in more light.")
INK = QualityFlag("ink", "There is ink beside the lesion: leave it out of the picture.", "note")


@dataclass
class FakePredictor:
    """Gives the probabilities it was told, whatever the picture; its heatmaps are round spots, one beside the other.

    Where something that it uses is known, its answers follow an operating point of their own.
    """

    probabilities: dict[str, float] = field(default_factory=lambda: dict(REFER))
    quality: tuple[QualityFlag, ...] = ()
    plausible: tuple[str, ...] = ()
    sensitivity: float | None = 0.953
    uses: tuple[str, ...] = ("age", "sex", "site")
    sha256: str = "9f3c71e2" * 8
    seen: list[Path] = field(default_factory=list)
    contexts: list[PatientContext | None] = field(default_factory=list)

    batches = False
    device = "cpu"
    runtime = SimpleNamespace(name="eager", reason="the reference; no other was asked for")

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.probabilities)

    @property
    def description(self) -> Any:
        return SimpleNamespace(
            name="fake<network>",
            version="3",
            weights_sha256=self.sha256,
            conformal=SimpleNamespace(level=0.9),
            operating_point=self.point(0.18),
            context=object() if self.uses else None,
            context_operating_point=self.point(0.21 if self.uses else 0.18),
        )

    def point(self, threshold: float) -> Any:
        return SimpleNamespace(
            threshold=threshold,
            sensitivity=self.sensitivity,
            specificity=0.78,
            sensitivity_ci95=(0.92, 0.97),
            specificity_ci95=None,
            lesions=1119 if threshold == 0.18 else 1003,
        )

    def predict(self, image: Path, context: PatientContext | None = None) -> Prediction:
        return self.explain_all(image, context=context, max_side=16).prediction

    def explain(
        self,
        image: Path,
        code: str | None = None,
        *,
        context: PatientContext | None = None,
        max_side: int | None = None,
    ) -> Explanation:
        answer = self.explain_all(image, context=context, max_side=max_side)
        shown = code or answer.prediction.top
        return Explanation(answer.prediction, answer[shown], shown)

    def features(self, image: Path) -> np.ndarray:
        return np.ones(4, np.float32)

    def explain_all(
        self, image: Path, *, context: PatientContext | None = None, max_side: int | None = None
    ) -> Explanations:
        self.seen.append(image)
        self.contexts.append(context)
        known = tuple(name for name in context.known if name in self.uses) if context else ()
        threshold = 0.21 if known else 0.18
        small = load_image(image)
        small.thumbnail((max_side or 10_000, max_side or 10_000))
        malignant = sum(share for code, share in self.probabilities.items() if DIAGNOSES[code].malignant)
        refused = any(flag.severity == "refuse" for flag in self.quality)
        return Explanations(
            Prediction(
                probabilities=dict(self.probabilities),
                top=max(self.probabilities, key=self.probabilities.__getitem__),
                malignant_probability=malignant,
                operating_point=threshold,
                advice="unsure" if refused else "refer" if malignant >= threshold else "routine",
                quality=self.quality,
                model_name="fake<network>",
                model_version="3",
                model_sha256=self.sha256,
                seconds=0.081,
                context=known,
                plausible=self.plausible,
            ),
            {code: _spot(small.size, number) for number, code in enumerate(self.probabilities)},
        )


def _spot(size: tuple[int, int], number: int) -> np.ndarray:
    rows, columns = np.mgrid[: size[1], : size[0]]
    down, across = rows / size[1] - 0.4 - 0.02 * number, columns / size[0] - 0.25 - 0.08 * number
    return np.exp(-(down**2 + across**2) / 0.03).astype(np.float32)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.parent == Path(__file__).parent:
            for fault in FAULTS_OF_GRADIO:
                item.add_marker(pytest.mark.filterwarnings(fault))


@pytest.fixture
def no_event_loop_is_left() -> Iterator[None]:
    """Collects them here, where they are expected, and not in whatever test comes next."""
    yield
    asyncio.set_event_loop(None)
    gc.collect()


@pytest.fixture
def predictor() -> FakePredictor:
    return FakePredictor()


@pytest.fixture
def lesion(tmp_path: Path) -> Path:
    """A JPEG of 240 x 180 pixels with a brown spot on skin, and EXIF data that say who took it and that it lies."""
    rows, columns = np.mgrid[:180, :240]
    spot = (rows / 180 - 0.5) ** 2 + (columns / 240 - 0.5) ** 2 < 0.06
    pixels = np.where(spot[..., None], (110, 66, 50), (224, 180, 160)).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112], exif[0x013B] = 6, "Dr Somebody"
    path = tmp_path / "left shoulder.jpg"
    Image.fromarray(pixels).save(path, exif=exif)
    return path


@pytest.fixture
def no_picture(tmp_path: Path) -> Path:
    """A text that is called a JPEG, with a name that is markup."""
    path = tmp_path / "<b>{{1}}${2}.jpg"
    path.write_text("This is a letter.")
    return path


__all__ = ["DARK", "REFER", "ROUTINE", "FakePredictor", "desktop"]
