"""What is imported or loaded to stay."""

from __future__ import annotations

import gc

import pytest

from derm_core.lasting import lasting


def test_the_search_for_garbage_goes_on_afterwards() -> None:
    assert gc.isenabled()
    with lasting():
        assert not gc.isenabled()
    assert gc.isenabled()


def test_the_search_for_garbage_goes_on_when_loading_failed() -> None:
    with pytest.raises(StopIteration), lasting(forever=True):
        next(iter(()))
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_who_collects_nothing_is_left_so() -> None:
    gc.disable()
    try:
        with lasting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_what_stays_forever_is_never_searched_again() -> None:
    try:
        with lasting(forever=True):
            kept: list[object] = []
            kept.append(kept)
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
