"""An evaluation's figures as tables for people. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derm_core.diagnoses import DIAGNOSES, NOTICE

OVERALL = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "macro_f1": "F1, mean over classes",
    "weighted_f1": "F1, weighted by class",
    "macro_auc": "AUC, mean over classes",
    "ece": "calibration error (ECE)",
    "ece_equal_mass": "the same, equal mass bins",
    "brier": "Brier score",
    "malignant_auc": "AUC for malignancy",
    "malignant_average_precision": "average precision for malignancy",
    "sensitivity_at_operating_point": "sensitivity for malignancy",
    "specificity_at_operating_point": "specificity for malignancy",
}
CLASS_COLUMNS = {
    "precision": "precision",
    "recall": "recall",
    "f1": "F1",
    "auc": "AUC",
    "average_precision": "AP",
}
SOURCE_COLUMNS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced acc.",
    "malignant_auc": "AUC malignant",
}
GROUP_COLUMNS = {
    "balanced_accuracy": "balanced acc.",
    "malignant_auc": "AUC malignant",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
}


def readable(figures: Mapping[str, Any]) -> str:
    model, data, point = figures["model"], figures["data"], figures["operating_point"]
    parts = [
        f"model {model['name']} {model['version']} (SHA-256 {model['sha256'][:12]}), task {model['task']}\n"
        f"data  {data['name']} (fingerprint {data['fingerprint'][:12]}), split {data['split']}: "
        f"{figures['n']} photographs of {figures['lesions']} lesions, {figures['malignant_lesions']} of them malignant"
    ]
    if figures["left_out"]:
        parts.append(f"{figures['left_out']} photographs of diagnoses outside the task were left out.")
    if figures["per_class"] is None:
        parts.append(
            "The dataset has none of the model's diagnoses: only the risk of malignancy is measured."
        )
    alone = figures["photograph_alone"]
    if alone:
        parts.append(
            f"Of {figures['context']} photographs the answers use age, sex or body site; beside that, the photographs "
            "alone."
        )
    parts.append(
        table(
            ["", "", "95% interval", *(["photo alone", "95% interval"] if alone else [])],
            [
                [
                    title,
                    number(figures[key]),
                    interval(figures["ci95"][key]),
                    *([number(alone[key]), interval(alone["ci95"][key])] if alone else []),
                ]
                for key, title in OVERALL.items()
                if figures[key] is not None
            ],
        )
    )
    parts.append(
        f"Sensitivity and specificity at the operating point {point['name']}: referred from a probability of "
        f"{number(point['threshold'])} on.{risk_line(figures)}\nAdvice given: "
        + ", ".join(f"{advice} {count}" for advice, count in figures["advice"].items())
        + f". Intervals: {figures['bootstrap']['replicates']} bootstraps over lesions."
    )
    parts.append(points_table(figures["operating_points"]))
    if figures["plausible"] is not None:
        parts.append(plausible_table(figures["plausible"]))
    if figures["per_class"] is not None:
        parts += [
            class_table(figures["per_class"]),
            confusion_table(figures["classes"], figures["confusion_matrix"]),
        ]
    parts += group_tables(figures["subgroups"])
    if figures["sources"]:
        parts.append(sources_table(figures["sources"]))
    if figures["group_differences"]:
        parts.append(differences(figures["group_differences"]))
    return "\n\n".join([*parts, NOTICE])


def risk_line(figures: Mapping[str, Any]) -> str:
    """Returns what the risks add up to, beside what there is, and for which prevalence they are stated."""
    line = (
        f"\nThe mean risk is {number(figures['mean_risk'])}; "
        f"{number(figures['malignant'] / figures['n'])} of the photographs are of malignant lesions."
    )
    if prevalence := figures["prevalence"]:
        share = prevalence["holds_at"] if prevalence["stated"] is None else prevalence["stated"]
        line += f" Risks are stated for {number(share)}."
    return line


def sources_table(sources: Mapping[str, Any]) -> str:
    rule, name = sources["rule"], sources["dataset"]
    rows = [
        [
            f"in {name}" if part["inside"] else "elsewhere",
            str(part["n"]),
            str(part["lesions"]),
            *(text for key in SOURCE_COLUMNS for text in (number(part[key]), interval(part["ci95"][key]))),
        ]
        for part in sources["within"]
    ]
    heads = [text for title in SOURCE_COLUMNS.values() for text in (title, "95%")]
    return (
        f"By source: a rule that sees only whether {name} has the photograph is right in {number(rule['accuracy'])} "
        f"({interval(rule['ci95'])}).\n" + table(["source", "photos", "lesions", *heads], rows)
    )


def points_table(points: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [
            point["name"],
            "",
            number(point["threshold"]),
            *(
                text
                for name in ("sensitivity", "specificity")
                for text in (number(point[name]), interval(point[f"{name}_ci95"]))
            ),
        ]
        for point in points
    ]
    return table(["operating point", "", "risk from", "sensitivity", "95%", "specificity", "95%"], rows)


def plausible_table(plausible: Mapping[str, Any]) -> str:
    rows = [
        [
            code,
            DIAGNOSES[code].name if code in DIAGNOSES else "",
            str(entry["lesions"]),
            *(
                text
                for name in ("coverage", "mean_size")
                for text in (number(entry[name]), interval(entry[f"{name}_ci95"]))
            ),
        ]
        for code, entry in {"all": plausible, **plausible["per_class"]}.items()
    ]
    return (
        f"Plausible diagnoses, by lesion: sets made to hold the truth {100 * plausible['level']:.0f} times in 100; "
        f"{100 * plausible['single']:.0f} in 100 name one diagnosis.\n"
        + table(["truth", "", "lesions", "holds it", "95%", "size", "95%"], rows)
    )


def differences(tests: Sequence[Mapping[str, Any]]) -> str:
    """Returns in words between which groups figures differ."""
    found = [
        f"{test['figure']} by {test['kind'].replace('_', ' ')}: "
        + ", ".join(f"{name} {number(share)}" for name, share in test["groups"].items())
        + f" (p = {test['p_adjusted']:.2g})"
        for test in tests
        if test["differs"]
    ]
    if not found:
        return f"Of {len(tests)} comparisons between groups none shows a difference beyond chance."
    return "\n".join(
        [
            f"Groups differ beyond chance (p corrected for {len(tests)} comparisons), for whatever reason:",
            *found,
        ]
    )


def class_table(per_class: Mapping[str, Mapping[str, Any]]) -> str:
    rows = [
        [
            code,
            DIAGNOSES[code].name,
            str(entry["n"]),
            str(entry["lesions"]),
            *(number(entry[key]) for key in CLASS_COLUMNS),
            interval(entry["ci95"]["auc"]),
        ]
        for code, entry in per_class.items()
    ]
    return table(["class", "", "photos", "lesions", *CLASS_COLUMNS.values(), "AUC 95%"], rows)


def confusion_table(classes: Sequence[str], matrix: Sequence[Sequence[int]]) -> str:
    rows = [[code, "", *(str(count) for count in row)] for code, row in zip(classes, matrix, strict=True)]
    return table(["truth", "answered:", *classes], rows)


def group_tables(subgroups: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> list[str]:
    """Returns a table a kind of group; none where the dataset knows nothing of that kind."""
    return [group_table(kind, groups) for kind, groups in subgroups.items() if set(groups) != {"unknown"}]


def group_table(kind: str, groups: Mapping[str, Mapping[str, Any]]) -> str:
    rows = []
    for name, entry in groups.items():
        row = [name, "", str(entry["n"]), str(entry["lesions"])]
        if "ci95" in entry:
            for key in GROUP_COLUMNS:
                row += [number(entry[key]), interval(entry["ci95"][key])]
        else:
            row += ["too few to measure", *[""] * (2 * len(GROUP_COLUMNS) - 1)]
        rows.append(row)
    measured = [cell for title in GROUP_COLUMNS.values() for cell in (title, "95%")]
    return table([kind.replace("_", " "), "", "photos", "lesions", *measured], rows)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Returns lines in columns, the first two flush left and the others flush right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column < 2 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
            if width
        ).rstrip()
        for row in (header, *rows)
    )


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def interval(ends: Sequence[float] | None) -> str:
    return "-" if ends is None else f"{ends[0]:.3f}-{ends[1]:.3f}"
