"""The sentences say what was found in plain words; the page shows it, loads nothing, and trusts no name."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path

import pytest
from PIL import Image

from derm_core.data.audit import run_audit
from derm_core.data.audit_page import render_page
from derm_core.data.audit_report import Report, make_report
from derm_core.data.audit_sentences import FAULT, NOTE, WARNING, findings_of, headline
from derm_core.data.audit_set import read_audit_sets
from derm_core.data.shortcut_sentences import percent
from derm_core.diagnoses import NOTICE
from tests.derm_core.data.drawn import encoded, lesion, write_table
from tests.derm_core.data.sources import write_files


def copy(seed: int) -> bytes:
    return encoded(lesion(seed).transpose(Image.Transpose.ROTATE_180), quality=70)


def report_on(*folders: Path) -> Report:
    return make_report(run_audit(read_audit_sets(folders), workers=1))


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Of two datasets with one of everything that can be wrong."""
    folder = tmp_path_factory.mktemp("sets")
    rows = [
        (f"{seed}.jpg", "nv", f"lesion-{seed // 2}", "train" if seed < 16 else "test") for seed in range(20)
    ]
    rows += [("copy.jpg", "nv", "lesion-99", "test"), ("twin.jpg", "mel", "lesion-0", "train")]
    rows += [("cut.jpg", "nv", "", "train"), ("plain.png", "nv", "", "train")]
    pictures = {f"{seed}.jpg": encoded(lesion(seed)) for seed in range(20)} | {
        "copy.jpg": copy(3),
        "twin.jpg": copy(1),
        "cut.jpg": encoded(lesion(1, size=(400, 300)))[:2000],
        "plain.png": encoded(Image.new("RGB", (40, 30), "brown"), "PNG"),
    }
    large = write_table(folder / "large", rows, pictures)
    benign, malignant = (1, *range(0, 20, 2)), range(20, 30)
    rows = [(f"{seed}.jpg", "benign", "", "train" if seed else "test") for seed in benign]
    rows += [(f"{seed}.jpg", "malignant", "", "train") for seed in malignant]
    pictures = {f"{seed}.jpg": copy(seed) for seed in benign}
    pictures |= {f"{seed}.jpg": encoded(lesion(seed), dpi=(300, 300)) for seed in malignant}
    return report_on(large, write_table(folder / "small", rows, pictures))


def test_each_finding_is_one_sentence_with_its_figures(report: Report) -> None:
    told = {(finding.kind, finding.place): finding.sentence for finding in findings_of(report)}
    assert told["unreadable", 0] == "1 of 24 pictures cannot be read: cut.jpg."
    assert told["blank", 0] == "1 picture shows nothing: plain.png."
    assert told["two lesions", 0].startswith("1 pair of copies has two lesion ids each.")
    assert told["copies", 0] == (
        "2 pictures are there more than once, with 2 copies. 1 pair of them within one lesion id, where a split by "
        "lesion keeps them together."
    )
    assert told["crossing", 0] == (
        "1 lesion is in more than one split: 1 of the 5 test pictures shows a lesion that is also in train. Known from "
        "copies of one picture (1)."
    )
    assert told["crossing", 1] == (
        "1 lesion is in more than one split: 1 of the 1 test picture shows a lesion that is also in train. Known from "
        "the lesion ids of large (1)."
    )
    assert told["contradictions", None] == (
        "1 lesion has diagnoses that cannot both be true: benign and mel and nv (1). In 1 of them copies of one "
        "picture differ."
    )
    assert told["overlap", None] == (
        "11 of the 21 pictures of small are copies of pictures in large. What is trained on one cannot be tested on "
        "the other: train of large has lesions shown by 1 test picture of small; train of small has lesions shown by 5 "
        "test pictures of large."
    )
    assert told["origin", 1].startswith(
        "Copies of pictures in large are all 11 benign pictures, but only 0 of the 10 malignant pictures. A rule that "
        "looks only at that is right for 100% of the pictures, where always answering benign is right for 52% "
    )
    assert told["file properties", 1].startswith("Without a look at the pixels, the ")
    assert "tells benign from malignant" in told["file properties", 1]
    assert told["balance", 0].startswith("nv has 23 times as many pictures as mel (23 and 1)")


