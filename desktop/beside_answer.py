"""What stands under an answer: other explanations, similar confirmed cases. As HTML; knows no Gradio."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

from derm_core import DIAGNOSES, percent
from desktop.markup import button, card
from desktop.pictures import heatmap_address, photo_address
from desktop.texts import say
from desktop.thumbnails import jpeg_address

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from derm_core import ExplanationMethod, SimilarCase, SimilarCases
    from desktop.held_picture import HeldPicture


def methods_card(
    methods: Sequence[ExplanationMethod] | None,
    chosen: str = "",
    held: HeldPicture | None = None,
    explained: tuple[str, NDArray[np.float32]] | None = None,
) -> str:
    """Returns the other explanations.

    Args:
        methods: what there is; None where that was not measured yet.
        chosen: the name of the one that is shown.
        held: the picture that it explains.
        explained: the class and its heatmap.
    """
    body = f'<p class="small muted">{say("more-methods-intro")}</p>'
    if methods is None:
        return card(say("more-methods"), body + f"<div>{button('methods', say('more-methods-show'))}</div>")
    if not methods:
        return card(say("more-methods"), f'<p class="small muted">{say("more-methods-none")}</p>')
    chips = "".join(
        f'<button class="chip" type="button" data-do="method:{escape(method.name)}" '
        f'aria-pressed="{str(method.name == chosen).lower()}">{escape(method.title)}</button>'
        for method in methods
    )
    body += f'<div class="methods" role="group" aria-label="{say("more-methods")}">{chips}</div>'
    shown = next((method for method in methods if method.name == chosen), None)
    if shown is not None and held is not None and explained is not None:
        code, heatmap = explained
        known = DIAGNOSES.get(code)
        words = say("more-method-shown", name=known.name if known else code, title=shown.title)
        body += (
            '<figure class="viewer viewer-small"><div class="photo">'
            f'<img src="{photo_address(held.photograph())}" alt="">'
            f'<img class="map" src="{heatmap_address(heatmap)}" alt="{escape(words)}"></div>'
            f'<figcaption class="viewer-words"><b>{escape(words)}</b>'
            f'<span class="small muted">{escape(shown.description)}</span></figcaption></figure>'
        )
    return card(say("more-methods"), body)


def similar_card(cases: Sequence[SimilarCase], index: SimilarCases) -> str:
    """Returns the confirmed cases that are most like a picture, with how alike they are and how they were confirmed."""
    rows = "".join(_case(case) for case in cases)
    intro = say("more-similar-intro", count=f"{len(index):,}", data=index.data.get("name", ""))
    return card(
        say("more-similar"), f'<p class="small muted">{escape(intro)}</p><ul class="similar">{rows}</ul>'
    )


def _case(case: SimilarCase) -> str:
    known = DIAGNOSES.get(case.diagnosis)
    image = f'<img class="thumb" src="{jpeg_address(case.thumbnail)}" alt="">' if case.thumbnail else ""
    years = say("years", count=f"{case.age:g}") if case.age is not None else ""
    patient = ", ".join(part for part in (years, case.sex, case.site) if part)
    how = say("more-similar-confirmed", how=case.confirmed_by) if case.confirmed_by else ""
    likeness = say("more-similar-likeness", share=percent(max(0.0, case.similarity)))
    return (
        f"<li>{image}<span><b>{escape(known.name if known else case.diagnosis)}</b>"
        f"<small>{escape(how)}</small><small>{escape(patient)}</small><small>{escape(likeness)}</small></span></li>"
    )
