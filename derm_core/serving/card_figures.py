"""The sections of a model card that are made of figures. Measures nothing and types in no number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from derm_core.diagnoses import DIAGNOSES
from derm_core.evaluation.malignancy import SMALLEST_GROUP
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
_CALIBRATION = {
    "ece": (
        "Expected calibration error",
        "how far the stated probability lies from the share that is right; 0 is best",
    ),
    "brier": ("Brier score", "squared error of the probabilities, summed over diagnoses; 0 is best"),
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
_GROUPS = {"sex": "Sex", "age": "Age in years", "site": "Site", "confirmed_by": "Diagnosis confirmed by"}
_MEMBERS = {
    "histo": "histopathology",
    "follow_up": "follow-up",
    "consensus": "consensus of experts",
    "confocal": "confocal microscopy",
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
    return "\n\n".join([*parts, _overall(metrics, _OVERALL), command_block(metrics)])


def _apart(description: Values, data: Values) -> str:
    trained = (description.get("data") or {}).get("fingerprint")
    if data.get("split") != "test" or not trained or data.get("fingerprint") != trained:
        return ""
    return "The dataset is split by lesion: no lesion of this split was trained or tuned on. "


def _overall(metrics: Values, titles: Mapping[str, tuple[str, str]]) -> str:
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


def operating_points_section(description: Values, metrics: Values) -> str:
    """Returns from where on the advice is to refer, what that means for a hundred patients, and all thresholds."""
    default = description["default_operating_point"]
    alone = {point["name"]: point for point in description["operating_points"]}
    moved = {point["name"]: point for point in description.get("context_operating_points") or ()}
    threshold = number(alone[default]["threshold"])
    text = (
        f"The advice is to refer where the probability of malignancy is at least {threshold} (operating point "
        f"`{default}`)"
    )
    if moved:
        text += f", or {number(moved[default]['threshold'])} where the answer uses age, sex or body site"
    parts = ["## When it advises to refer", f"{text}.{_natural_frequencies(metrics)}"]
    parts.append("The thresholds, with what was measured at each:")
    parts.append(_points_table(alone))
    if moved:
        parts += ["And where the answers use age, sex or body site:", _points_table(moved)]
    if advice := metrics.get("advice"):
        given = ", ".join(f"{name} {count}" for name, count in advice.items())
        parts.append(f"Advice given on the photographs measured: {given}.")
    return "\n\n".join(parts)


def _points_table(points: Mapping[str, Values]) -> str:
    rows = [
        [
            f"`{name}`",
            number(point["threshold"]),
            with_interval(point["sensitivity"], point["sensitivity_ci95"]),
            with_interval(point["specificity"], point["specificity_ci95"]),
            str(point["photographs"]),
            str(point["lesions"]),
            cell(point["measured_on"]),
        ]
        for name, point in points.items()
    ]
    header = [
        "Operating point",
        "Threshold",
        "Sensitivity",
        "Specificity",
        "Photographs",
        "Lesions",
        "Measured on",
    ]
    return table(header, rows)


def _natural_frequencies(metrics: Values) -> str:
    found = metrics.get("sensitivity_at_operating_point")
    spared = metrics.get("specificity_at_operating_point")
    if found is None or spared is None:
        return ""
    of_malignant, of_benign = round(1000 * found), round(1000 * spared)
    return (
        f" Of 1000 photographs of malignant lesions {of_malignant} are then referred and {1000 - of_malignant} missed; "
        f"of 1000 of benign lesions {of_benign} are spared and {1000 - of_benign} referred without need."
    )


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


def calibration_section(description: Values, metrics: Values) -> str:
    """Returns how far stated probabilities can be believed."""
    parts = [
        "## Calibration",
        f"The network's outputs are divided by a temperature of {number(description['temperature'])} (Guo et al., "
        "arXiv 1706.04599), so that of the answers given with some probability about that share is right. This holds "
        "for a mix of lesions like the one measured: where malignant lesions are rarer, the true risk is lower than "
        "the one stated.",
    ]
    if metrics.get("per_class"):
        parts.append(_overall(metrics, _CALIBRATION))
    return "\n\n".join(parts)


def command_block(metrics: Values) -> str:
    """Returns the command that made the figures; nothing where it was not noted."""
    return f"```\n{metrics['command']}\n```" if metrics.get("command") else ""
