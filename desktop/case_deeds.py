"""What is done at the tab of the case list; each deed returns how the page changes. Makes no part of the page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import gradio as gr

from desktop.blocks import asked, link_to, number
from desktop.case_deed import Changes, safely
from desktop.case_entries import noted
from desktop.case_exchange import export_cases, export_dataset, import_cases
from desktop.case_keep_deeds import KeepDeeds
from desktop.case_lesion_deeds import LesionDeeds
from desktop.case_report import lesion_pdf
from desktop.case_view import CaseView
from desktop.texts import say, say_count
from desktop.uploads import download_folder
from desktop.written_path import checked_file, checked_path

if TYPE_CHECKING:
    from desktop.held_picture import HeldPicture

_EXAMPLE_FILE = "/media/usb/clinic.dermcases"
_EXAMPLE_FOLDER = "/home/mira/datasets/clinic-2026"


class CaseDeeds(KeepDeeds, LesionDeeds):
    """All deeds of one page."""

    @safely
    def look(self, view: CaseView, held: HeldPicture | None) -> Changes:
        """Shows where the window is, as it stands now."""
        changed = self._drawn(view, held)
        if changed[self._parts.view] != view:
            return changed
        # What is open stays open: a form may have been opened since this was asked.
        return {part: changed[part] for part in (self._parts.listed, self._parts.shown) if part in changed}

    @safely
    def search(self, view: CaseView, text: str | None) -> Changes:
        """Lists what is called like this."""
        return self._drawn(replace(view.listed(), text=(text or "").strip()[:200], page=0), None)

    @safely
    def open_new(self, view: CaseView, held: HeldPicture | None) -> Changes:
        """Asks what a new lesion is called."""
        return self._drawn(replace(view.listed(), form="new"), held) | self._parts.named_open(self._cases)

    @safely
    def close_form(self, view: CaseView, held: HeldPicture | None) -> Changes:
        """Goes back to where the form was opened."""
        return self._drawn(view.closed(), held) | {self._keeping: None}

    # Gradio reads this hint to see who wants the event, so it names nothing that is imported for types alone.
    def press(self, view: CaseView, held: Any, event: gr.EventData) -> Changes:
        """Does what a button in the list or in a lesion says."""
        word, value = asked(event)
        deeds: dict[str, Callable[[CaseView, Any, str], Changes]] = {
            "open": lambda view, held, key: self._drawn(view.at(key), held),
            "list": lambda view, held, _: self._drawn(view.listed(), held),
            "page": lambda view, held, page: self._drawn(replace(view, page=number(page)), held),
            "all": lambda view, held, _: self._drawn(CaseView(), held) | {self._search: ""},
            "new": lambda view, held, _: self.open_new(view, held),
            "picture": lambda view, held, _: {self._tabs: gr.Tabs(selected="picture")},
            "left": lambda view, held, key: self._drawn(replace(view, left=key), held),
            "right": lambda view, held, key: self._drawn(replace(view, right=key), held),
            "edit": self._open_edit,
            "add": lambda view, held, _: self._open_keep(view, held),
            "report": lambda view, held, _: self._report(view, held),
            "export": lambda view, held, _: self._export([view.lesion]),
            "delete": self._delete_lesion,
            "confirm": self._open_review,
            "bad": lambda view, held, key: self._review(view, held, key, noted("bad-picture")),
            "withdraw": lambda view, held, key: self._review(view, held, key, noted("withdrawn")),
            "drop": self._delete_photograph,
        }
        if word not in deeds:
            return {}
        return self._pressed(deeds[word], view, held, value)

    @safely
    def export_all(self, view: CaseView, held: HeldPicture | None) -> Changes:
        """Lets the browser take all lesions along."""
        if not self._cases.titles():
            return self._drawn(view, held, said=say("case-exported-none"))
        return self._export(None)

    @safely
    def take_in(self, view: CaseView, held: HeldPicture | None, written: str | None) -> Changes:
        """Takes a case file in."""
        counts = import_cases(self._cases, checked_file(written, _EXAMPLE_FILE))
        return self._drawn(view.listed(), held, said=" ".join(counts.sentences))

    @safely
    def write_dataset(self, view: CaseView, held: HeldPicture | None, written: str | None) -> Changes:
        """Writes what is confirmed as a dataset folder."""
        folder = checked_path(written, _EXAMPLE_FOLDER)
        dataset = export_dataset(self._cases, folder)
        lesions = say_count("case-total", len(set(dataset.table["lesion_id"])))
        pictures = say_count("case-pictures", len(dataset))
        done = say("case-dataset-done", folder=str(folder), pictures=pictures, lesions=lesions)
        return self._drawn(view, held, said=done)

    def _report(self, view: CaseView, held: HeldPicture | None) -> Changes:
        lesion = self._cases.lesion(view.lesion)
        if lesion is None:
            return self._drawn(view, held)
        out = download_folder() / "dermatrace-lesion.pdf"
        out.write_bytes(lesion_pdf(self._cases, lesion))
        return {self._taken: link_to(out), **self._told(say("case-reported", file=out.name))}

    def _export(self, keys: list[str] | None) -> Changes:
        out = download_folder() / "dermatrace-cases.dermcases"
        count = export_cases(self._cases, out, keys)
        said = say("case-exported", file=out.name, pictures=say_count("case-pictures", count))
        return {self._taken: link_to(out), **self._told(said)}
