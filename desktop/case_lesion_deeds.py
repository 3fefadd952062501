"""What is done with one lesion: its name, what became known of its photographs, and deleting. Makes no page."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from desktop.case_deed import Changes, Deeds, safely
from desktop.case_forms import named_of, review_of
from desktop.case_page import day_words
from desktop.case_reading import title
from desktop.case_view import CaseView
from desktop.texts import say, say_count

if TYPE_CHECKING:
    from derm_core import CaseReview
    from desktop.held_picture import HeldPicture


class LesionDeeds(Deeds):
    """Naming a lesion, confirming and deleting."""

    @safely
    def name(self, view: CaseView, held: HeldPicture | None, *fields: Any) -> Changes:
        """Saves what a lesion is called, or makes a new one."""
        named = named_of(*fields)
        if view.form == "edit":
            self._cases.rename(view.lesion, named)
            key = view.lesion
        else:
            key = self._cases.add_lesion(named)
        return self._drawn(view.at(key), held, said=say("case-saved"))

    @safely
    def confirm(self, view: CaseView, held: HeldPicture | None, *fields: Any) -> Changes:
        """Records a confirmed diagnosis."""
        return self._review(view, held, view.photograph, review_of(*fields))

    def _open_edit(self, view: CaseView, held: HeldPicture | None, _value: str) -> Changes:
        return self._drawn(replace(view, form="edit"), held) | self._parts.named_open(
            self._cases, view.lesion
        )

    def _open_review(self, view: CaseView, held: HeldPicture | None, key: str) -> Changes:
        photograph = self._cases.photograph(key)
        if photograph is None:
            return self._drawn(view, held)
        known = photograph.review
        opened = replace(view, form="review", photograph=key)
        return self._drawn(opened, held) | self._parts.review_open(
            day_words(photograph.day), known.diagnosis or None if known else None
        )

    def _review(self, view: CaseView, held: HeldPicture | None, key: str, new: CaseReview) -> Changes:
        said = {
            "confirmed": say("case-reviewed"),
            "bad-picture": say("case-marked"),
            "withdrawn": say("case-taken-back"),
        }
        added = self._cases.review(key, new)
        return self._drawn(view.closed(), held, said=said[new.verdict] if added else "")

    def _delete_photograph(self, view: CaseView, held: HeldPicture | None, key: str) -> Changes:
        said = say("case-deleted-picture") if self._cases.delete_photograph(key) else ""
        return self._drawn(view.at(view.lesion), held, said=said)

    def _delete_lesion(self, view: CaseView, held: HeldPicture | None, _value: str) -> Changes:
        lesion = self._cases.lesion(view.lesion)
        count = self._cases.delete_lesion(view.lesion)
        if lesion is None or count is None:
            return self._drawn(view.listed(), held)
        pictures = say_count("case-pictures", count)
        said = (
            say("case-deleted", name=title(lesion), pictures=pictures)
            if count
            else say("case-deleted-empty", name=title(lesion))
        )
        return self._drawn(view.listed(), held, said=said)
