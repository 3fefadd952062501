"""The sections of a model card that are made of figures. Measures nothing and types in no number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derm_core.diagnoses import DIAGNOSES
from derm_core.evaluation.malignancy import SMALLEST_GROUP
from derm_core.evaluation.subgroups import CONFIRMED_BY
from derm_core.serving.markdown import cell, interval, number, table, with_interval

Values = Mapping[str, Any]

_OVERALL = {
    "malignant_auc": (
        "AUC for malignancy",
        "how often a malignant lesion gets a higher risk than a benign one; 0.5 is chance",
    ),
    "sensitivity_at_operating_point": (
        "Sensitivity for malignancy",
        "share of malignant lesions that is referred",
    ),
    "specificity_at_operating_point": (
        "Specificity for malignancy",
        "share of benign lesions that is not referred",
    ),
    "malignant_average_precision": (
        "Average precision for malignancy",
        "mean share of malignant lesions among those referred, over all thresholds",
    ),
    "accuracy": ("Accuracy", "share of photographs whose most likely diagnosis is right"),
    "balanced_accuracy": ("Balanced accuracy", "the same, each diagnosis counting alike however rare it is"),
    "macro_auc": ("AUC, mean over diagnoses", "each diagnosis against all others"),
    "macro_f1": (
        "F1, mean over diagnoses",
        "precision and recall in one figure, each diagnosis counting alike",
    ),
    "weighted_f1": ("F1, weighted", "the same, each diagnosis counting by how often it occurs"),
}
_PER_CLASS = {
    "recall": "Recall",
    "precision": "Precision",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "Average precision",
}
_PER_GROUP = {
    "malignant_auc": "AUC for malignancy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "balanced_accuracy": "Balanced accuracy",
}
_GROUPS = {
    "sex": "Sex",
    "age": "Age in years",
    "site": "Site",
    "confirmed_by": "Diagnosis confirmed by",
    "acquisition": "How it was taken",
}
_MEMBERS = CONFIRMED_BY | {
    "round field": "dark corners around a round field",
    "full frame": "the frame filled with skin",
}


_COMPARED = {
    "sensitivity": "the share of malignant lesions referred",
    "specificity": "the share of benign lesions not referred",
    "accuracy": "the share of photographs named rightly",
}


def figures_section(description: Values, metrics: Values) -> str:
    """Returns what was measured over all photographs, on what, and by which command."""
    title = "## How good it is"
    if not metrics:
        return f"{title}\n\nNothing has been measured yet."
    data = metrics.get("data", {})
    text = (
        f"Measured on {metrics['n']} photographs of {metrics['lesions']} lesions, {metrics['malignant_lesions']} of "
        f"them malignant: the split `{data.get('split', 'not named')}` of {cell(data.get('name', 'a dataset'))}. "
        f"{_apart(description, data)}The 95% intervals come from {metrics['bootstrap']['replicates']} draws, with "
        "replacement, of whole lesions."
    )
    if metrics.get("per_class") is None:
        text += " These photographs are known to be benign or malignant and no more, so nothing else was measured."
    parts = [title, text]
    if metrics.get("context"):
        parts.append(
            f"For {metrics['context']} of the photographs the patient's age, sex or the body site is known, and the "
            "answers use it. What the photograph alone gives stands beside."
        )
    return "\n\n".join([*parts, overall_table(metrics, _OVERALL), command_block(metrics)])


def _apart(description: Values, data: Values) -> str:
    trained = (description.get("data") or {}).get("fingerprint")
    if data.get("split") != "test" or not trained or data.get("fingerprint") != trained:
        return ""
    return "The dataset is split by lesion: no lesion of this split was trained or tuned on. "


def overall_table(metrics: Values, titles: Mapping[str, tuple[str, str]]) -> str:
    """Returns a row a figure: its title, value and interval, what the photograph alone gives, and what it says."""
    alone = metrics.get("photograph_alone")
    rows = [
        [
            title,
            number(metrics[key]),
            interval(metrics["ci95"][key]),
            *([with_interval(alone[key], alone["ci95"][key])] if alone else []),
            meaning,
        ]
        for key, (title, meaning) in titles.items()
        if metrics[key] is not None
    ]
    beside = ["Photograph alone"] if alone else []
    return table(["Figure", "Value", "95% interval", *beside, "What it says"], rows)


def classes_section(metrics: Values) -> str:
    """Returns the figures of each diagnosis and the confusion matrix; nothing where classes were not measured."""
    if not metrics.get("per_class"):
        return ""
    rows = [
        [
            DIAGNOSES[code].name,
            str(entry["n"]),
            str(entry["lesions"]),
            *(with_interval(entry[key], entry["ci95"][key]) for key in _PER_CLASS),
        ]
        for code, entry in metrics["per_class"].items()
    ]
    confusion = [
        [f"**{DIAGNOSES[code].name}**", *map(str, row)]
        for code, row in zip(metrics["classes"], metrics["confusion_matrix"], strict=True)
    ]
    return "\n\n".join(
        [
            "## Each diagnosis",
            "Recall is the share of a diagnosis's photographs that is recognised; precision the share of right ones "
            "among those so named.",
            table(["Diagnosis", "Photographs", "Lesions", *_PER_CLASS.values()], rows),
            "What was answered (columns) for what it was (rows), in photographs:",
            table(["", *(DIAGNOSES[code].name for code in metrics["classes"])], confusion),
        ]
    )


def subgroups_section(metrics: Values) -> str:
    """Returns a table for each kind of subgroup; nothing where none was measured."""
    groups = metrics.get("subgroups")
    if not groups:
        return ""
    parts = [
        "## Groups of patients and photographs",
        f"Groups of fewer than {SMALLEST_GROUP} lesions are counted but not measured.",
    ]
    for kind, members in groups.items():
        rows = [
            [cell(_MEMBERS.get(name, name)), str(entry["n"]), str(entry["lesions"]), *_group_cells(entry)]
            for name, entry in members.items()
        ]
        parts.append(table([_GROUPS.get(kind, kind), "Photographs", "Lesions", *_PER_GROUP.values()], rows))
    return "\n\n".join(parts)


def _group_cells(entry: Values) -> list[str]:
    if "ci95" not in entry:
        return ["too few", *[""] * (len(_PER_GROUP) - 1)]
    return [with_interval(entry[key], entry["ci95"][key]) for key in _PER_GROUP]


def differences_text(metrics: Values) -> str:
    """Returns in words between which groups the figures differ; nothing where that was not tested."""
    tests = metrics.get("group_differences")
    if not tests:
        return ""
    found = []
    for test in tests:
        if test["differs"]:
            low, high = (end(test["groups"], key=test["groups"].__getitem__) for end in (min, max))
            found.append(
                f"- {_GROUPS.get(test['kind'], test['kind'])}: {_COMPARED[test['figure']]} is lowest for "
                f"{cell(_MEMBERS.get(low, low))} ({number(test['groups'][low])}) and highest for "
                f"{cell(_MEMBERS.get(high, high))} ({number(test['groups'][high])}; p = {number(test['p_adjusted'])})."
            )
    many = f"{len(tests)} comparisons between groups (permutation tests over lesions, p-values corrected by Holm)"
    if not found:
        return f"Of {many}, none shows a difference beyond chance; with so few lesions small ones would not be seen."
    return "\n".join(
        [
            f"Of {many}, these differ beyond chance. Groups also differ in how hard their lesions are:",
            "",
            *found,
        ]
    )


def command_block(metrics: Values) -> str:
    """Returns the command that made the figures; nothing where it was not noted."""
    return f"```\n{metrics['command']}\n```" if metrics.get("command") else ""
