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
    from derm_core.data.audit_summary import AuditSummary, audit_dataset
    from derm_core.data.reviewed import ReviewedCase, write_reviewed
    from derm_core.data.table import Dataset, load_dataset, write_dataset
    from derm_core.diagnoses import DIAGNOSES, NOTICE, TASKS, Diagnosis, Task, get_diagnosis, get_task
    from derm_core.errors import (
        BundleError,
        CaseFileError,
        CheckpointError,
        ConfigError,
        DatasetError,
        DermError,
        InvalidImageError,
        WeightsNotFoundError,
    )
    from derm_core.experiments.bundle_teacher import open_bundle_teacher
    from derm_core.experiments.bundling import make_bundle
    from derm_core.experiments.report import write_report
    from derm_core.explanation.kept_heatmap import pack_heatmap, unpack_heatmap
    from derm_core.explanation.overlay import heatmap_to_rgba
    from derm_core.files import new_folder, write_synced
    from derm_core.images import load_image
    from derm_core.interchange.case_file import CaseFile, open_case_file, write_case_file
    from derm_core.interchange.cases import (
        CONFIRMATIONS,
        VERDICTS,
        CaseCounts,
        CaseLesion,
        CasePhotograph,
        CaseReview,
    )
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
    from derm_core.serving.class_bars import (
        ClassBar,
        class_bars,
        diagnosis_name,
        explained_code,
        leading_malignancy,
        risk_and_point,
    )
    from derm_core.serving.context import SEXES, SITES, PatientContext
    from derm_core.serving.description import read_description
    from derm_core.serving.gathering import GatheringPredictor
    from derm_core.serving.lesion_area import lesion_share
    from derm_core.serving.loading import load_predictor, usual_runtime
    from derm_core.serving.machine_state import MachineState, machine_state
    from derm_core.serving.many_files import find_pictures, predict_files
    from derm_core.serving.prediction import Explanation, Explanations, Prediction, QualityFlag
    from derm_core.serving.predictor import Predictor
    from derm_core.serving.registered_bundle import RegisteredBundle
    from derm_core.serving.registry import Registry, default_registry, home_folder
    from derm_core.serving.similar_cases import SimilarCase, SimilarCases
    from derm_core.serving.wording import percent, percents_apart, plausible_words
    from derm_core.training.config import load_recipe, recipe_names
    from derm_core.training.loop import fit
    from derm_core.training.recipe_summary import recipe_summary
    from derm_core.training.records import read_records
    from derm_core.training.run_folder import read_run_config
    from derm_core.zip_end import read_zip_end

__version__ = "0.1.0"

