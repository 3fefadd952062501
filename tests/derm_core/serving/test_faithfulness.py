"""The measurement of explanation methods on outlined lesions: figures by hand, intervals, and what is written of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_core.data.table import COLUMNS, Dataset, write_dataset
from derm_core.diagnoses import TASKS
from derm_core.errors import DatasetError
from derm_core.explanation.localisation import centre_map, energy_inside
from derm_core.explanation.masks import LesionMasks
from derm_core.serving.attribution import attributor_of
from derm_core.serving.faithfulness import MEASURES, choose_photographs, measure_methods
from derm_core.serving.faithfulness_text import explanations_markdown
from derm_core.serving.map_stability import measure_map_stability
from derm_core.serving.predictor import Predictor
from derm_core.serving.stability import CHANGES, measure_stability
from tests.derm_core.serving.conftest import draw_lesion

CODES = ("mel", "nv", "nv", "nv", "nv", "bcc")
HAM7 = TASKS["ham7"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Six photographs of four lesions; five of them have an outline in masks/."""
    folder = tmp_path_factory.mktemp("outlined")
    contents = []
    for number in range(len(CODES)):
        draw_lesion((120, 90), seed=number).save(folder / "photo.png")
        contents.append((folder / "photo.png").read_bytes())
    rows = [
        {
            "image": f"{number}.png",
            "diagnosis": code,
            "lesion_id": f"lesion-{number // 2 if number < 4 else number}",
            "age": np.nan,
            "sex": "",
            "site": "",
            "confirmed_by": "",
            "split": "val",
        }
        for number, code in enumerate(CODES)
    ]
    found = write_dataset(folder / "data", pd.DataFrame(rows, columns=list(COLUMNS)), contents)
    (folder / "data" / "masks").mkdir()
    outline = np.zeros((90, 120), np.uint8)
    outline[20:70, 30:90] = 255
    for number in range(5):
        Image.fromarray(outline).save(folder / "data" / "masks" / f"{number}_segmentation.png")
    return found


@pytest.fixture(scope="module")
def figures(predictor: Predictor, dataset: Dataset) -> dict[str, Any]:
    masks = LesionMasks(dataset.folder / "masks")
    return measure_methods(
        attributor_of(predictor),
        choose_photographs(dataset, HAM7, masks),
        masks,
        methods=("grad_cam", "gradient"),
        task=HAM7,
        classes=predictor.classes,
        sanity_photographs=2,
        bootstrap=50,
    )


def test_only_outlined_photographs_are_chosen_and_each_diagnosis_keeps_its_share(dataset: Dataset) -> None:
    masks = LesionMasks(dataset.folder / "masks")
    assert list(choose_photographs(dataset, HAM7, masks).table["image"]) == [f"{n}.png" for n in range(5)]
    few = choose_photographs(dataset, HAM7, masks, 3)
    assert sorted(few.table["diagnosis"]) == ["mel", "nv", "nv"]
    others = LesionMasks(dataset.folder / "images")
    with pytest.raises(DatasetError, match=r"No photograph of .* has a mask in "):
        choose_photographs(
            Dataset(dataset.folder, dataset.table.assign(image=[f"x{n}.png" for n in range(6)])), HAM7, others
        )


def test_every_method_and_both_empty_maps_have_every_figure(figures: dict[str, Any]) -> None:
    assert (figures["n"], figures["lesions"]) == (5, 3)
    assert list(figures["methods"]) == ["grad_cam", "gradient", "centre", "uniform"]
    for entry in figures["methods"].values():
        for measure in MEASURES:
            assert 0 <= entry[measure] <= 1
            low, high = entry["ci95"][measure]
            assert low <= entry[measure] <= high
        assert entry["undefined"] == 0
    assert figures["methods"]["grad_cam"]["predictions"] > 0


def test_the_empty_maps_come_out_as_the_hand_says(figures: dict[str, Any]) -> None:
    even, bell = figures["methods"]["uniform"], figures["methods"]["centre"]
    share = 50 * 60 / (90 * 120)
    assert even["energy"] == pytest.approx(share)
    assert even["pointing"] == pytest.approx(share)
    assert even["energy_beyond_centre"][1] < 0
    assert bell["pointing"] == 1
    assert bell["energy_beyond_centre"] == [0, 0]
    outline = np.zeros((90, 120), bool)
    outline[20:70, 30:90] = True
    assert bell["energy"] == pytest.approx(energy_inside(centre_map(90, 120), outline), abs=0.01)


