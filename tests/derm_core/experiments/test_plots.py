from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from derm_core.experiments.augmentation_plots import augmentation_figure
from derm_core.experiments.confusion_plots import confusion_figure
from derm_core.experiments.figure import Figure, rows_of, save_figure, spread
from derm_core.experiments.figure_theme import DARK, LIGHT, PAPER, SHOWN_RUNS, Palette
from derm_core.experiments.marks import epoch_axis, group_of
from derm_core.experiments.plots import epoch_figures, error_figure, learning_figure, metric_figure
from derm_core.experiments.run_table import read_runs
from derm_core.experiments.weight_plots import weight_figure
from tests.derm_core.experiments.fake_runs import fake_run, fake_runs

# Machado, Oliveira and Fernandes 2009: what is left of linear RGB without one kind of cone.
SIGHT = {
    "normal": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}  # fmt: skip


def linear(colour: str) -> np.ndarray:
    """Linear RGB of "#rrggbb"."""
    channels = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(rgb: np.ndarray) -> np.ndarray:
    """OKLab of linear RGB (Ottosson 2020)."""
    cones = [
        [0.41222147, 0.53633254, 0.05144599],
        [0.2119035, 0.68069955, 0.10739696],
        [0.08830246, 0.28171884, 0.6299787],
    ]
    axes = [
        [0.21045426, 0.79361779, -0.00407205],
        [1.9779985, -2.42859221, 0.45059371],
        [0.02590404, 0.78277177, -0.80867577],
    ]
    return np.array(axes) @ np.cbrt(np.array(cones) @ rgb.clip(0, 1))  # fmt: skip


def contrast(one: str, other: str) -> float:
    low, high = sorted(float(linear(colour) @ (0.2126, 0.7152, 0.0722)) for colour in (one, other))
    return (high + 0.05) / (low + 0.05)


def values_of(spec: Any) -> list[dict[str, Any]]:
    """Every row of data in a specification."""
    if isinstance(spec, dict):
        own = spec["data"]["values"] if isinstance(spec.get("data"), dict) else []
        return own + [row for value in spec.values() for row in values_of(value)]
    return [row for value in spec for row in values_of(value)] if isinstance(spec, list) else []


@pytest.mark.parametrize("palette", [LIGHT, DARK, PAPER], ids=["light", "dark", "paper"])
@pytest.mark.parametrize("sight", SIGHT)
def test_runs_can_be_told_apart_by_every_eye(palette: Palette, sight: str) -> None:
    seen = [oklab(np.array(SIGHT[sight]) @ linear(colour)) for colour in palette.series]
    assert min(np.linalg.norm(one - other) for one, other in itertools.combinations(seen, 2)) >= 0.1
    kinds = [oklab(np.array(SIGHT[sight]) @ linear(colour)) for colour in (palette.malignant, palette.benign)]
    assert np.linalg.norm(kinds[0] - kinds[1]) >= 0.1


@pytest.mark.parametrize("palette", [LIGHT, DARK, PAPER], ids=["light", "dark", "paper"])
def test_lines_and_text_stand_out_from_their_ground(palette: Palette) -> None:
    assert all(contrast(colour, palette.surface) >= 3 for colour in palette.series)
    assert all(
        contrast(colour, palette.surface) >= 4.5
        for colour in (palette.ink, palette.muted, palette.malignant, palette.benign)
    )


def test_labels_are_moved_apart_in_their_order() -> None:
    assert spread([0.5, 0.5], 0.2, low=0, high=1) == pytest.approx([0.4, 0.6])
    assert spread([0.9, 0.1, 0.5], 0.2, low=0, high=1) == pytest.approx([0.9, 0.1, 0.5])
    # The one in the middle would push both out of the axis on its own.
    assert spread([1.0, 0.95, 0.9], 0.1, low=0, high=1) == pytest.approx([1.0, 0.9, 0.8])
    assert spread([0.0, 0.0], 0.3, low=0, high=1) == pytest.approx([0.0, 0.3])
    assert spread([], 0.1, low=0, high=1) == []


