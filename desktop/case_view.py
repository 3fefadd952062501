"""What of the case list a window looks at, and how that is drawn. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from html import escape
from typing import Any

import gradio as gr

from desktop.case_forms import Form
from desktop.case_lesion_page import lesion_page
from desktop.case_list import CaseList
from desktop.case_page import cases_page
from desktop.markup import message, problem
from desktop.texts import say


@dataclass(frozen=True)
class CaseView:
    """Where a window is: in the list, searched and at a page, or at one lesion; and which form is open.

    Attributes:
        text, page: what was searched for, and which page of the list, from 0.
        lesion: the key of the one that is open; empty in the list.
        left, right: keys of its photographs that stand side by side; empty for the latest two.
        form: keep, new, edit, review, or empty.
        photograph: the key of the one that the review is about.
    """

    text: str = ""
    page: int = 0
    lesion: str = ""
    left: str = ""
    right: str = ""
    form: str = ""
    photograph: str = ""

    def at(self, lesion: str) -> CaseView:
        """Returns the view of one lesion; the list stays where it was."""
        return CaseView(text=self.text, page=self.page, lesion=lesion)

    def listed(self) -> CaseView:
        """Returns the view of the list."""
        return CaseView(text=self.text, page=self.page)

    def closed(self) -> CaseView:
        """Returns the view without a form."""
        return replace(self, form="", photograph="")


@dataclass(frozen=True)
class CaseParts:
    """The parts of the tab that are drawn anew: what is said, the forms, the list and the lesion."""

    said: gr.HTML
    keep: Form
    named: Form
    review: Form
    listing: gr.Column
    listed: gr.HTML
    opened: gr.Column
    shown: gr.HTML
    view: gr.State

    @property
    def all(self) -> list[Any]:
        """Every part that `draw` may change."""
        forms = [part for form in (self.keep, self.named, self.review) for part in (form.column, form.head)]
        fields = [*self.keep.fields, *self.named.fields, *self.review.fields]
        return [self.said, *forms, *fields, self.listing, self.listed, self.opened, self.shown, self.view]

    def draw(
        self, cases: CaseList, view: CaseView, *, can_add: bool = False, said: str = "", bad: str = ""
    ) -> dict[Any, Any]:
        """Returns how each part is changed for a view.

        Args:
            cases: the case list.
            view: where the window is; a lesion that is gone leads back to the list.
            can_add: whether there is a present picture that could be added to a lesion.
            said, bad: what was done, or what went wrong, in one sentence.
        """
        lesion = cases.lesion(view.lesion) if view.lesion else None
        if view.lesion and lesion is None:
            view, bad = view.listed(), bad or say("case-gone")
        words = problem(bad) if bad else message(said) if said else ""
        changed: dict[Any, Any] = {
            self.said: gr.update(value=words, visible=bool(words)),
            self.keep.column: gr.update(visible=view.form == "keep"),
            self.named.column: gr.update(visible=view.form in ("new", "edit")),
            self.review.column: gr.update(visible=view.form == "review"),
            self.listing: gr.update(visible=lesion is None and not view.form),
            self.opened: gr.update(visible=lesion is not None and not view.form),
            self.view: view,
        }
        if lesion is None:
            changed[self.listed] = cases_page(cases, cases.page(view.text, view.page), view.text)
            changed[self.shown] = ""
        elif not view.form:
            changed[self.shown] = lesion_page(
                cases, lesion, left=view.left, right=view.right, can_add=can_add
            )
        return changed

    def keep_open(self, cases: CaseList, file: str, lesion: str = "", site: str = "") -> dict[Any, Any]:
        """Returns how the form that keeps a picture begins: with the lesion that is chosen, or with a new one."""
        choices = [(say("case-keep-new"), ""), *cases.titles()]
        values = ["", "", site, "", ""]
        return {
            self.keep.head: _heading(say("case-keep-title"), say("case-keep-intro", file=file)),
            self.keep.fields[0]: gr.update(choices=choices, value=lesion),
            **dict(zip(self.keep.fields[1:], values, strict=True)),
        }

    def named_open(self, cases: CaseList, lesion: str = "") -> dict[Any, Any]:
        """Returns how the form of a lesion's name begins: with what the lesion is called, or empty for a new one."""
        row = cases.lesion(lesion) if lesion else None
        values = [row.patient, row.name, row.site, row.notes] if row else ["", "", "", ""]
        heading = say("case-edit-title") if row else say("case-new-title")
        return {self.named.head: _heading(heading), **dict(zip(self.named.fields, values, strict=True))}

    def review_open(self, day: str, diagnosis: str | None) -> dict[Any, Any]:
        """Returns how the form of a confirmed diagnosis begins."""
        fields = dict(zip(self.review.fields, (diagnosis, None, ""), strict=True))
        return {self.review.head: _heading(say("case-review-title", day=day)), **fields}


def _heading(title: str, words: str = "") -> str:
    more = f'<p class="small muted">{escape(words)}</p>' if words else ""
    return f"<h2>{escape(title)}</h2>{more}"