def test_sanity_checks_compare_every_step(figures: dict[str, Any]) -> None:
    assert figures["sanity_photographs"] == 2
    assert 0 < figures["shuffled_labels_learnt"] <= 1
    for steps in figures["sanity"].values():
        assert list(steps) == ["shuffled labels", "classifier", "stage 3", "stage 2", "stage 1"]
        for likeness in steps.values():
            assert -1 <= likeness["rank_correlation"] < 0.99
            assert -1 <= likeness["ssim"] < 0.99


def test_heatmaps_of_changed_photographs_are_compared_where_they_were(figures: dict[str, Any]) -> None:
    for by_change in figures["map_stability"].values():
        assert list(by_change) == list(CHANGES)
        assert all(-1 <= value <= 1 for value in by_change.values())


def test_a_heatmap_that_moves_with_the_photograph_is_kept() -> None:
    class Luma:
        """Shows where the picture is light, or always the same bright corner."""

        preprocessing = SimpleNamespace(image_size=8, place_heatmap=lambda heatmap, width, height: heatmap)

        def logits(self, pixels: np.ndarray) -> np.ndarray:
            return np.array([[0.0, 1.0]])

        def heatmap(self, pixels: np.ndarray, index: int, method: str) -> np.ndarray:
            assert index == 1
            if method == "fixed":
                return np.arange(64, dtype=np.float32).reshape(8, 8)
            return pixels.mean(axis=2).astype(np.float32)

    pixels = np.random.default_rng(0).integers(0, 200, (3, 8, 8, 3)).astype(np.uint8)
    found = measure_map_stability(Luma(), pixels, photographs=2, methods=["light", "fixed"])  # type: ignore[arg-type]
    assert (found["light"]["rotated"], found["light"]["mirrored"]) == (pytest.approx(1), pytest.approx(1))
    assert found["light"]["brightened or darkened"] == pytest.approx(1, abs=0.01)
    # Quarter turns of a ramp are alike by nothing, a half turn is its opposite; mirrored across, nearly all is kept.
    assert found["fixed"]["rotated"] == pytest.approx(-1 / 3, abs=1e-6)
    assert found["fixed"]["recompressed"] == pytest.approx(1)


def test_stability_counts_the_answers_that_differ(predictor: Predictor, dataset: Dataset) -> None:
    found = measure_stability(predictor, dataset, bootstrap=50)
    assert list(found) == list(CHANGES)
    for entry in found.values():
        for name in ("top", "advice"):
            assert 0 <= entry[name] <= 1
            assert entry["ci95"][name][0] <= entry[name] <= entry["ci95"][name][1]


def test_an_answer_that_never_flips_has_an_interval_all_the_same(dataset: Dataset) -> None:
    class Steady:
        def predict(self, image: object) -> Any:
            return SimpleNamespace(top="nv", advice="routine")

    found = measure_stability(Steady(), dataset, bootstrap=50)  # type: ignore[arg-type]
    for entry in found.values():
        assert entry["top"] == entry["advice"] == 0
        assert entry["ci95"]["top"][0] == 0
        assert 0.3 < entry["ci95"]["top"][1] < 0.6  # Wilson's, over four lesions


def test_the_section_for_a_card_holds_every_table(figures: dict[str, Any]) -> None:
    stability = {"mirrored": {"top": 0.25, "advice": 0.5, "ci95": {"top": [0.1, 0.4], "advice": [0.3, 0.7]}}}
    text = explanations_markdown(
        figures | {"stability": stability, "data": {"name": "drawn", "split": "val"}}
    )
    assert text.startswith("## Explanations\n\nMeasured on 5 photographs of 3 lesions (split val of drawn)")
    assert "| Grad-CAM | " in text
    assert "| a bell in the middle | " in text
    assert "| method | shuffled labels | classifier shuffled | stage 3 shuffled |" in text
    assert "| mirrored | 0.250 (0.100 to 0.400) | 0.500 (0.300 to 0.700) |" in text
    plain = explanations_markdown(
        {key: value for key, value in figures.items() if key != "sanity"}
        | {"data": {"name": "x", "split": "y"}}
    )
    assert "shuffled" not in plain