def test_undefined_numbers_become_null_and_others_are_rounded() -> None:
    rows = [{"a": float("nan"), "b": 1 / 3, "c": np.float64(2.0), "d": "text", "e": True, "f": [np.int64(3)]}]
    assert rows_of(rows).to_dict()["values"] == [
        {"a": None, "b": 0.33333, "c": 2, "d": "text", "e": True, "f": [3]}
    ]


@pytest.mark.parametrize("last", [1, 2, 7, 12, 30, 100, 1000])
def test_epochs_are_whole_numbers_on_the_axis(last: int) -> None:
    ticks = epoch_axis(last).to_dict()["axis"]["values"]
    assert {1, last} <= set(ticks)
    assert ticks == sorted(ticks)
    assert len(ticks) <= 9


def test_error_is_drawn_as_recorded_with_and_without_augmentation_apart(tmp_path: Path) -> None:
    runs = read_runs(
        [fake_run(tmp_path / "with"), fake_run(tmp_path / "without", augmented=False, errors=(0.7,))]
    )
    figure = error_figure(group_of(runs, "30 validation photographs"))
    assert figure is not None
    with_it, without = figure.page_specs()
    assert (with_it["title"], without["title"]) == ("With augmentation", "Without augmentation")
    points = {
        (row["run"], row["set"], row["epoch"]): row["error"] for row in values_of(with_it) if "set" in row
    }
    assert points == {
        ("with", "validation", 1): 0.6,
        ("with", "validation", 2): 0.4,
        ("with", "validation", 3): 0.5,
        ("with", "training", 1): 0.3,
        ("with", "training", 2): 0.2,
        ("with", "training", 3): 0.25,
    }
    best = [row for row in values_of(with_it) if row.get("best") and row["set"] == "validation"]
    assert {row["epoch"] for row in best} == {2}
    assert {row["run"] for row in values_of(without) if "run" in row} == {"without"}
    assert "on 30 validation photographs" in figure.caption


def test_augmentation_is_compared_only_where_both_sides_are_there(tmp_path: Path) -> None:
    runs = read_runs([fake_run(tmp_path / "with"), fake_run(tmp_path / "without", augmented=False)])
    figure = augmentation_figure(group_of(runs, "photographs"))
    assert figure is not None
    gaps = [row["gap"] for row in values_of(figure.page_specs()[1]) if row.get("run") == "with"]
    assert gaps[:3] == [0.3, 0.2, 0.25]
    assert augmentation_figure(group_of(runs[:1], "photographs")) is None


def test_the_best_runs_have_colours_and_the_others_are_grey(tmp_path: Path) -> None:
    group = group_of(fake_runs(tmp_path, SHOWN_RUNS + 2), "photographs")
    assert [run.label for run in group.others] == ["run-0", "run-1"]
    assert [group.series(run) for run in group.runs] == [None, None, *range(SHOWN_RUNS)]
    figure = metric_figure(group)
    assert figure is not None
    assert "Grey: 2 other runs" in figure.caption
    assert [entry.series for entry in figure.legend] == [*range(SHOWN_RUNS), None]
    assert {row["run"] for row in values_of(figure.page_specs())} == {run.label for run in group.runs}


def test_a_run_of_one_epoch_and_old_records_can_be_drawn(tmp_path: Path) -> None:
    gone = dict.fromkeys(("malignant_auc", "macro_auc", "valid_loss", "train_loss", "classifier.bias"))
    runs = read_runs([fake_run(tmp_path / "old", errors=(0.5,), changed=gone)])
    group = group_of(runs, "photographs")
    names = [figure.name for figure in epoch_figures(group)]
    assert names == ["nv-bkl-mel-error", "nv-bkl-mel-learning", "nv-bkl-mel-metrics"]
    metrics, learning = metric_figure(group), learning_figure(group)
    assert metrics is not None
    assert learning is not None
    assert [panel["title"] for panel in metrics.page_specs()] == [
        "Accuracy",
        "Balanced accuracy",
        "F1, mean over diagnoses",
    ]
    assert [panel["title"] for panel in learning.page_specs()] == ["Learning rate"]
    assert weight_figure(group) is not None


