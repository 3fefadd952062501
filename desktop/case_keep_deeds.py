"""What is done to keep a picture in the case list: where it goes is asked, then it is kept. Makes no page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from desktop.answering import answer_picture
from desktop.blocks import asked, number
from desktop.case_deed import Changes, Deeds, safely
from desktop.case_forms import day_of, named_of, note_of
from desktop.case_keeping import kept_of, key_of
from desktop.case_view import CaseView
from desktop.texts import say

if TYPE_CHECKING:
    from desktop.held_picture import HeldPicture


class KeepDeeds(Deeds):
    """Keeping the present picture, or that of a folder's row."""

    def keep_present(self, view: CaseView, held: Any, event: gr.EventData) -> Changes:
        """Asks where the present picture is to be kept."""
        if asked(event)[0] != "keep" or held is None:
            return {}
        return self._pressed(lambda view, held, _: self._open_keep(view.listed(), held), view, held, "")

    def keep_row(self, view: CaseView, _held: Any, event: gr.EventData) -> Changes:
        """Asks where the picture of a folder's row is to be kept, after answering it once more."""
        word, value = asked(event)
        return self._pressed(self._answer_row, view, None, value) if word == "keep" else {}

    @safely
    def keep(
        self, view: CaseView, held: HeldPicture | None, keeping: HeldPicture | None, lesion: str, *fields: Any
    ) -> Changes:
        """Keeps a picture with a lesion that is there, or with a new one."""
        if keeping is None:
            return self._drawn(view.closed(), held)
        *names, taken, note = fields
        day, told = day_of(taken), note_of(note)
        named = None if lesion else named_of(*names)
        done = {self._keeping: None}
        if (there := self._cases.photograph(key_of(keeping))) is not None:
            return self._drawn(view.at(there.lesion.key), held, said=say("case-kept-already")) | done
        photograph = kept_of(keeping, taken_on=day, note=told)
        key = lesion if named is None else self._cases.add_lesion(named)
        try:
            self._cases.keep(key, photograph)
        except BaseException:
            if named is not None:
                self._cases.delete_lesion(key)
            raise
        return self._drawn(view.at(key), held, said=say("case-kept")) | done

    def _open_keep(self, view: CaseView, held: HeldPicture | None) -> Changes:
        if held is None:
            return {}
        opened = replace(view, form="keep")
        return {
            **self._drawn(opened, held),
            **self._parts.keep_open(self._cases, held.name, view.lesion, held.patient.site),
            self._keeping: held,
            self._tabs: gr.Tabs(selected="cases"),
        }

    def _answer_row(self, view: CaseView, _held: Any, value: str) -> Changes:
        run = self._desk.run
        place = number(value)
        if run is None or place not in run.places():
            return {}
        (row,) = run.rows([place])
        path = Path(row["file"])
        return self._open_keep(view.listed(), answer_picture(self._desk.predictor, path, path.name)[1])
