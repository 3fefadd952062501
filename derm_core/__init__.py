"""The engine of Dermatrace: trains, compares, explains and serves skin-lesion classifiers.

    images ─► dataset ─► training ─► run ─► selection ─► bundle ─► predictor ─► web · desktop · scripts

This file is the public surface, and only that. What needs PyTorch is imported when it is first asked for, so that
importing the package stays cheap.

    from derm_core import load_predictor
    answer = load_predictor().explain("photo.jpg")
    answer.prediction.top, answer.prediction.malignant_probability, answer.heatmap
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from derm_core.data.table import Dataset, load_dataset
    from derm_core.diagnoses import DIAGNOSES, NOTICE, TASKS, Diagnosis, Task, get_diagnosis, get_task
    from derm_core.errors import (
        BundleError,
        CheckpointError,
        ConfigError,
        DatasetError,
        DermError,
        InvalidImageError,
        WeightsNotFoundError,
    )
    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.images import load_image
    from derm_core.serving.attribution import ExplanationMethod, explain_by, explanation_methods
    from derm_core.serving.bundle import BundleDescription
    from derm_core.serving.case_index import load_similar_cases
    from derm_core.serving.context import SEXES, SITES, PatientContext
    from derm_core.serving.prediction import Explanation, Explanations, Prediction, QualityFlag
    from derm_core.serving.predictor import Predictor, load_predictor
    from derm_core.serving.similar_cases import SimilarCase, SimilarCases

__version__ = "0.1.0"

_HOME_OF = {
    "BundleDescription": "derm_core.serving.bundle",
    "BundleError": "derm_core.errors",
    "CheckpointError": "derm_core.errors",
    "ConfigError": "derm_core.errors",
    "DIAGNOSES": "derm_core.diagnoses",
    "Dataset": "derm_core.data.table",
    "DatasetError": "derm_core.errors",
    "DermError": "derm_core.errors",
    "Diagnosis": "derm_core.diagnoses",
    "Explanation": "derm_core.serving.prediction",
    "ExplanationMethod": "derm_core.serving.attribution",
    "Explanations": "derm_core.serving.prediction",
    "InvalidImageError": "derm_core.errors",
    "NOTICE": "derm_core.diagnoses",
    "PatientContext": "derm_core.serving.context",
    "Prediction": "derm_core.serving.prediction",
    "Predictor": "derm_core.serving.predictor",
    "QualityFlag": "derm_core.serving.prediction",
    "SEXES": "derm_core.serving.context",
    "SITES": "derm_core.serving.context",
    "SimilarCase": "derm_core.serving.similar_cases",
    "SimilarCases": "derm_core.serving.similar_cases",
    "TASKS": "derm_core.diagnoses",
    "Task": "derm_core.diagnoses",
    "WeightsNotFoundError": "derm_core.errors",
    "explain_by": "derm_core.serving.attribution",
    "explanation_methods": "derm_core.serving.attribution",
    "get_diagnosis": "derm_core.diagnoses",
    "get_task": "derm_core.diagnoses",
    "heatmap_to_rgba": "derm_core.explanation.overlay",
    "load_dataset": "derm_core.data.table",
    "load_image": "derm_core.images",
    "load_predictor": "derm_core.serving.predictor",
    "load_similar_cases": "derm_core.serving.case_index",
}

__all__ = [
    "DIAGNOSES",
    "NOTICE",
    "SEXES",
    "SITES",
    "TASKS",
    "BundleDescription",
    "BundleError",
    "CheckpointError",
    "ConfigError",
    "Dataset",
    "DatasetError",
    "DermError",
    "Diagnosis",
    "Explanation",
    "ExplanationMethod",
    "Explanations",
    "InvalidImageError",
    "PatientContext",
    "Prediction",
    "Predictor",
    "QualityFlag",
    "SimilarCase",
    "SimilarCases",
    "Task",
    "WeightsNotFoundError",
    "explain_by",
    "explanation_methods",
    "get_diagnosis",
    "get_task",
    "heatmap_to_rgba",
    "load_dataset",
    "load_image",
    "load_predictor",
    "load_similar_cases",
]


def __getattr__(name: str) -> Any:
    """Imports a public name from its module on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'derm_core' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
