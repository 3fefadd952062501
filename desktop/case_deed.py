"""What every deed at the tab of the case list rests on: where it is drawn, and how a fault becomes a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any

import gradio as gr

from derm_core import DermError
from desktop.case_keeping import key_of
from desktop.case_list import CaseList
from desktop.case_opening import case_list
from desktop.case_view import CaseParts, CaseView
from desktop.markup import message, problem
from desktop.texts import say

if TYPE_CHECKING:
    from desktop.desk import Desk
    from desktop.held_picture import HeldPicture

log = logging.getLogger(__name__)

Changes = dict[Any, Any]
"""How the page changes: its part -> what becomes of it."""
Deed = Callable[..., Changes]


def safely(deed: Deed) -> Deed:
    """Lets what goes wrong be one sentence on the page, which stays as it is."""

    @wraps(deed)
    def done(self: Deeds, *arguments: Any) -> Changes:
        try:
            return deed(self, *arguments)
        except DermError as err:
            return self.complain(str(err))
        except LookupError:
            return self.complain(say("case-lesion-gone"))
        except OSError as err:
            log.exception("The case list could not write")
            return self.complain(say("case-no-room", reason=err.strerror or str(err)))
        except Exception:
            log.exception("Something went wrong in the case list")
            return self.complain(say("case-failed"))

    return done


class Deeds:
    """The deeds of one page.

    Args:
        desk: what is shared.
        parts: what is drawn.
        keeping: the state with the picture that is about to be kept.
        tabs: where the tab of the case list is chosen.
        taken: holds the link to a file that the browser takes along.
        search: the field of the search.
    """

    def __init__(
        self,
        desk: Desk,
        parts: CaseParts,
        keeping: gr.State,
        tabs: gr.Tabs,
        taken: gr.HTML,
        search: gr.Textbox,
    ) -> None:
        self._desk, self._parts, self._keeping = desk, parts, keeping
        self._tabs, self._taken, self._search = tabs, taken, search

    def complain(self, sentence: str) -> Changes:
        """Says what went wrong."""
        return {self._parts.said: gr.update(value=problem(sentence), visible=True)}

    @property
    def _cases(self) -> CaseList:
        return case_list()

    def _drawn(self, view: CaseView, held: HeldPicture | None, *, said: str = "", bad: str = "") -> Changes:
        can_add = held is not None and self._cases.photograph(key_of(held)) is None
        return self._parts.draw(self._cases, view, can_add=can_add, said=said, bad=bad)

    @safely
    def _pressed(self, deed: Deed, view: CaseView, held: HeldPicture | None, value: str) -> Changes:
        return deed(view, held, value)

    def _told(self, sentence: str) -> Changes:
        return {self._parts.said: gr.update(value=message(sentence), visible=True)}
