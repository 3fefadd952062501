"""Localisation, curves and sanity checks by hand arithmetic; masks as experts leave them."""

from __future__ import annotations

import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import spearmanr

from derm_core.errors import DatasetError
from derm_core.explanation.curves import curve_areas
from derm_core.explanation.localisation import centre_map, energy_inside, peak_inside, uniform_map
from derm_core.explanation.masks import LesionMasks, find_masks
from derm_core.explanation.sanity import (
    cascade,
    rank_correlation,
    structural_similarity,
    with_shuffled_labels,
)
from tests.derm_core.explanation.networks import images, random_network

MASK = np.array([[True, False], [True, False]])


def heat(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float32)


def test_energy_is_the_share_of_the_sum_inside() -> None:
    assert energy_inside(heat([3, 1], [0, 0]), MASK) == 0.75
    assert math.isnan(energy_inside(heat([0, 0], [0, 0]), MASK))
    assert energy_inside(uniform_map(2, 2), MASK) == 0.5


def test_a_peak_of_several_pixels_counts_by_the_share_of_them_inside() -> None:
    assert peak_inside(heat([3, 1], [0, 0]), MASK) == 1
    assert peak_inside(heat([0, 1], [0, 0]), MASK) == 0
    assert peak_inside(heat([3, 3], [3, 0]), MASK) == pytest.approx(2 / 3)
    assert math.isnan(peak_inside(heat([0, 0], [0, 0]), MASK))


def test_the_bell_stands_in_the_middle_whatever_the_shape() -> None:
    bell = centre_map(75, 101)
    assert bell.shape == (75, 101)
    assert bell.dtype == np.float32
    assert np.unravel_index(bell.argmax(), bell.shape) == (37, 50)
    assert bell[0, 50] == pytest.approx(math.exp(-2), rel=1e-5)
    assert np.allclose(bell, bell[::-1, ::-1])


def test_curves_follow_the_order_of_the_heatmap() -> None:
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[:, :5] = 200
    left = np.zeros((10, 10), np.float32)
    left[:, :5] = 1

    def share_of_left(given: np.ndarray) -> np.ndarray:
        return (given[:, :, :5, 0] == 200).mean(axis=(1, 2))

    # The left half, 200, goes first by the mean, 100: nothing of it is left from half way on. By the map of the right
    # half it goes last.
    best = curve_areas(pixels, left, share_of_left)
    worst = curve_areas(pixels, 1 - left, share_of_left)
    assert best.deletion == pytest.approx(0.25, abs=0.01)
    assert worst.deletion == pytest.approx(0.75, abs=0.01)
    # What is inserted into the blurred picture is wholly there from half way on, or only then begins.
    assert best.insertion > worst.insertion + 0.15
    even = curve_areas(pixels, np.ones((10, 10), np.float32), share_of_left)
    assert even.deletion == pytest.approx(0.5, abs=0.1)
    assert even == curve_areas(pixels, np.ones((10, 10), np.float32), share_of_left)


def test_rank_correlation_is_spearmans_also_with_ties() -> None:
    random = np.random.default_rng(0)
    first = random.integers(0, 5, (12, 9)).astype(np.float32)
    second = random.random((12, 9), dtype=np.float32) + 0.2 * first
    assert rank_correlation(first, second) == pytest.approx(spearmanr(first.ravel(), second.ravel())[0])
    assert rank_correlation(first, first * 3 + 1) == pytest.approx(1)
    assert rank_correlation(first, -first) == pytest.approx(-1)
    assert rank_correlation(first, np.zeros_like(first)) == 0


def test_structural_similarity_is_one_for_equal_maps_and_low_for_others() -> None:
    random = np.random.default_rng(1)
    first, second = (random.random((30, 30), dtype=np.float32) for _ in range(2))
    assert structural_similarity(first, first) == pytest.approx(1)
    assert structural_similarity(first, second) < 0.3
    # Two even maps: only the means are compared, (2ab + c) / (a² + b² + c).
    even = structural_similarity(np.full((20, 20), 0.2, np.float32), np.full((20, 20), 0.8, np.float32))
    assert even == pytest.approx((2 * 0.2 * 0.8 + 1e-4) / (0.2**2 + 0.8**2 + 1e-4), rel=1e-4)


