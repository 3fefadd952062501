"""The measured table of explanation methods for people: as Markdown and as plain rows. Measures nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from derm_core.explanation.methods import METHODS
from derm_core.serving.markdown import interval, number, table, with_interval
from derm_core.serving.sanity_checks import SHUFFLED_LABELS

_BASELINE_TITLES = {"centre": "a bell in the middle", "uniform": "the same everywhere"}
_COLUMNS = {
    "energy": "energy inside the lesion",
    "pointing": "peak inside the lesion",
    "deletion": "deletion (low is good)",
    "insertion": "insertion (high is good)",
}


def method_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Returns header and cells: a row a method, and one for each map that knows nothing of the picture.

    Args:
        figures: as measure_methods returns them.
    """
    header = ["method", *_COLUMNS.values(), "beats the bell", "time, in predictions"]
    rows = []
    for name, entry in figures["methods"].items():
        cells = [with_interval(entry[key], entry["ci95"][key]) for key in _COLUMNS]
        baseline = _BASELINE_TITLES.get(name)
        rows.append(
            [
                baseline or METHODS[name].title,
                *cells,
                "" if baseline else _beats(entry["energy_beyond_centre"]),
                "" if baseline else number(entry["predictions"]),
            ]
        )
    return header, rows


def sanity_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Returns header and cells: a row a method, a column a step, "rank correlation / SSIM"; no rows without checks."""
    sanity = figures.get("sanity", {})
    steps = list(next(iter(sanity.values()), {}))
    rows = [
        [METHODS[name].title, *(_likeness(entry[step]) for step in steps)] for name, entry in sanity.items()
    ]
    return ["method", *(step if step == SHUFFLED_LABELS else f"{step} shuffled" for step in steps)], rows


def map_stability_rows(figures: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Returns header and cells: a row a method, a column a change of the photograph; no rows where not measured."""
    stability = figures.get("map_stability", {})
    changes = list(next(iter(stability.values()), {}))
    rows = [
        [METHODS[name].title, *(number(entry[change]) for change in changes)]
        for name, entry in stability.items()
    ]
    return ["heatmap kept when", *changes], rows


def stability_rows(stability: Mapping[str, Any]) -> tuple[list[str], list[list[str]]]:
    """Returns header and cells: a row for each change of the photograph, as measure_stability returns them."""
    rows = [
        [name, *(with_interval(entry[key], entry["ci95"][key]) for key in ("top", "advice"))]
        for name, entry in stability.items()
    ]
    return ["photograph", "another diagnosis first", "another advice"], rows


def explanations_markdown(figures: Mapping[str, Any]) -> str:
    """Returns a section "Explanations" for a model card or a document.

    Args:
        figures: as measure_methods returns them; with `stability` where that was measured, and with `data` {name,
            split}.
    """
    data = figures["data"]
    parts = [
        "## Explanations",
        f"Measured on {figures['n']} photographs of {figures['lesions']} lesions (split {data['split']} of "
        f"{data['name']}) with experts' outlines, for the most probable diagnosis; means with 95% intervals over "
        "lesions. Lesions lie in the middle of their photographs: a method that does not beat a bell drawn there has "
        "not shown that it looks.",
        table(*method_rows(figures)),
    ]
    if figures.get("sanity"):
        parts += [
            f"Sanity checks on {figures['sanity_photographs']} photographs: rank correlation / structural similarity "
            "with the map of the network as it is, after parts of it forgot what they learnt, from the last one to "
            f"the first, and after its last layer learnt shuffled labels ({number(figures['shuffled_labels_learnt'])} "
            "of them). An honest map changes: low is good.",
            table(*sanity_rows(figures)),
            "How far heatmaps stay where they are as the same photographs are changed, in rank correlation (high is "
            "good):",
            table(*map_stability_rows(figures)),
        ]
    if figures.get("stability"):
        parts += [
            "How often the answer is another one where the lesion is the same:",
            table(*stability_rows(figures["stability"])),
        ]
    return "\n\n".join(parts) + "\n"


def _beats(difference: Sequence[float] | None) -> str:
    if difference is None:
        return "unknown"
    verdict = "yes" if difference[0] > 0 else "no" if difference[1] < 0 else "not shown"
    return f"{verdict} ({interval(difference)})"


def _likeness(entry: Mapping[str, float]) -> str:
    return f"{number(entry['rank_correlation'])} / {number(entry['ssim'])}"