def test_faults_come_first_and_the_headline_counts_them(report: Report) -> None:
    levels = [finding.level for finding in findings_of(report)]
    assert levels == sorted(levels, key=(FAULT, WARNING, NOTE).index)
    assert headline(report) == (
        f"45 pictures in 2 datasets: {levels.count(FAULT)} faults and {levels.count(WARNING)} warnings."
    )


def test_a_clean_dataset_is_called_so(tmp_path: Path) -> None:
    rows = [(f"{seed}.jpg", "nv", f"lesion-{seed}", "") for seed in range(3)]
    clean = report_on(
        write_table(tmp_path / "set", rows, {row[0]: encoded(lesion(int(row[0][0]))) for row in rows})
    )
    assert findings_of(clean) == []
    assert headline(clean) == "3 pictures in 1 dataset: nothing found that would make results wrong."
    assert "nothing found" in render_page(clean)


def test_the_json_is_plain_and_names_every_picture_of_a_finding(report: Report) -> None:
    found = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    large, small = found["datasets"]
    assert [entry["image"] for entry in large["unreadable"]] == ["cut.jpg"]
    assert large["copies"]["pairs_of_two_lesions"] == [["3.jpg", "copy.jpg"]]
    assert large["crossing"]["shared"] == {"test": {"train": 1}, "train": {"test": 2}}
    assert small["crossing"]["evidence"] == {"large": 1}
    assert {entry["property"] for entry in small["file_properties"]["rules"] if entry["tells"]} >= {
        "resolution claimed in the header",
        "other dataset that holds the picture",
    }
    assert found["overlaps"][1]["classes"] == {
        "benign": {"copies": 11, "pictures": 11},
        "malignant": {"copies": 0, "pictures": 10},
    }
    assert {(pair["first"]["image"], pair["second"]["image"], pair["turn"]) for pair in found["pairs"]} >= {
        ("3.jpg", "copy.jpg", "turned by 180°")
    }


def test_the_page_shows_every_finding_and_loads_nothing(report: Report) -> None:
    page = render_page(report)
    for finding in findings_of(report):
        assert escape(finding.sentence) in page
    assert escape(NOTICE) in page
    assert page.count('<section class="card finding"') == len(findings_of(report))
    sources = re.findall(r'(?:src|href)="([^"]*)"', page)
    assert sources
    assert all(source.startswith("data:image/jpeg;base64,") for source in sources)
    assert not re.search(r"https?:|url\(|@import|<script|<link", page)


def test_no_more_pairs_are_shown_than_asked_for(report: Report) -> None:
    page = render_page(report, pairs=1)
    overlap = page.partition("Datasets that share pictures")[2].partition("</section>")[0]
    assert overlap.count("<figure") == 1
    assert "1 of " in overlap


def test_names_from_files_are_text_and_never_markup(tmp_path: Path) -> None:
    name = "<img src=x onerror=alert(1)>"
    files = {f"{name}/1.jpg": encoded(lesion(1)), f"{name}/2.jpg": copy(1), f"{name}/3.jpg": b"text"}
    page = render_page(report_on(write_files(tmp_path / "<b>set", files)))
    assert "<img src=x" not in page
    assert "<b>set" not in page
    assert "&lt;img src=x onerror=alert(1)&gt;" in page


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0%"), (0.004, "<1%"), (0.5, "50%"), (0.9951, ">99%"), (1, "100%"), (0.814, "81%")],
)
def test_shares_are_whole_percents_and_almost_is_not_all(share: float, words: str) -> None:
    assert percent(share) == words
