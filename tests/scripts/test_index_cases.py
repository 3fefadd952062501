"""scripts/index_cases.py: an index is built, asked and measured, for people and for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import index_cases
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_core.data.table import COLUMNS, Dataset, write_dataset
from derm_core.diagnoses import NOTICE
from derm_core.errors import DatasetError
from derm_core.serving.case_precision import colour_histogram
from tests.derm_core.data.drawn import encoded, lesion

Run = Callable[..., str]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Photographs whose diagnosis is their colour: 12 in train, of six lesions, and four in test."""
    tints = {"nv": (1.0, 0.7, 0.6), "mel": (0.5, 0.5, 1.0)}
    rows, contents = [], []
    for number in range(16):
        code = ("nv", "mel")[number // 2 % 2]
        split = "train" if number < 12 else "test"
        confirmed = "" if number in (3, 15) else "histo"
        rows.append([f"{number}.jpg", code, f"L{number // 2}", 50.0, "male", "back", confirmed, split])
        pixels = np.asarray(lesion(number)) * tints[code]
        contents.append(encoded(Image.fromarray(pixels.astype(np.uint8))))
    folder = tmp_path_factory.mktemp("datasets") / "clinic"
    return write_dataset(folder, pd.DataFrame(rows, columns=list(COLUMNS)), contents)


@pytest.fixture
def run(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command in this process and returns what it prints on standard output."""

    def call(*arguments: object) -> str:
        words = ["index_cases.py", *arguments, "--model", model, "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [str(word) for word in words])
        index_cases.main()
        return capsys.readouterr().out

    return call


@pytest.fixture
def index(run: Run, data: Dataset, tmp_path: Path) -> Path:
    out = tmp_path / "index"
    assert run("build", data.folder, "--split", "train", "--out", out) == (
        f"{out}: 12 photographs of 6 lesions, 11 of them with a confirmed diagnosis.\n"
    )
    return out


def test_people_read_the_most_similar_cases(run: Run, index: Path, data: Dataset) -> None:
    shown = run("query", index, data.image_path(0), "--k", 3)
    lines = shown.splitlines()
    assert lines[0] == str(data.image_path(0))
    assert lines[1].split() == [
        "1.00",
        "Melanocytic",
        "naevus",
        "histo",
        "50",
        "years,",
        "male,",
        "back",
        "images/0.jpg",
    ]
    assert len(lines) == 6
    assert NOTICE in shown


def test_programs_read_lines_of_json_and_the_lesion_is_left_out(run: Run, index: Path, data: Dataset) -> None:
    shown = run("query", index, data.image_path(0), data.image_path(5), "--lesion", "L0", "--k", 9, "--json")
    first, second = map(json.loads, shown.splitlines())
    assert (first["file"], second["file"]) == (str(data.image_path(0)), str(data.image_path(5)))
    assert sorted(case["lesion_id"] for case in first["cases"]) == ["L1", "L2", "L3", "L4", "L5"]
    assert list(first["cases"][0]) == [
        *("image_path", "diagnosis", "lesion_id", "similarity", "age", "sex", "site", "confirmed_by")
    ]
    assert second["cases"][0]["image_path"] == "images/5.jpg"
    assert "images/3.jpg" not in shown
    every = json.loads(run("query", index, data.image_path(3), "--k", 1, "--json", "--unconfirmed"))
    assert every["cases"][0]["image_path"] == "images/3.jpg"


def test_precision_is_measured_beside_colours_and_chance(
    run: Run, index: Path, data: Dataset, tmp_path: Path
) -> None:
    shown = run("measure", index, data.folder, "--json", tmp_path / "out.json", "--bootstrap", 50)
    figures = json.loads((tmp_path / "out.json").read_text())
    assert (figures["n"], figures["lesions"]) == (3, 2)
    assert (figures["index"]["photographs"], figures["index"]["lesions"]) == (11, 6)
    assert figures["index"]["split"] == "train"
    assert figures["data"] == {"name": "clinic", "split": "test", "fingerprint": data.fingerprint()}
    # Colour alone tells these apart; of five cases three can be right at most, for each lesion is there once.
    assert figures["colours"]["overall"]["1"]["value"] == 1
    assert figures["colours"]["overall"]["5"]["value"] == pytest.approx(0.6)
    assert figures["chance"]["overall"]["any"]["value"] == pytest.approx(0.5)
    assert set(figures["network"]["per_class"]) == {"nv", "mel"}
    assert 0 <= figures["network"]["overall"]["1"]["value"] <= 1
    assert "Asked: 3 photographs of 2 lesions (clinic, test), with a confirmed diagnosis." in shown
    assert "mean over diagnoses" in shown
    unconfirmed = run("measure", index, data.folder, "--unconfirmed", "--bootstrap", 20)
    assert "Asked: 4 photographs of 2 lesions (clinic, test), confirmed or not." in unconfirmed


def test_colours_are_left_out_where_the_indexed_photographs_are_elsewhere(
    run: Run, index: Path, data: Dataset, tmp_path: Path
) -> None:
    part = data.subset("test")
    contents = [part.image_path(row).read_bytes() for row in range(len(part))]
    elsewhere = write_dataset(tmp_path / "elsewhere", part.table, contents)
    run("measure", index, elsewhere.folder, "--json", tmp_path / "out.json", "--bootstrap", 20)
    figures = json.loads((tmp_path / "out.json").read_text())
    assert figures["colours"] is None
    assert figures["network"] is not None


def test_a_colour_histogram_counts_the_pixels_of_each_cell() -> None:
    pixels = np.array([[[0, 0, 0], [31, 31, 31], [255, 0, 0], [0, 0, 255]]], dtype=np.uint8)
    histogram = colour_histogram(pixels)
    assert histogram.shape == (512,)
    assert {place: float(histogram[place]) for place in np.flatnonzero(histogram)} == {
        0: 0.5,
        7 * 64: 0.25,
        7: 0.25,
    }


def test_what_exists_is_only_replaced_when_asked(run: Run, index: Path, data: Dataset) -> None:
    with pytest.raises(DatasetError, match="exists already"):
        run("build", data.folder, "--out", index)
    assert "16 photographs" in run("build", data.folder, "--out", index, "--overwrite", "--thumbnails", 0)


def test_an_unknown_split_is_one_sentence(run: Run, data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="has no split 'val'"):
        run("build", data.folder, "--split", "val", "--out", tmp_path / "index")
    assert not (tmp_path / "index").exists()
