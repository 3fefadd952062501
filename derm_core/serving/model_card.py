"""The model card: what a model.json says, in words and tables that a clinician can read. Measures nothing.

Every figure comes from the description; sections follow Mitchell et al., "Model Cards for Model Reporting" (arXiv
1810.03993).
"""

from __future__ import annotations

import re

from derm_core.diagnoses import DIAGNOSES, NOTICE
from derm_core.evaluation.malignancy import SMALLEST_GROUP
from derm_core.serving.card_advice import operating_points_section, silence_section
from derm_core.serving.card_certainty import calibration_section, plausible_section
from derm_core.serving.card_figures import (
    Values,
    classes_section,
    command_block,
    differences_text,
    figures_section,
    subgroups_section,
)
from derm_core.serving.markdown import bullets, cell

_COMMAND = re.compile(r"command( \d+)?")
_KNOWN_OF_DATA = {
    "ham10000": "The photographs of HAM10000 come almost all from two centres, in Austria and in Australia, and show "
    "mostly light skin. On darker skin, in other places and with other cameras it may do worse than the figures say; "
    "by how much is not known here (Tschandl, Rosendahl and Kittler, Sci Data 5:180161, 2018).",
}


def write_model_card(description: Values) -> str:
    """Returns the text of MODEL_CARD.md.

    Args:
        description: the contents of a model.json. Beyond what a bundle needs, `data` may have `picture_size` ([width,
            height] in pixels of the photographs trained on) and `limits` (a list of sentences).
    """
    metrics = description.get("metrics") or {}
    sections = [
        _head(description),
        _intended_use(description),
        figures_section(description, metrics),
        operating_points_section(description, metrics),
        calibration_section(description, metrics),
        plausible_section(description),
        silence_section(metrics),
        classes_section(metrics),
        subgroups_section(metrics),
        differences_text(metrics),
        _data(description),
        _limits(description, metrics),
        _reproduction(description, metrics),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _head(description: Values) -> str:
    digest = description["weights_sha256"]
    return "\n\n".join(
        [
            f"# {cell(description['name'])} {cell(description['version'])}",
            f"**{NOTICE}**",
            f"A network of the architecture {description['architecture']} that looks at one dermoscopic photograph and "
            f"gives probabilities over {len(description['classes'])} answers:",
            "\n".join(
                f"- **{DIAGNOSES[code].name}** (`{code}`, {'malignant' if DIAGNOSES[code].malignant else 'benign'}): "
                f"{DIAGNOSES[code].description}"
                for code in description["classes"]
            ),
            *([f"Weights: SHA-256 `{digest}`."] if digest else []),
        ]
    )


def _intended_use(description: Values) -> str:
    return (
        "## What it is for\n\n"
        "For clinicians and researchers who look at dermoscopic photographs of single skin lesions. It gives a second "
        "opinion: how likely each diagnosis is, how likely the lesion is malignant, and what in the photograph the "
        "answer rests on. The clinician decides.\n\n"
        "It is not for use without a clinician, for photographs taken without a dermatoscope, for nails and mucosa, or "
        f"for anything but its {len(description['classes'])} answers. A low risk is no reason to leave out a biopsy "
        "that the clinician would take."
    )


def _data(description: Values) -> str:
    data = description.get("data") or {}
    lines = [
        f"- Trained on: {cell(data.get('name', 'not stated'))}",
        f"- Licence of the data: {cell(data.get('licence') or 'not stated')}",
        f"- Licence of the weights: {cell(description.get('licence') or 'not stated')}",
        f"- Origin: {cell(description.get('origin') or 'not stated')}",
    ]
    if fingerprint := data.get("fingerprint"):
        lines.append(f"- Fingerprint: `{fingerprint}`")
    counts = bullets(data.get("counts") or {})
    return "\n\n".join(["## Data and licence", "\n".join([*lines, *([counts] if counts else [])])])


def _limits(description: Values, metrics: Values) -> str:
    data = description.get("data") or {}
    name, seen = str(data.get("name", "")).lower(), description["preprocessing"]
    limits = [text for key, text in _KNOWN_OF_DATA.items() if key in name]
    shown = (
        f"Photographs are reduced to {seen['working_side']} pixels along the longer side and shown to the network at "
        f"{seen['image_size']} × {seen['image_size']}: finer structures are lost to it."
    )
    if picture := data.get("picture_size"):
        shown += f" It learnt from photographs of {picture[0]} × {picture[1]} pixels."
    limits.append(shown)
    limits.append(
        f"It knows {len(description['classes'])} answers and no other. Shown anything else, another disease or no "
        "lesion at all, it still spreads its probabilities over these."
    )
    rare = [
        f"{DIAGNOSES[code].name} ({entry['lesions']})"
        for code, entry in (metrics.get("per_class") or {}).items()
        if entry["lesions"] < SMALLEST_GROUP
    ]
    if rare:
        limits.append(
            f"Few lesions were there to measure some diagnoses on: {', '.join(rare)}. Read those with care."
        )
    patient = (
        "of the patient no more than age, sex and body site"
        if description.get("context")
        else "not the patient"
    )
    limits.append(
        f"It sees one photograph: {patient}, not the history, the other lesions or what has changed since last time."
    )
    if description.get("context"):
        limits.append(
            "How age, sex and body site go with the diagnoses was learnt from the same patients as all else. Where "
            "other patients are seen, it may mislead: leave them out, and the photograph alone is asked."
        )
    limits.append("The heatmap shows what the answer rests on. It is no outline of the lesion, and no proof.")
    limits += data.get("limits") or []
    return "## Limits\n\n" + "\n".join(f"- {text}" for text in limits)


def _reproduction(description: Values, metrics: Values) -> str:
    training = description.get("training") or {}
    made = {key: value for key, value in training.items() if _COMMAND.fullmatch(key)}
    about = {key: value for key, value in training.items() if key not in made}
    parts = ["## How to make it again"]
    if made:
        parts.append(
            "Training saw the training split alone. What was chosen, and every temperature and threshold, was chosen "
            "on the validation split; the test split was read once, after that."
        )
        commands = [_preparation(description.get("data") or {}), *made.values(), _selection(made)]
        parts.append("```\n" + "\n".join(str(command) for command in commands if command) + "\n```")
    parts.append(bullets(about))
    if metrics:
        data = metrics.get("data", {})
        parts.append(
            f"The figures were measured on data of the fingerprint `{data.get('fingerprint', 'not stated')}`, by the "
            f"weights `{metrics.get('model', {}).get('sha256', 'not stated')}`, with the seed "
            f"{metrics['bootstrap']['seed']}:"
        )
        parts.append(command_block(metrics))
    return "\n\n".join(part for part in parts if part)


def _preparation(data: Values) -> str:
    """Returns the command that splits the data as here; nothing where the shares were not noted."""
    split = data.get("split") or {}
    if not {"val", "test", "seed"} <= set(split):
        return ""
    kind = "ham10000" if "ham10000" in str(data.get("name", "")).lower() else "folder"
    shares = " ".join(f"--{name} {split[name]}" for name in ("val", "test", "seed"))
    return f"scripts/prepare_data.py {kind} SOURCE --out DATASET {shares}"


def _selection(made: Values) -> str:
    """Returns the command that made the bundle of one run; of several, `weights` says in words how they were joined."""
    runs = [
        found[1]
        for command in made.values()
        if (found := re.search(r"--out (\S+)", str(command))) is not None
    ]
    return f"scripts/select_model.py {runs[0]} --data DATASET --out BUNDLE" if len(runs) == 1 else ""
