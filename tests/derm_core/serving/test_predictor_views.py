"""A bundle that asks for several views of each picture: one answer, and one heatmap laid back over the picture."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageOps

from derm_core.explanation.grad_cam import grad_cam_all
from derm_core.models import split_model
from derm_core.serving.bundle import BundleDescription, load_bundle
from derm_core.serving.decoding import Picture
from derm_core.serving.prediction import Prediction
from derm_core.serving.predictor import Predictor

from .conftest import draw_lesion

TURNS = [
    lambda image: image,
    ImageOps.mirror,
    ImageOps.flip,
    lambda image: image.transpose(Image.Transpose.ROTATE_180),
    lambda image: image.transpose(Image.Transpose.TRANSPOSE),
    lambda image: image.transpose(Image.Transpose.ROTATE_90),
    lambda image: image.transpose(Image.Transpose.ROTATE_270),
    lambda image: image.transpose(Image.Transpose.TRANSVERSE),
]
"""The eight symmetries of the square: as many leading ones as there are views, in their order."""


@pytest.fixture(scope="module")
def square() -> Image.Image:
    """A picture of the network's own size: nothing resizes or compresses it on its way, which no mirror survives."""
    return draw_lesion((64, 64), seed=3)


def with_views(bundle_folder: Path, views: int) -> Predictor:
    bundle = load_bundle(bundle_folder)
    described: BundleDescription = dataclasses.replace(bundle.description, views=views)
    return Predictor(dataclasses.replace(bundle, description=described))


@pytest.fixture(scope="module")
def eight(bundle_folder: Path) -> Predictor:
    return with_views(bundle_folder, 8)


def risks(predictor: Predictor, image: Image.Image) -> np.ndarray:
    return np.array(list(predictor.predict(image).probabilities.values()))


def test_a_picture_and_all_its_symmetries_are_answered_alike(
    eight: Predictor, predictor: Predictor, square: Image.Image
) -> None:
    answers = np.stack([risks(eight, turn(square)) for turn in TURNS])
    np.testing.assert_allclose(answers, np.broadcast_to(answers[0], answers.shape), atol=1e-5, rtol=0)
    # One view tells them apart.
    assert np.ptp([risks(predictor, turn(square)) for turn in TURNS[:2]], axis=0).max() > 1e-3


@pytest.mark.parametrize(("views", "turns"), [(2, [1]), (4, [1, 2, 3])])
def test_fewer_views_answer_their_own_symmetries_alike(
    bundle_folder: Path, square: Image.Image, views: int, turns: list[int]
) -> None:
    some = with_views(bundle_folder, views)
    for turn in turns:
        np.testing.assert_allclose(risks(some, TURNS[turn](square)), risks(some, square), atol=1e-5, rtol=0)
    assert np.abs(risks(some, TURNS[4](square)) - risks(some, square)).max() > 1e-4


def test_the_heatmap_of_a_mirrored_picture_is_the_mirrored_heatmap(
    eight: Predictor, predictor: Predictor, square: Image.Image
) -> None:
    mirrored = ImageOps.mirror(square)
    one, other = eight.explain_all(square), eight.explain_all(mirrored)
    assert tuple(one) == tuple(other)
    for code in one:
        np.testing.assert_allclose(other[code], one[code][:, ::-1], atol=1e-5)
    top = eight.explain(square)
    np.testing.assert_allclose(eight.explain(mirrored).heatmap, top.heatmap[:, ::-1], atol=1e-5)
    np.testing.assert_allclose(top.heatmap, one[top.code], atol=1e-6)
    assert np.ptp(top.heatmap) > 0.1
    # One view alone does not mirror.
    alone = predictor.explain(square, top.code).heatmap
    assert np.abs(predictor.explain(mirrored, top.code).heatmap - alone[:, ::-1]).max() > 1e-2


def test_the_answer_is_the_mean_of_the_logits_and_the_heatmap_that_of_the_views(
    bundle_folder: Path, square: Image.Image
) -> None:
    two = with_views(bundle_folder, 2)
    bundle = load_bundle(bundle_folder)
    body, head = split_model(bundle.build_model(), bundle.description.architecture)
    pixels = np.stack([np.asarray(square), np.asarray(square)[:, ::-1]])
    logits, maps = grad_cam_all(body, head, bundle.description.preprocessing.tensor(pixels))
    scaled = torch.softmax(logits.double().mean(dim=0) / bundle.description.temperature, dim=0)
    np.testing.assert_allclose(risks(two, square), scaled.numpy(), atol=1e-6)
    merged = (maps[0] + maps[1].flip(-1)) / 2
    for index, code in enumerate(two.classes):
        expected = merged[index] / merged[index].max().clamp_min(1e-12)
        placed = bundle.description.preprocessing.place_heatmap(expected.numpy(), 64, 64)
        np.testing.assert_allclose(two.explain(square, code).heatmap, placed, atol=1e-4)


def test_pictures_in_a_batch_are_answered_as_alone(
    eight: Predictor, pictures: list[Path], square: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources: list[Picture] = [*pictures[:3], square]
    monkeypatch.setattr(type(eight.passes.runtime), "batches", True)
    together = list(eight.predict_many(sources, batch_size=4))
    for source, answer in zip(sources, together, strict=True):
        assert isinstance(answer, Prediction)
        alone = eight.predict(source).probabilities
        assert answer.probabilities == pytest.approx(dict(alone), abs=1e-5)
    assert list(eight.predict_many(sources))[2].top == eight.predict(sources[2]).top