def test_a_cascade_forgets_one_part_after_the_other_and_leaves_the_network_alone() -> None:
    network, pictures = random_network(), images()
    before = network.logits(pictures)
    weights = network.body.state_dict()
    kept = {name: tensor.clone() for name, tensor in weights.items()}
    steps, answers = [], []
    for step, forgetting in cascade(network):
        steps.append(step)
        answers.append(forgetting.logits(pictures))
        early = forgetting.body[0][0].weight
        assert torch.equal(early, network.body[0][0].weight) is (step != "stage 1")
        assert torch.equal(early.flatten().sort()[0], network.body[0][0].weight.flatten().sort()[0])
    assert steps == ["classifier", "stage 3", "stage 2", "stage 1"]
    assert all(not torch.allclose(one, before) for one in answers)
    assert torch.equal(network.logits(pictures), before)
    assert all(torch.equal(tensor, weights[name]) for name, tensor in kept.items())
    again = [forgetting.logits(pictures) for _, forgetting in cascade(network)]
    assert all(torch.equal(one, other) for one, other in zip(answers, again, strict=True))


@pytest.mark.parametrize("views", [1, 2])
def test_the_last_layer_learns_labels_that_were_dealt_out_at_random(views: int) -> None:
    network, pictures = random_network(views=views), images(12)
    labels = torch.tensor([0, 1, 2] * 4)
    before = network.logits(pictures)
    shuffled, learnt = with_shuffled_labels(network, pictures, labels)
    answers = shuffled.logits(pictures).argmax(dim=1)
    dealt = labels[torch.randperm(12, generator=torch.Generator().manual_seed(0))]
    assert learnt == float((answers == dealt).double().mean())
    assert learnt > 0.9  # 16 features for 12 pictures
    assert torch.equal(network.logits(pictures), before)
    assert torch.equal(shuffled.body[1].weight, network.body[1].weight)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    drawn = np.zeros((15, 20), np.uint8)
    drawn[5:10, 5:15] = 255
    stream = io.BytesIO()
    Image.fromarray(drawn).save(stream, "PNG")
    with zipfile.ZipFile(tmp_path / "masks.zip", "w") as opened:
        opened.writestr("HAM/ISIC_0000001_segmentation.png", stream.getvalue())
        opened.writestr("HAM/ISIC_0000002.png", stream.getvalue())
        opened.writestr("HAM/ISIC_0000003_segmentation.png", b"no picture")
    return tmp_path / "masks.zip"


def test_masks_are_found_by_the_names_of_their_photographs(archive: Path, tmp_path: Path) -> None:
    masks = LesionMasks(archive)
    for name in ("ISIC_0000001.jpg", "ISIC_0000002.jpg"):
        assert name in masks
        found = masks.mask(name, (40, 30))
        assert found.shape == (30, 40)
        assert found.sum() == 4 * 50
        assert found[10:20, 10:30].all()
    assert "ISIC_0000009.jpg" not in masks
    (tmp_path / "data" / "masks").mkdir(parents=True)
    Image.new("L", (4, 4), 255).save(tmp_path / "data" / "masks" / "a_segmentation.png")
    assert find_masks(tmp_path / "data").mask("a.jpg", (4, 4)).all()
    assert "ISIC_0000001.jpg" in find_masks(tmp_path / "data", archive)


def test_masks_that_do_not_fit_are_one_clear_sentence(archive: Path, tmp_path: Path) -> None:
    masks = LesionMasks(archive)
    with pytest.raises(DatasetError, match=r"has no mask for other\.jpg"):
        masks.mask("other.jpg", (20, 15))
    with pytest.raises(
        DatasetError, match=r"20 x 15 pixels and ISIC_0000001\.jpg 15 x 15: they are not of one"
    ):
        masks.mask("ISIC_0000001.jpg", (15, 15))
    with pytest.raises(DatasetError, match=r"ISIC_0000003_segmentation\.png .* cannot be read"):
        masks.mask("ISIC_0000003.jpg", (20, 15))
    with pytest.raises(DatasetError, match="holds no masks/"):
        find_masks(tmp_path)
    (tmp_path / "bare").mkdir()
    with pytest.raises(DatasetError, match="bare holds no masks"):
        LesionMasks(tmp_path / "bare")
    with pytest.raises(DatasetError, match="does not exist"):
        LesionMasks(tmp_path / "none.zip")
