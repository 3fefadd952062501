"""Explanations by a method of one's choice: the predictor's answer, a map over the picture, and what fits."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from derm_core.errors import BundleError, ConfigError, InvalidImageError
from derm_core.explanation.localisation import energy_inside
from derm_core.explanation.masks import LesionMasks
from derm_core.images import load_image
from derm_core.serving import attribution
from derm_core.serving.attribution import attributor_of, explain_by, explanation_methods
from derm_core.serving.bundle import BundleDescription, load_bundle, save_bundle
from derm_core.serving.loading import load_predictor
from derm_core.serving.predictor import Predictor

SUITABLE = (
    *("grad_cam", "grad_cam_layers", "layer_cam", "gradient"),
    *("integrated_gradients", "gradient_shap", "occlusion"),
)


def test_a_network_of_hard_swish_gets_all_methods_but_the_guided_ones(predictor: Predictor) -> None:
    assert attributor_of(predictor).methods == SUITABLE


@pytest.mark.parametrize("method", SUITABLE)
def test_the_answer_is_the_predictors_and_the_map_lies_over_the_picture(
    predictor: Predictor, pictures: list[Path], method: str
) -> None:
    path = pictures[0]
    found = explain_by(predictor, path.read_bytes(), "mel", method=method)
    plain = predictor.predict(path)
    assert found.code == "mel"
    assert found.heatmap.shape == (150, 200)
    assert found.heatmap.dtype == np.float32
    assert found.heatmap.min() >= 0
    assert found.heatmap.max() <= 1
    assert replace(found.prediction, seconds=0.0) == replace(plain, seconds=0.0)
    assert explain_by(predictor, path, method=method).code == plain.top
    again = explain_by(predictor, path, "mel", method=method)
    assert np.array_equal(found.heatmap, again.heatmap)


def test_the_default_is_the_predictors_own_grad_cam(predictor: Predictor, pictures: list[Path]) -> None:
    ours, own = explain_by(predictor, pictures[2], max_side=300), predictor.explain(pictures[2], max_side=300)
    assert ours.heatmap.shape == (225, 300)
    assert np.array_equal(ours.heatmap, own.heatmap)


@pytest.mark.parametrize("views", [1, 4])
def test_its_grad_cam_is_that_of_the_predictor(
    tmp_path: Path,
    description: BundleDescription,
    model_state: dict[str, torch.Tensor],
    pictures: list[Path],
    views: int,
) -> None:
    folder = tmp_path / "views"
    save_bundle(folder, model_state=model_state, description=replace(description, views=views))
    predictor = load_predictor(folder, device="cpu")
    attributor = attributor_of(predictor)
    pixels = attributor.preprocessing.pixels(load_image(pictures[0]))
    answer = predictor.explain(pictures[0], "bcc")
    heatmap = attributor.heatmap(pixels, predictor.classes.index("bcc"), "grad_cam")
    placed = attributor.preprocessing.place_heatmap(heatmap, 200, 150)
    assert np.allclose(placed, answer.heatmap, atol=1e-4)
    logits = attributor.logits(np.stack([pixels, pixels]))
    assert predictor.classes[int(logits[0].argmax())] == answer.prediction.top
    assert np.allclose(logits[0], logits[1], atol=1e-4)


def test_what_is_asked_wrongly_is_one_sentence(
    predictor: Predictor, pictures: list[Path], tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="Unknown explanation method 'shap'"):
        explain_by(predictor, pictures[0], method="shap")
    with pytest.raises(ConfigError, match="Unknown class 'naevus'"):
        explain_by(predictor, pictures[0], "naevus", method="occlusion")
    with pytest.raises(ConfigError, match="Guided Grad-CAM does not suit this network"):
        explain_by(predictor, pictures[0], method="guided_grad_cam")
    with pytest.raises(InvalidImageError, match="does not exist"):
        explain_by(predictor, tmp_path / "none.jpg", method="occlusion")


def test_methods_for_a_screen_are_those_measured_to_be_fast(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    passes = attributor_of(predictor).passes
    assert tuple(passes) == SUITABLE
    assert all(ratio > 0 for ratio in passes.values())
    slow = dict.fromkeys(SUITABLE, 2 * attribution.FAST_WITHIN) | {"layer_cam": 1.5}
    stand_in = SimpleNamespace(methods=SUITABLE, passes=slow)
    monkeypatch.setattr(attribution, "attributor_of", lambda predictor: stand_in)
    offered = explanation_methods(predictor)
    assert [(method.name, method.title, method.passes) for method in offered] == [
        ("grad_cam", "Grad-CAM", slow["grad_cam"]),
        ("layer_cam", "LayerCAM", 1.5),
    ]


def test_a_bundle_that_was_replaced_is_noticed(
    bundle_folder: Path, tmp_path: Path, model_state: dict[str, torch.Tensor], pictures: list[Path]
) -> None:
    folder = tmp_path / "moving"
    shutil.copytree(bundle_folder, folder)
    predictor = load_predictor(folder, device="cpu")
    assert predictor.folder == folder
    changed = {
        name: tensor + 1 if tensor.is_floating_point() else tensor for name, tensor in model_state.items()
    }
    description = load_bundle(folder).description
    save_bundle(folder, model_state=changed, description=description, overwrite=True)
    with pytest.raises(BundleError, match=r"holds other weights than when it was loaded\. Load"):
        explain_by(predictor, pictures[0], method="layer_cam")


def test_on_real_photographs_heatmaps_lie_more_on_the_lesion_than_an_even_map(test_data: Path) -> None:
    masks = LesionMasks(test_data / "ham10000" / "HAM10000_segmentations_lesion_tschandl.zip")
    photographs = sorted((test_data / "fullres").rglob("ISIC_*.jpg"))
    assert photographs
    bundled = load_predictor("bundled", device="cpu")
    for method in ("grad_cam", "layer_cam"):
        gains = []
        for path in photographs:
            heatmap = explain_by(bundled, path, method=method).heatmap
            mask = masks.mask(path.name, (heatmap.shape[1], heatmap.shape[0]))
            gains.append(energy_inside(heatmap, mask) - mask.mean())
        assert np.mean(gains) > 0
