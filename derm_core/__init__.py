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
    from derm_core.data.table import Dataset, load_dataset, write_dataset
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
    from derm_core.reporting.answered import ReportedAnswer
    from derm_core.reporting.contact_sheet import ContactPicture, contact_sheet
    from derm_core.reporting.report import answer_report, lesion_report
    from derm_core.serving.answer_journal import (
        AnswerJournal,
        journal_about,
        journal_rows,
        open_answer_journal,
        rows_at,
        write_rows,
    )
    from derm_core.serving.answer_rows import answer_columns, answer_row
    from derm_core.serving.attribution import ExplanationMethod, explain_by, explanation_methods
    from derm_core.serving.bundle import BundleDescription
    from derm_core.serving.bundle_archive import pack_bundle, read_archive, unpack_bundle
    from derm_core.serving.bundle_files import find_bundle
    from derm_core.serving.case_index import load_similar_cases
    from derm_core.serving.context import SEXES, SITES, PatientContext
    from derm_core.serving.description import read_description
    from derm_core.serving.lesion_area import lesion_share
    from derm_core.serving.machine_state import MachineState, machine_state
    from derm_core.serving.many_files import find_pictures, predict_files
    from derm_core.serving.prediction import Explanation, Explanations, Prediction, QualityFlag
    from derm_core.serving.predictor import Predictor, load_predictor
    from derm_core.serving.registry import RegisteredBundle, Registry, default_registry, home_folder
    from derm_core.serving.similar_cases import SimilarCase, SimilarCases
    from derm_core.serving.wording import percent, percents_apart

__version__ = "0.1.0"

_HOME_OF = {
    "AnswerJournal": "derm_core.serving.answer_journal",
    "BundleDescription": "derm_core.serving.bundle",
    "BundleError": "derm_core.errors",
    "CheckpointError": "derm_core.errors",
    "ConfigError": "derm_core.errors",
    "DIAGNOSES": "derm_core.diagnoses",
    "ContactPicture": "derm_core.reporting.contact_sheet",
    "Dataset": "derm_core.data.table",
    "DatasetError": "derm_core.errors",
    "DermError": "derm_core.errors",
    "Diagnosis": "derm_core.diagnoses",
    "Explanation": "derm_core.serving.prediction",
    "ExplanationMethod": "derm_core.serving.attribution",
    "Explanations": "derm_core.serving.prediction",
    "InvalidImageError": "derm_core.errors",
    "MachineState": "derm_core.serving.machine_state",
    "NOTICE": "derm_core.diagnoses",
    "PatientContext": "derm_core.serving.context",
    "Prediction": "derm_core.serving.prediction",
    "Predictor": "derm_core.serving.predictor",
    "QualityFlag": "derm_core.serving.prediction",
    "RegisteredBundle": "derm_core.serving.registry",
    "Registry": "derm_core.serving.registry",
    "ReportedAnswer": "derm_core.reporting.answered",
    "SEXES": "derm_core.serving.context",
    "SITES": "derm_core.serving.context",
    "SimilarCase": "derm_core.serving.similar_cases",
    "SimilarCases": "derm_core.serving.similar_cases",
    "TASKS": "derm_core.diagnoses",
    "Task": "derm_core.diagnoses",
    "WeightsNotFoundError": "derm_core.errors",
    "answer_columns": "derm_core.serving.answer_rows",
    "answer_report": "derm_core.reporting.report",
    "answer_row": "derm_core.serving.answer_rows",
    "contact_sheet": "derm_core.reporting.contact_sheet",
    "default_registry": "derm_core.serving.registry",
    "explain_by": "derm_core.serving.attribution",
    "explanation_methods": "derm_core.serving.attribution",
    "find_bundle": "derm_core.serving.bundle_files",
    "find_pictures": "derm_core.serving.many_files",
    "get_diagnosis": "derm_core.diagnoses",
    "get_task": "derm_core.diagnoses",
    "heatmap_to_rgba": "derm_core.explanation.overlay",
    "home_folder": "derm_core.serving.registry",
    "journal_about": "derm_core.serving.answer_journal",
    "journal_rows": "derm_core.serving.answer_journal",
    "lesion_report": "derm_core.reporting.report",
    "lesion_share": "derm_core.serving.lesion_area",
    "load_dataset": "derm_core.data.table",
    "load_image": "derm_core.images",
    "load_predictor": "derm_core.serving.predictor",
    "load_similar_cases": "derm_core.serving.case_index",
    "machine_state": "derm_core.serving.machine_state",
    "open_answer_journal": "derm_core.serving.answer_journal",
    "pack_bundle": "derm_core.serving.bundle_archive",
    "percent": "derm_core.serving.wording",
    "percents_apart": "derm_core.serving.wording",
    "predict_files": "derm_core.serving.many_files",
    "read_archive": "derm_core.serving.bundle_archive",
    "read_description": "derm_core.serving.description",
    "rows_at": "derm_core.serving.answer_journal",
    "unpack_bundle": "derm_core.serving.bundle_archive",
    "write_dataset": "derm_core.data.table",
    "write_rows": "derm_core.serving.answer_journal",
}

__all__ = [
    "DIAGNOSES",
    "NOTICE",
    "SEXES",
    "SITES",
    "TASKS",
    "AnswerJournal",
    "BundleDescription",
    "BundleError",
    "CheckpointError",
    "ConfigError",
    "ContactPicture",
    "Dataset",
    "DatasetError",
    "DermError",
    "Diagnosis",
    "Explanation",
    "ExplanationMethod",
    "Explanations",
    "InvalidImageError",
    "MachineState",
    "PatientContext",
    "Prediction",
    "Predictor",
    "QualityFlag",
    "RegisteredBundle",
    "Registry",
    "ReportedAnswer",
    "SimilarCase",
    "SimilarCases",
    "Task",
    "WeightsNotFoundError",
    "answer_columns",
    "answer_report",
    "answer_row",
    "contact_sheet",
    "default_registry",
    "explain_by",
    "explanation_methods",
    "find_bundle",
    "find_pictures",
    "get_diagnosis",
    "get_task",
    "heatmap_to_rgba",
    "home_folder",
    "journal_about",
    "journal_rows",
    "lesion_report",
    "lesion_share",
    "load_dataset",
    "load_image",
    "load_predictor",
    "load_similar_cases",
    "machine_state",
    "open_answer_journal",
    "pack_bundle",
    "percent",
    "percents_apart",
    "predict_files",
    "read_archive",
    "read_description",
    "rows_at",
    "unpack_bundle",
    "write_dataset",
    "write_rows",
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
