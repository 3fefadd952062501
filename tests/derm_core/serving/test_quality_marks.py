"""How many of the marks that can be seen on real photographs are noted, and on how many others without cause."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from derm_core.images import load_image
from derm_core.serving.quality import check_quality

LABELS = json.loads((Path(__file__).parent / "marks.json").read_text("utf-8"))
"""Which validation photographs show what; the file says how that was seen."""
FLAGS = {"ink": "ink", "scale": "ruler"}


@pytest.fixture(scope="module")
def noted(test_data: Path) -> dict[str, dict[str, set[str]]]:
    """Set of photographs -> number of a photograph -> the names of its flags."""
    halves = [zipfile.ZipFile(path) for path in sorted((test_data / "ham10000").glob("*_images_*.zip"))]
    elsewhere = zipfile.ZipFile(test_data / "isic_malignant_benign" / "train.zip")
    stored = {Path(name).name: half for half in halves for name in half.namelist()}

    def of_ham10000(number: str) -> bytes:
        name = f"ISIC_{number}.jpg"
        half = stored[name]
        return half.read(next(path for path in half.namelist() if path.endswith(name)))

    def of_isic(number: str) -> bytes:
        return elsewhere.read(f"train/malignant/{number}.jpg")

    readers: dict[str, Callable[[str], bytes]] = {"ham10000": of_ham10000, "isic_malignant_benign": of_isic}
    try:
        return {
            source: {
                number: {flag.name for flag in check_quality(load_image(read(number)))}
                for number in sorted(set(" ".join(LABELS[source][kind] for kind in KINDS).split()))
            }
            for source, read in readers.items()
        }
    finally:
        for archive in (*halves, elsewhere):
            archive.close()


KINDS = ("ink", "scale", "ticks", "neither")


def counts(noted: dict[str, dict[str, set[str]]], source: str, kind: str) -> tuple[int, int, int, int]:
    """Returns marks found, marks there, false alarms, and photographs without the mark."""
    seen = {name: set(LABELS[source][name].split()) for name in KINDS}
    there, unclear = seen[kind], seen["ticks"] if kind == "scale" else set()
    flagged = {number for number, flags in noted[source].items() if FLAGS[kind] in flags}
    free = set(noted[source]) - there - unclear
    return len(flagged & there), len(there), len(flagged & free), len(free)


@pytest.mark.parametrize(
    ("kind", "found", "alarms"), [("ink", 6, 0.01), ("scale", 27, 0.015)], ids=["ink", "scale"]
)
def test_marks_are_noted_and_few_others_are(
    noted: dict[str, dict[str, set[str]]], kind: str, found: int, alarms: float
) -> None:
    figures = [counts(noted, source, kind) for source in noted]
    assert sum(one[0] for one in figures) >= found
    assert sum(one[2] for one in figures) <= alarms * sum(one[3] for one in figures)


def test_no_photograph_with_a_mark_is_refused_for_it(noted: dict[str, dict[str, set[str]]]) -> None:
    refusals = {"white-ground", "too-bright", "too-dark", "uniform", "overexposed", "underexposed", "blurred"}
    marked = [
        noted[source][number] for source in noted for kind in FLAGS for number in LABELS[source][kind].split()
    ]
    assert sum(bool(flags & refusals) for flags in marked) <= 1