def test_steps_of_a_twentieth_are_not_rounded_to_the_same_label(tmp_path: Path) -> None:
    figure = metric_figure(
        group_of(read_runs([fake_run(tmp_path / "run", errors=(0.1, 0.1))]), "photographs")
    )
    assert figure is not None
    save_figure(figure, tmp_path)
    labels = re.findall(r">(0\.\d+|1)</text>", (tmp_path / f"{figure.name}.svg").read_text("utf-8"))
    assert {"0.8", "0.85", "0.9", "0.95"} <= set(labels)


def test_records_without_a_matrix_or_weights_leave_their_figures_out(tmp_path: Path) -> None:
    gone = dict.fromkeys(("confusion_matrix", "classifier.weight", "classifier.bias"))
    group = group_of(read_runs([fake_run(tmp_path / "old", changed=gone)]), "photographs")
    assert confusion_figure(group) is None
    assert weight_figure(group) is None


def test_the_matrix_of_the_best_epoch_is_on_paper_and_all_of_them_on_the_page(tmp_path: Path) -> None:
    runs = read_runs([fake_run(tmp_path / "one"), fake_run(tmp_path / "two", errors=(0.2,))])
    figure = confusion_figure(group_of(runs, "30 validation photographs"))
    assert figure is not None
    (on_page,) = figure.page_specs()
    rows = {(row["run"], row["epoch"]): row["counts"] for row in values_of(on_page)}
    assert set(rows) == {("one", 1), ("one", 2), ("one", 3), ("two", 1)}
    # Errors of 0.4: six of ten right, four taken for the next class.
    assert rows["one", 2] == [6, 4, 0, 0, 6, 4, 4, 0, 6]
    best = [row["epoch"] for row in values_of(figure.paper_spec()["concat"][0])]
    assert set(best) == {2}
    (slider,) = [param for param in on_page["params"] if param["bind"]["input"] == "range"]
    assert (slider["bind"]["min"], slider["bind"]["max"], slider["value"]) == (1, 3, 2)


def test_weights_are_lengths_and_quantiles_however_many_there_are(tmp_path: Path) -> None:
    wide = np.zeros((3, 4096))
    wide[0, :2], wide[1, :2], wide[2, 0] = (3, 4), (5, 12), 1
    runs = read_runs(
        [fake_run(tmp_path / "wide", changed={"classifier.weight": wide.tolist()}, errors=(0.4,))]
    )
    figure = weight_figure(group_of(runs, "photographs"))
    assert figure is not None
    norms, _, fan = figure.page_specs()
    assert {row["code"]: row["norm"] for row in values_of(norms) if "norm" in row and "code" in row} == {
        "bkl": 5,
        "mel": 13,
        "nv": 1,
    }
    assert {row["q50"] for row in values_of(fan)} == {0}
    assert len(json.dumps(figure.page_specs())) < 40_000


def test_no_specification_names_a_colour(tmp_path: Path) -> None:
    runs = read_runs([fake_run(tmp_path / "with"), fake_run(tmp_path / "without", augmented=False)])
    group = group_of(runs, "photographs")
    figures = [*epoch_figures(group), confusion_figure(group), weight_figure(group)]
    for figure in figures:
        assert figure is not None
        assert not re.search(r"#[0-9a-fA-F]{3,8}\b", json.dumps(figure.page_specs()))


def test_a_figure_is_written_as_svg_and_png_that_need_nothing_else(tmp_path: Path) -> None:
    figure = confusion_figure(group_of(read_runs([fake_run(tmp_path / "run")]), "photographs"))
    assert isinstance(figure, Figure)
    save_figure(figure, tmp_path)
    svg = (tmp_path / f"{figure.name}.svg").read_text("utf-8")
    assert svg.startswith("<svg")
    assert set(re.findall(r'https?://[^"\s]+', svg)) <= {
        "http://www.w3.org/2000/svg",
        "http://www.w3.org/1999/xlink",
    }
    # 60% of the melanomas are right, in a cell of the paper's matrix.
    assert ">60</text>" in svg
    assert "Melanoma" in svg
    png = (tmp_path / f"{figure.name}.png").read_bytes()
    assert png.startswith(b"\x89PNG")
