"""The sections of a model card on how far probabilities can be trusted: calibration, plausible diagnoses."""

from __future__ import annotations

from derm_core.diagnoses import DIAGNOSES
from derm_core.serving.card_figures import Values, overall_table
from derm_core.serving.markdown import cell, number, table, with_interval

CALIBRATION = {
    "ece": (
        "Expected calibration error",
        "how far the stated probability lies from the share that is right, in 15 bins of equal width; 0 is best",
    ),
    "ece_equal_mass": ("The same, bins of equal mass", "in 15 bins of as many photographs each"),
    "brier": ("Brier score", "squared error of the probabilities, summed over diagnoses; 0 is best"),
}


def calibration_section(description: Values, metrics: Values) -> str:
    """Returns how far stated probabilities can be believed, and where."""
    divided = f"a temperature of {number(description['temperature'])}"
    if context := description.get("context"):
        divided += f" ({number(context['temperature'])} where they know of the patient)"
    text = (
        f"The network's outputs are divided by {divided} (Guo et al., arXiv 1706.04599) that was set on validation "
        "lesions, so that of the answers given with some probability about that share is right."
    )
    if calibration := description.get("calibration"):
        text += _biases(calibration)
    parts = ["## Calibration", text, _where_risks_hold(description, metrics)]
    if metrics.get("per_class"):
        titles = {key: title for key, title in CALIBRATION.items() if metrics.get(key) is not None}
        parts.append(overall_table(metrics, titles))
    if metrics.get("ece_by_chance") is not None:
        parts.append(
            "With as few photographs as here, perfectly calibrated answers would show an expected calibration error "
            f"of about {number(metrics['ece_by_chance'])} by chance."
        )
    return "\n\n".join(parts)


def _biases(calibration: Values) -> str:
    strength = calibration["adjustment"]
    if strength:
        return (
            f" A bias for each diagnosis is added, so that answers lean to the rare ones: {number(strength)} of the "
            "logarithm of each one's share of the training photographs is taken away (Menon et al., arXiv 2007.07314), "
            "as was chosen on validation lesions. More of the rare diagnoses are found so, and some common ones are "
            "taken for them."
        )
    if any(calibration["bias"]) or any(calibration["context_bias"]):
        return " A bias for each diagnosis is added, since it helped on lesions held out from its fit."
    return (
        " A bias for each diagnosis was tried and left out: it did not help on lesions held out from its fit."
    )


def _where_risks_hold(description: Values, metrics: Values) -> str:
    prevalence = description.get("prevalence")
    if not prevalence:
        return (
            "This holds for a mix of lesions like the one measured: where malignant lesions are rarer, the true risk "
            "is lower than the one stated."
        )
    text = (
        f"The risk of malignancy is stated as for a place where {number(prevalence['holds_at'])} of the photographs "
        "given are of malignant lesions"
    )
    if prevalence["stated"] is None:
        text += (
            f" (in the validation data {number(prevalence['data'])}; training makes more of rare diagnoses than they "
            "are in number)"
            if prevalence["holds_at"] > prevalence["data"]
            else f" (in the validation data {number(prevalence['data'])})"
        )
    if metrics.get("mean_risk") is not None:
        share = metrics["malignant"] / metrics["n"]
        text += (
            f"; on the photographs measured it is {number(metrics['mean_risk'])} on average, and {number(share)} are "
            "malignant"
        )
    return (
        f"{text}. Where malignant lesions are rarer, the true risk is lower. State the share that your clinic sees "
        "(`--prevalence`, or `DERM_PREVALENCE`), and risks, probabilities and thresholds move to it by Bayes' rule; "
        "the same photographs are referred."
    )


def plausible_section(description: Values) -> str:
    """Returns what sets of plausible diagnoses promise, and what they gave; nothing where the model has none."""
    conformal = description.get("conformal")
    if not conformal:
        return ""
    promise = (
        "Beside the probabilities stand the diagnoses that cannot be ruled out: a set made to hold the truth for "
        f"{100 * conformal['level']:.0f} of 100 lesions of each diagnosis, whatever the mix of lesions "
        f"({cell(conformal['method'])}; Ding et al., arXiv 2306.09335)."
    )
    modes = (("Photograph alone", conformal["photograph"]), ("With the patient", conformal.get("context")))
    measured = [(title, sets["measured"]) for title, sets in modes if sets and sets["measured"]]
    if not measured:
        return f"## Plausible diagnoses\n\n{promise} They have not been measured yet."
    parts = ["## Plausible diagnoses", f"{promise} This is what the sets gave:"]
    codes = {code: None for _, found in measured for code in found["per_class"]}
    rows = [["**All**", *_set_cells([found for _, found in measured])]]
    rows += [
        [DIAGNOSES[code].name, *_set_cells([found["per_class"].get(code) for _, found in measured])]
        for code in codes
    ]
    header = [
        text for title, _ in measured for text in (f"{title}: truth in the set", "Diagnoses in the set, mean")
    ]
    parts.append(table(["Diagnosis", "Lesions", *header], rows))
    shares = " and ".join(f"{100 * found['single']:.0f} ({title.lower()})" for title, found in measured)
    parts.append(
        f"Of 100 sets, {shares} name one diagnosis alone. No range is given around a single probability."
    )
    return "\n\n".join(parts)


def _set_cells(of_modes: list[Values | None]) -> list[str]:
    lesions = next((str(found["lesions"]) for found in of_modes if found), "0")
    cells = [lesions]
    for found in of_modes:
        if found is None:
            cells += ["", ""]
        else:
            cells += [with_interval(found["coverage"], found["coverage_ci95"]), number(found["mean_size"])]
    return cells
