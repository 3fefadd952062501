"""A lesion with an answered and a refused photograph, and case files that were tampered with."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import numpy as np
from PIL import Image

from derm_core import (
    CaseLesion,
    CasePhotograph,
    CaseReview,
    PatientContext,
    Prediction,
    QualityFlag,
    pack_heatmap,
    write_case_file,
)

MOMENT = datetime(2026, 11, 20, 9, 30, 5, 123456, tzinfo=UTC)
ANSWER = Prediction(
    probabilities={"mel": 0.6, "nv": 0.3, "bkl": 0.1},
    top="mel",
    malignant_probability=0.6,
    operating_point=0.2,
    advice="refer",
    quality=(QualityFlag("ink", "There is ink beside the lesion.", "note"),),
    model_name="ham7",
    model_version="1",
    model_sha256="9f3c71e2" * 8,
    seconds=0.1,
    context=("age",),
    plausible=("mel", "nv"),
)
REFUSED = replace(
    ANSWER, advice="unsure", quality=(QualityFlag("too-dark", "The picture is almost black."),), context=()
)
MEASURED = {
    "name": "sensitivity-0.95",
    "threshold": 0.2,
    "sensitivity": 0.95,
    "specificity": 0.7,
    "sensitivity_ci95": (0.9, 0.97),
    "specificity_ci95": None,
    "lesions": 1119,
}


@cache
def jpeg(shade: int = 90) -> bytes:
    """A small picture of one shade."""
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 60, 50)).save(buffer, "JPEG")
    return buffer.getvalue()


@cache
def heatmap() -> bytes:
    """A kept heatmap."""
    return pack_heatmap(np.linspace(0, 1, 64 * 48, dtype=np.float32).reshape(48, 64))


def photograph(number: int = 1, prediction: Prediction = ANSWER, **values: Any) -> CasePhotograph:
    """A photograph whose name ends in its number."""
    codes = prediction.probabilities if prediction.advice != "unsure" else ()
    given: dict[str, Any] = {
        "measured": MEASURED,
        "plausible_level": 0.9,
        "answered_at": MOMENT,
        "patient": PatientContext(54.0, "female", "back"),
        "taken_on": date(2026, 11, 19),
        "note": "Itches.\nSince May.",
        "review": None,
        "picture": lambda: jpeg(90 + number),
        "heatmaps": dict.fromkeys(codes, heatmap),
    }
    return CasePhotograph(id=f"{number:032x}", prediction=prediction, **given | values)


def review(**values: Any) -> CaseReview:
    """A melanoma that histopathology confirmed."""
    known = CaseReview("confirmed", "mel", "histopathology", "0.4 mm", "Dr Klein", MOMENT)
    return replace(known, **values)


def lesion(*photographs: CasePhotograph, number: int = 10, **values: Any) -> CaseLesion:
    """A lesion; without photographs it has an answered one that is confirmed, and a refused one."""
    given: dict[str, Any] = {
        "name": "left shoulder",
        "patient": "P-0317",
        "site": "back",
        "body": ("back", 0.25, 0.5),
        "notes": "Watch it.",
        "created_at": MOMENT,
    }
    chosen = photographs or (photograph(1, review=review()), photograph(2, REFUSED))
    return CaseLesion(id=f"{number:032x}", photographs=chosen, **given | values)


def case_file(*lesions: CaseLesion) -> bytes:
    """A whole case file."""
    buffer = io.BytesIO()
    write_case_file(buffer, lesions or [lesion()], made_by="tests", made_at=MOMENT)
    return buffer.getvalue()


def entries(content: bytes) -> dict[str, bytes]:
    """What a zip holds."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """A zip of files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tampered(change: Callable[[dict[str, Any]], None], content: bytes | None = None) -> bytes:
    """A case file whose list was changed by hand."""
    files = entries(content or case_file())
    values = json.loads(files["manifest.json"])
    change(values)
    return packed(files | {"manifest.json": json.dumps(values).encode()})
