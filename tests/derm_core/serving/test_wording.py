"""Shares and lists of diagnoses as people read them."""

from __future__ import annotations

import pytest

from derm_core.serving.wording import percent, percents_apart, plausible_words


@pytest.mark.parametrize(
    ("share", "written"),
    [(0.0, "<1%"), (0.0099, "<1%"), (0.01, "1%"), (0.5, "50%"), (0.99, "99%"), (1.0, ">99%")],
)
def test_no_share_is_written_as_none_or_all(share: float, written: str) -> None:
    assert percent(share) == written


@pytest.mark.parametrize(
    ("share", "other", "written"),
    [
        (0.3, 0.2, ("30%", "20%")),
        (0.161, 0.163, ("16.1%", "16.3%")),
        (0.16111, 0.16114, ("16.111%", "16.114%")),
        (0.2, 0.2, ("20%", "20%")),
        (0.995, 0.999, ("99.5%", "99.9%")),
    ],
)
def test_two_shares_are_told_apart(share: float, other: float, written: tuple[str, str]) -> None:
    assert percents_apart(share, other) == written


def test_what_cannot_be_ruled_out_is_named_with_how_often_that_holds() -> None:
    assert plausible_words(["mel", "nv", "wart"], 0.95) == (
        "Cannot be ruled out: melanoma, melanocytic naevus, wart.",
        "Of lesions of each diagnosis, 95% had theirs in such a list.",
    )


def test_a_list_that_nobody_measured_promises_nothing_and_none_says_nothing() -> None:
    assert plausible_words(["mel"], None) == ("Cannot be ruled out: melanoma.", "")
    assert plausible_words([], 0.95) == ("", "")
