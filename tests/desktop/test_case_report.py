"""A lesion on paper and over time: each visit with its risk and what was confirmed, drawn to scale."""

from __future__ import annotations

import io
import logging
import re
import threading
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from pypdf import PdfReader

from derm_core import ConfigError, Prediction
from desktop.case_chart import risk_chart
from desktop.case_entries import noted
from desktop.case_lesion_page import lesion_page
from desktop.case_list import CaseList
from desktop.case_opening import case_list, swept_case_list
from desktop.case_report import lesion_pdf
from desktop.case_schema import Lesion
from tests.derm_core.interchange.examples import ANSWER, REFUSED
from tests.desktop.test_case_list import SHOULDER, files, shot


@pytest.fixture
def cases(tmp_path: Path) -> CaseList:
    return CaseList(tmp_path / "cases")


def at_risk(risk: float, model: str = ANSWER.model_sha256) -> Prediction:
    return replace(ANSWER, malignant_probability=risk, model_sha256=model)


def followed(cases: CaseList) -> Lesion:
    """Four visits over two years: the first by another model, the third without an answer, the last confirmed."""
    key = cases.add_lesion(SHOULDER)
    for number, (day, prediction) in enumerate(
        [
            (date(2024, 11, 1), at_risk(0.05, "ab" * 32)),
            (date(2025, 11, 1), at_risk(0.125)),
            (date(2026, 5, 1), REFUSED),
            (date(2026, 11, 1), at_risk(0.75)),
        ]
    ):
        cases.keep(key, shot(number + 1, taken_on=day, prediction=prediction))
    cases.review(shot(4).key, noted("confirmed", "mel", "histopathology"))
    cases.review(shot(2).key, noted("bad-picture"))
    lesion = cases.lesion(key)
    assert lesion is not None
    return lesion


def test_the_report_has_each_visit_with_its_risk_and_what_was_confirmed(cases: CaseList) -> None:
    pages = [page.extract_text() for page in PdfReader(io.BytesIO(lesion_pdf(cases, followed(cases)))).pages]
    assert len(pages) == 2
    assert "P-0317, left shoulder" in pages[0]
    for words in ("1 Nov 2024", "1 Nov 2025", "1 May 2026", "1 Nov 2026", "75%", "Watch it."):
        assert words in pages[1]
    assert " ".join(pages[1].split()).count("Confirmed: Melanoma, by histopathology") == 1
    assert "Bad picture" not in pages[1]


def test_the_report_is_made_without_a_heatmap_that_is_gone_but_not_without_a_photograph(
    cases: CaseList,
) -> None:
    lesion = followed(cases)
    for file in cases.pictures.path(shot(4).key).parent.glob("*.png"):
        file.unlink()
    assert lesion_pdf(cases, lesion).startswith(b"%PDF")
    empty = cases.lesion(cases.add_lesion(SHOULDER))
    assert empty is not None
    with pytest.raises(ConfigError, match="Add a photograph to this lesion first"):
        lesion_pdf(cases, empty)


def test_risk_is_drawn_to_scale_over_time(cases: CaseList) -> None:
    lesion = followed(cases)
    chart = risk_chart(lesion.visits)
    dots = re.findall(r'<circle class="([\w-]+)" cx="([\d.]+)%" cy="([\d.]+)" r="6"/>', chart)
    assert [kind for kind, _, _ in dots] == ["dot-other", "dot", "dot"]
    first, second, last = (float(across) for _, across, _ in dots)
    assert second - first == pytest.approx(last - second, abs=0.1)
    heights = [float(down) for _, _, down in dots]
    assert heights == [190 - share * (190 - 22) for share in (0.05, 0.125, 0.75)]
    # Another model's point is joined to none, and what was not answered is a cross.
    assert chart.count('class="series"') == 1
    assert chart.count('<svg class="withheld"') == 1
    assert "1 Nov 2024 5%; 1 Nov 2025 12%; 1 Nov 2026 75%." in chart
    assert "style=" not in chart
    assert chart in lesion_page(cases, lesion)


def test_of_one_answered_visit_there_is_no_chart(cases: CaseList) -> None:
    visits = followed(cases).visits
    assert risk_chart(visits[1:3]) == ""
    same_day = [visits[1], visits[1]]
    assert 'cx="53.5%"' in risk_chart(same_day)


def test_what_deleted_photographs_left_is_swept_at_the_start_and_later_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    with swept_case_list():
        pass
    assert not (tmp_path / "home").exists(), "who follows no lesion gets no list"

    cases = case_list()
    key = cases.add_lesion(SHOULDER)
    swept = threading.Semaphore(0)
    sweep = CaseList.sweep

    def told(self: CaseList) -> int:
        count = sweep(self)
        swept.release()
        return count

    monkeypatch.setattr(CaseList, "sweep", told)
    cases.pictures.save(shot(1).key, b"left behind", {})
    with swept_case_list(0.05), caplog.at_level(logging.INFO):
        assert swept.acquire(timeout=60)
        assert files(cases) == []
        cases.keep(key, shot(3))
        for _ in range(2):
            assert swept.acquire(timeout=60)
        assert cases.pictures.path(shot(3).key).exists()
    assert not [thread for thread in threading.enumerate() if thread.name == "derm-sweeping"]
