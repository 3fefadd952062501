"""The sections of a model card on what the model advises, and when it does not answer. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping

from derm_core.serving.card_figures import Values
from derm_core.serving.markdown import cell, interval, number, table, with_interval

_PREVALENCES = (0.02, 0.05, 0.1, 0.2)
"""Shares of malignant photographs, from screening to a referral clinic, for which it is said what a referral means."""


def operating_points_section(description: Values, metrics: Values) -> str:
    """Returns from where on the advice is to refer, what that means for a hundred patients, and all thresholds."""
    default = description["default_operating_point"]
    alone = {point["name"]: point for point in description["operating_points"]}
    moved = {point["name"]: point for point in description.get("context_operating_points") or ()}
    text = (
        f"The advice is to refer where the probability of malignancy is at least {number(alone[default]['threshold'])} "
        f"(operating point `{default}`)"
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
    parts += _meaning_of_a_referral((moved or alone)[default])
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
    header = ["Operating point", "Threshold", "Sensitivity", "Specificity", "Photographs", "Lesions"]
    return table([*header, "Measured on"], rows)


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


def _meaning_of_a_referral(point: Values) -> list[str]:
    found, spared = point["sensitivity"], point["specificity"]
    if found is None or spared is None:
        return []
    rows = []
    for share in _PREVALENCES:
        right, wrong, missed = (
            round(1000 * value) for value in (share * found, (1 - share) * (1 - spared), share * (1 - found))
        )
        rows.append([f"{round(1000 * share)}", f"{right + wrong}", f"{right}", f"{missed}"])
    header = [
        "Malignant, of 1000 photographs",
        "Referred",
        "Malignant among these",
        "Malignant, not referred",
    ]
    return [
        "Sensitivity and specificity do not depend on how common malignant lesions are; what a referral means does. At "
        "the default operating point:",
        table(header, rows),
    ]


def silence_section(metrics: Values) -> str:
    """Returns when the model answers nothing and what leaving doubtful answers to people gains."""
    selective = metrics.get("selective")
    if not selective:
        return ""
    unsure = metrics["n"] - round(metrics["n"] * selective["coverage"])
    rows = [
        [
            f"{100 * float(coverage):.0f}",
            number(accuracy),
            interval(selective["ci95"]["accuracy_at_coverage"][coverage]),
        ]
        for coverage, accuracy in selective["accuracy_at_coverage"].items()
    ]
    return "\n\n".join(
        [
            "## When it does not answer",
            "A photograph that is too small, too dark or otherwise not fit to be answered, or that shows no skin "
            "lesion like those it knows, is answered `unsure`, with the reason. Of the "
            f"{metrics['n']} photographs measured {unsure} were.",
            "Where only the surest answers are used and the others left to people, so many of them are right:",
            table(["Answered, of 100", "Accuracy", "95% interval"], rows),
        ]
    )
