"""A small index of confirmed cases, as scripts/index_cases.py writes one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from derm_core.serving.case_index import save_similar_cases
from derm_core.serving.similar_cases import SimilarCases
from tests.web.fakes import FakePredictor, picture

CASES = {"mel": 0.97, "nv": 0.9, "bcc": 0.5, "bkl": 0.4, "df": 0.1}
"""Diagnosis of each case, and how alike it is to whatever is asked."""


def index_at(
    folder: Path, predictor: FakePredictor, *, pictures: bool = True, confirmed_by: str = "histopathology"
) -> Path:
    """Writes an index of five cases, one a diagnosis."""
    small = picture(24, 18)
    cases = pd.DataFrame(
        {
            "image_path": [f"images/Ayse_Yilmaz_{code}.jpg" for code in CASES],
            "diagnosis": list(CASES),
            "lesion_id": [f"patient-{code}" for code in CASES],
            "age": 103.0,
            "sex": "female",
            "site": "back",
            "confirmed_by": confirmed_by,
            "thumbnail": [small if pictures else b""] * len(CASES),
            "lesion": list(CASES),
        }
    )
    shares = np.array(list(CASES.values()))
    vectors = np.stack([shares, np.sqrt(1 - shares**2), 0 * shares], 1).astype(np.float32)
    about = predictor.description
    model = {"name": about.name, "version": about.version, "sha256": about.weights_sha256}
    save_similar_cases(
        SimilarCases(cases, vectors, model, {"name": "Clinic 2025", "split": "", "fingerprint": "f"}), folder
    )
    return folder
