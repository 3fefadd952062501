"""The models and their comparison as HTML, with the classes of the website. Loads no model, and knows no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from derm_core import DIAGNOSES, InvalidImageError, percent
from desktop.markup import badge, button, icon, without_path
from desktop.texts import say, say_count
from desktop.thumbnails import thumbnail_address

if TYPE_CHECKING:
    from derm_core import BundleDescription, Prediction
    from desktop.models import Compared, KnownModel


def models_table(models: Sequence[KnownModel], chosen_sha256: str) -> str:
    """Returns a row for each model: what it is, how it was measured, and what can be done with it."""
    heads = "".join(
        f'<th scope="col">{say(f"models-column-{name}")}</th>' for name in ("model", "measured", "actions")
    )
    body = "".join(_row(number, model, chosen_sha256) for number, model in enumerate(models))
    return (
        '<div class="card card-flush"><div class="table-wrap"><table class="table table-cards table-models">'
        f'<caption class="visually-hidden">{say("models-title")}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div></div>"
    )


def comparison_table(rows: Sequence[Compared], titles: tuple[str, str]) -> str:
    """Returns what two models say of the same pictures, side by side; those of which they advise differently first."""
    both = [row for row in rows if not isinstance(row.first, InvalidImageError)]
    same = sum(not row.differs for row in both)
    summary = say("compare-agree", same=f"{same:,}", count=f"{len(both):,}")
    if len(both) < len(rows):
        summary += " " + say_count("compare-unread", len(rows) - len(both))
    heads = "".join(f'<th scope="col">{escape(title)}</th>' for title in titles)
    body = "".join(_compared(row, titles) for row in sorted(rows, key=lambda row: not row.differs))
    return (
        f'<section class="card"><div class="card-head"><h2>{summary}</h2></div></section>'
        '<div class="card card-flush"><div class="table-wrap"><table class="table table-cards">'
        f'<caption class="visually-hidden">{say("compare-title")}</caption><thead><tr>'
        f'<th scope="col"><span class="visually-hidden">{say("folder-column-picture")}</span></th>'
        f'<th scope="col">{say("folder-column-file")}</th>{heads}</tr></thead><tbody>{body}</tbody></table></div></div>'
    )


def model_title(model: KnownModel) -> str:
    """Returns what a model is called where one is chosen: its reference, and its own name and version."""
    if model.description is None:
        return model.reference
    return f"{model.reference} ({model.description.name} {model.description.version})"


def _row(number: int, model: KnownModel, chosen_sha256: str) -> str:
    name = escape(model.reference)
    description = model.description
    if description is None:
        return (
            f'<tr data-bad><th scope="row" data-cell="title">{name}</th><td colspan="2" data-cell="wide">'
            f"{icon('bad')} {escape(model.problem)}</td></tr>"
        )
    chosen = description.weights_sha256 == chosen_sha256
    marks = badge("plain", say("models-chosen"), "ok") if chosen else ""
    classes = ", ".join(
        DIAGNOSES[code].name.lower() if code in DIAGNOSES else code for code in description.classes
    )
    about = (
        f"{escape(description.name)} {escape(description.version)} · {escape(description.architecture)} · "
        f'<span class="id" title="SHA-256 {escape(description.weights_sha256)}">'
        f"{escape(description.weights_sha256[:8])}</span>"
    )
    use = "" if chosen else button(f"use:{number}", say("models-use"))
    actions = (
        use + button(f"card:{number}", say("models-card")) + button(f"export:{number}", say("models-export"))
    )
    return (
        f'<tr><th scope="row" data-cell="title"><span class="model-name">{name} {marks}</span>'
        f"<small>{about}</small><small>{escape(classes)}</small></th>"
        f'<td data-cell="wide">{_measured(description)}</td>'
        f'<td data-cell="actions"><div class="row-actions">{actions}</div></td></tr>'
    )


def _measured(description: BundleDescription) -> str:
    point = description.operating_point
    if point.sensitivity is None or point.specificity is None:
        return f'<span class="muted">{say("models-unmeasured")}</span>'
    words = say("models-measured", sensitivity=_figure(point.sensitivity, point.sensitivity_ci95),
                specificity=_figure(point.specificity, point.specificity_ci95))  # fmt: skip
    at = say("models-point", point=percent(point.threshold))
    lesions = say("models-lesions", count=f"{point.lesions:,}") if point.lesions else ""
    return f"{words}<small>{at}{' · ' if lesions else ''}{lesions}</small>"


def _figure(share: float, ends: tuple[float, float] | None) -> str:
    return percent(share) + (f" ({100 * ends[0]:.0f}–{100 * ends[1]:.0f})" if ends else "")


def _compared(row: Compared, titles: tuple[str, str]) -> str:
    name = escape(row.name)
    if isinstance(row.first, InvalidImageError):
        none = f'<span class="thumb thumb-none">{icon("file")}</span>'
        sentence = without_path(str(row.first), row.path)
        return (
            f'<tr data-bad><td data-cell="thumb">{none}</td><th scope="row" data-cell="title">'
            f'<span class="id">{name}</span></th>'
            f'<td colspan="2" data-cell="wide">{escape(sentence)}</td></tr>'
        )
    address = thumbnail_address(row.path)
    image = f'<img class="thumb" src="{address}" alt="">' if address else ""
    differs = badge("plain", say("compare-differs"), "bad") if row.differs else ""
    return (
        f'<tr><td data-cell="thumb">{image}</td><th scope="row" data-cell="title"><span class="id">{name}</span> '
        f'{differs}</th><td data-cell="wide" data-label="{escape(titles[0])}">{_said(row.first)}</td>'
        f'<td data-cell="wide" data-label="{escape(titles[1])}">{_said(row.second)}</td></tr>'
    )


def _said(answer: Prediction | InvalidImageError) -> str:
    if isinstance(answer, InvalidImageError):
        return escape(str(answer))
    label = badge(answer.advice, say(f"advice-{answer.advice}"), answer.advice)
    if answer.advice == "unsure":
        return label
    known = DIAGNOSES.get(answer.top)
    risk = say(
        "compare-risk", risk=percent(answer.malignant_probability), point=percent(answer.operating_point)
    )
    return f"{label}<small>{escape(risk)}</small><small>{escape(known.name if known else answer.top)}</small>"
