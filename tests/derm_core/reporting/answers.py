"""Answers to be printed: invented figures over a drawn picture."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import numpy as np
from PIL import Image

from derm_core import Prediction, ReportedAnswer

PROBABILITIES = {"akiec": 0.02, "bcc": 0.03, "bkl": 0.1, "df": 0.004, "mel": 0.62, "nv": 0.223, "vasc": 0.003}
SHA256 = "9f3c71e2a4d05b86c1f07e39d2b8460a5e1c94f37ad86b0295c3ef41d80a77b1"
MORNING = datetime(2026, 11, 21, 9, 14, tzinfo=UTC)


def picture(width: int = 320, height: int = 240) -> bytes:
    """A JPEG of a dark spot on skin."""
    rows, columns = np.mgrid[:height, :width]
    spot = (rows / height - 0.5) ** 2 + (columns / width - 0.5) ** 2 < 0.06
    pixels = np.where(spot[..., None], (110, 66, 50), (224, 180, 160)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG")
    return buffer.getvalue()


def heatmap(side: int = 40) -> np.ndarray:
    """A round peak in the middle: float32 (side, side) in [0, 1]."""
    rows, columns = np.mgrid[:side, :side] / side - 0.5
    return np.exp(-(rows**2 + columns**2) / 0.03).astype(np.float32)


def prediction(**changes: Any) -> Prediction:
    values: dict[str, Any] = {
        "probabilities": PROBABILITIES,
        "top": "mel",
        "malignant_probability": 0.67,
        "operating_point": 0.18,
        "advice": "refer",
        "quality": (),
        "model_name": "ham7-mobilenet_v2",
        "model_version": "3",
        "model_sha256": SHA256,
        "seconds": 0.08,
    }
    return Prediction(**values | changes)


def answer(**changes: Any) -> ReportedAnswer:
    values: dict[str, Any] = {
        "prediction": prediction(),
        "photograph": picture(),
        "answered_at": MORNING,
        "heatmap": heatmap(),
        "explained": "mel",
        "record": "D-20261121-0007",
    }
    return ReportedAnswer(**values | changes)