_HOME_OF = {
    "AnswerJournal": "derm_core.serving.answer_journal",
    "AuditSummary": "derm_core.data.audit_summary",
    "BundleDescription": "derm_core.serving.bundle",
    "BundleError": "derm_core.errors",
    "CONFIRMATIONS": "derm_core.interchange.cases",
    "CaseCounts": "derm_core.interchange.cases",
    "CaseFile": "derm_core.interchange.case_file",
    "CaseFileError": "derm_core.errors",
    "CaseLesion": "derm_core.interchange.cases",
    "CasePhotograph": "derm_core.interchange.cases",
    "CaseReview": "derm_core.interchange.cases",
    "CheckpointError": "derm_core.errors",
    "ClassBar": "derm_core.serving.class_bars",
    "ConfigError": "derm_core.errors",
    "ContactPicture": "derm_core.reporting.contact_sheet",
    "DIAGNOSES": "derm_core.diagnoses",
    "Dataset": "derm_core.data.table",
    "DatasetError": "derm_core.errors",
    "DermError": "derm_core.errors",
    "Diagnosis": "derm_core.diagnoses",
    "Explanation": "derm_core.serving.prediction",
    "ExplanationMethod": "derm_core.serving.attribution",
    "Explanations": "derm_core.serving.prediction",
    "GatheringPredictor": "derm_core.serving.gathering",
    "InvalidImageError": "derm_core.errors",
    "MachineState": "derm_core.serving.machine_state",
    "NOTICE": "derm_core.diagnoses",
    "PatientContext": "derm_core.serving.context",
    "Prediction": "derm_core.serving.prediction",
    "Predictor": "derm_core.serving.predictor",
    "QualityFlag": "derm_core.serving.prediction",
    "RegisteredBundle": "derm_core.serving.registered_bundle",
    "Registry": "derm_core.serving.registry",
    "ReportedAnswer": "derm_core.reporting.answered",
    "ReviewedCase": "derm_core.data.reviewed",
    "SEXES": "derm_core.serving.context",
    "SITES": "derm_core.serving.context",
    "SimilarCase": "derm_core.serving.similar_cases",
    "SimilarCases": "derm_core.serving.similar_cases",
    "TASKS": "derm_core.diagnoses",
    "Task": "derm_core.diagnoses",
    "VERDICTS": "derm_core.interchange.cases",
    "WeightsNotFoundError": "derm_core.errors",
    "answer_columns": "derm_core.serving.answer_rows",
    "answer_report": "derm_core.reporting.report",
    "answer_row": "derm_core.serving.answer_rows",
    "audit_dataset": "derm_core.data.audit_summary",
    "class_bars": "derm_core.serving.class_bars",
    "contact_sheet": "derm_core.reporting.contact_sheet",
    "default_registry": "derm_core.serving.registry",
    "diagnosis_name": "derm_core.serving.class_bars",
    "explain_by": "derm_core.serving.attribution",
    "explained_code": "derm_core.serving.class_bars",
    "explanation_methods": "derm_core.serving.attribution",
    "find_bundle": "derm_core.serving.bundle_files",
    "find_pictures": "derm_core.serving.many_files",
    "fit": "derm_core.training.loop",
    "get_diagnosis": "derm_core.diagnoses",
    "get_task": "derm_core.diagnoses",
    "heatmap_to_rgba": "derm_core.explanation.overlay",
    "home_folder": "derm_core.serving.registry",
    "journal_about": "derm_core.serving.answer_journal",
    "journal_rows": "derm_core.serving.answer_journal",
    "leading_malignancy": "derm_core.serving.class_bars",
    "lesion_report": "derm_core.reporting.report",
    "lesion_share": "derm_core.serving.lesion_area",
    "load_dataset": "derm_core.data.table",
    "load_image": "derm_core.images",
    "load_predictor": "derm_core.serving.loading",
    "load_recipe": "derm_core.training.config",
    "load_similar_cases": "derm_core.serving.case_index",
    "machine_state": "derm_core.serving.machine_state",
    "make_bundle": "derm_core.experiments.bundling",
    "new_folder": "derm_core.files",
    "open_answer_journal": "derm_core.serving.answer_journal",
    "open_bundle_teacher": "derm_core.experiments.bundle_teacher",
    "open_case_file": "derm_core.interchange.case_file",
    "pack_bundle": "derm_core.serving.bundle_archive",
    "pack_heatmap": "derm_core.explanation.kept_heatmap",
    "percent": "derm_core.serving.wording",
    "percents_apart": "derm_core.serving.wording",
    "plausible_words": "derm_core.serving.wording",
    "predict_files": "derm_core.serving.many_files",
    "read_archive": "derm_core.serving.bundle_archive",
    "read_description": "derm_core.serving.description",
    "read_records": "derm_core.training.records",
    "read_run_config": "derm_core.training.run_folder",
    "read_zip_end": "derm_core.zip_end",
    "recipe_names": "derm_core.training.config",
    "recipe_summary": "derm_core.training.recipe_summary",
    "risk_and_point": "derm_core.serving.class_bars",
    "rows_at": "derm_core.serving.answer_journal",
    "unpack_bundle": "derm_core.serving.bundle_archive",
    "unpack_heatmap": "derm_core.explanation.kept_heatmap",
    "usual_runtime": "derm_core.serving.loading",
    "write_case_file": "derm_core.interchange.case_file",
    "write_dataset": "derm_core.data.table",
    "write_report": "derm_core.experiments.report",
    "write_reviewed": "derm_core.data.reviewed",
    "write_rows": "derm_core.serving.answer_journal",
    "write_synced": "derm_core.files",
}

__all__ = [
    "CONFIRMATIONS",
    "DIAGNOSES",
    "NOTICE",
    "SEXES",
    "SITES",
    "TASKS",
    "VERDICTS",
    "AnswerJournal",
    "AuditSummary",
    "BundleDescription",
    "BundleError",
    "CaseCounts",
    "CaseFile",
    "CaseFileError",
    "CaseLesion",
    "CasePhotograph",
    "CaseReview",
    "CheckpointError",
    "ClassBar",
    "ConfigError",
    "ContactPicture",
    "Dataset",
    "DatasetError",
    "DermError",
    "Diagnosis",
    "Explanation",
    "ExplanationMethod",
    "Explanations",
    "GatheringPredictor",
    "InvalidImageError",
    "MachineState",
    "PatientContext",
    "Prediction",
    "Predictor",
    "QualityFlag",
    "RegisteredBundle",
    "Registry",
    "ReportedAnswer",
    "ReviewedCase",
    "SimilarCase",
    "SimilarCases",
    "Task",
    "WeightsNotFoundError",
    "answer_columns",
    "answer_report",
    "answer_row",
    "audit_dataset",
    "class_bars",
    "contact_sheet",
    "default_registry",
    "diagnosis_name",
    "explain_by",
    "explained_code",
    "explanation_methods",
    "find_bundle",
    "find_pictures",
    "fit",
    "get_diagnosis",
    "get_task",
    "heatmap_to_rgba",
    "home_folder",
    "journal_about",
    "journal_rows",
    "leading_malignancy",
    "lesion_report",
    "lesion_share",
    "load_dataset",
    "load_image",
    "load_predictor",
    "load_recipe",
    "load_similar_cases",
    "machine_state",
    "make_bundle",
    "new_folder",
    "open_answer_journal",
    "open_bundle_teacher",
    "open_case_file",
    "pack_bundle",
    "pack_heatmap",
    "percent",
    "percents_apart",
    "plausible_words",
    "predict_files",
    "read_archive",
    "read_description",
    "read_records",
    "read_run_config",
    "read_zip_end",
    "recipe_names",
    "recipe_summary",
    "risk_and_point",
    "rows_at",
    "unpack_bundle",
    "unpack_heatmap",
    "usual_runtime",
    "write_case_file",
    "write_dataset",
    "write_report",
    "write_reviewed",
    "write_rows",
    "write_synced",
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
