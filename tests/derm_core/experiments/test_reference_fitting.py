"""A reference learns what photographs are like, here of a model whose features can be read off a picture."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from derm_core.data.table import Dataset, write_dataset
from derm_core.experiments import reference_fitting
from derm_core.experiments.plain_skin import cut_skin
from derm_core.experiments.reference_fitting import add_reference, fit_reference
from derm_core.images import load_image
from derm_core.serving.bundle import find_bundle, load_bundle
from derm_core.serving.outliers import Reference
from tests.derm_core.serving.references import reference

TRAIN, VALID = 60, 30


def photograph(seed: int) -> Image.Image:
    """A dark spot in the middle of skin, with little noise."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[:75, :100]
    reach = random.uniform(12, 22)
    spot = (rows - 37) ** 2 + (columns - 50) ** 2 < reach**2
    pixels = np.where(spot[..., None], random.integers(60, 100, 3), (215, 170, 155))
    pixels = pixels + random.normal(0, 3, (75, 100, 3))
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


class Eye:
    """Sees the mean colour of each of 12 x 9 parts of a picture: 324 features."""

    def features(self, picture: Any) -> np.ndarray:
        image = picture if isinstance(picture, Image.Image) else load_image(picture)
        return np.asarray(image.resize((12, 9), Image.Resampling.BOX), np.float32).ravel() / 255


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rows, pictures = [], []
    for number in range(TRAIN + VALID):
        stream = io.BytesIO()
        photograph(number).save(stream, "PNG")
        pictures.append(stream.getvalue())
        rows.append(
            {"image": f"{number}.png", "diagnosis": "nv", "lesion_id": f"{number}", "age": np.nan}
            | {"sex": "", "site": "", "confirmed_by": "", "split": "train" if number < TRAIN else "val"}
        )
    return write_dataset(tmp_path_factory.mktemp("spots") / "dataset", pd.DataFrame(rows), pictures)


FEW = {"_LEAST_TRAINING": 40, "_LEAST_VALIDATION": 20, "_LEAST_SKIN": 10, "_OTHER": 60, "DIMENSIONS": 4}
"""Settings that make a reference of a few dozen pictures."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in FEW.items():
        monkeypatch.setattr(reference_fitting, name, value)


def fit(dataset: Dataset, **options: Any) -> Reference | None:
    return fit_reference(Eye(), dataset.subset("train"), dataset.subset("val"), **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def told() -> list[int]:
    """What progress was told when `known` was fitted: for each picture, of how many it is."""
    return []


@pytest.fixture(scope="module")
def known(dataset: Dataset, told: list[int]) -> Reference:
    def progress(rows: Any, count: int) -> Any:
        for row in rows:
            told.append(count)
            yield row

    with pytest.MonkeyPatch.context() as patch:
        for name, value in FEW.items():
            patch.setattr(reference_fitting, name, value)
        reference = fit(dataset, progress=progress)
    assert reference is not None
    return reference


def test_photographs_pass_and_skin_and_other_pictures_do_not(known: Reference) -> None:
    generator, eye = np.random.default_rng(5), Eye()
    photographs = [eye.features(photograph(seed)) for seed in range(1000, 1040)]
    skin = [cut_skin(photograph(seed), generator) for seed in range(1000, 1040)]
    noise = [Image.fromarray(generator.integers(0, 256, (75, 100, 3), np.uint8)) for _ in range(20)]
    assert np.mean([bool(known.flags(row)) for row in photographs]) <= 0.1
    assert np.mean([bool(known.flags(eye.features(window))) for window in skin if window]) >= 0.9
    assert all(known.flags(eye.features(picture)) for picture in noise)
    stripes = Image.fromarray(np.repeat(np.array([[0, 255] * 6], np.uint8), 9, axis=0)).convert("RGB")
    assert [flag.name for flag in known.flags(eye.features(stripes))] == ["not-dermoscopy"]


def test_what_was_measured_says_how_much_and_how_well(dataset: Dataset, known: Reference) -> None:
    measured = known.measured
    assert (measured["training photographs"], measured["drawn pictures"]) == (TRAIN, 60)
    assert measured["validation photographs"] == VALID
    eye, valid = Eye(), dataset.subset("val")
    refused = [bool(known.flags(eye.features(valid.image_path(row)))) for row in range(VALID)]
    assert measured["validation photographs refused"] == np.mean(refused)
    assert measured["validation windows of bare skin refused"] > 0.9
    json.dumps(measured, allow_nan=False)


@pytest.mark.usefixtures("few")
def test_what_a_second_dataset_shows_of_other_lesions_is_known_too(
    dataset: Dataset, known: Reference, tmp_path: Path
) -> None:
    def in_green_light(seed: int) -> Image.Image:
        lit = np.asarray(photograph(seed)) * [0.05, 1.0, 0.05]
        return Image.fromarray(lit.astype(np.uint8))

    rows, pictures = [], []
    for number in range(40):
        stream = io.BytesIO()
        in_green_light(number).save(stream, "PNG")
        pictures.append(stream.getvalue())
        # Ten of them show lesions that are trained on or validated with.
        lesion = str(TRAIN - 5 + number) if number < 10 else f"elsewhere-{number}"
        rows.append(
            {"image": f"{number}.png", "diagnosis": "nv", "lesion_id": lesion, "age": np.nan}
            | {"sex": "", "site": "", "confirmed_by": "", "split": "train"}
        )
    extra = write_dataset(tmp_path / "elsewhere", pd.DataFrame(rows), pictures)
    wider = fit(dataset, extra=extra)
    assert wider is not None
    assert wider.measured["training photographs"] == TRAIN
    assert wider.measured["training photographs from elsewhere"] == 30
    unseen = [Eye().features(in_green_light(seed)) for seed in range(1000, 1020)]
    assert np.mean([bool(known.flags(row)) for row in unseen]) == 1
    assert np.mean([bool(wider.flags(row)) for row in unseen]) <= 0.2


@pytest.mark.usefixtures("known")
def test_progress_is_told_of_every_picture(told: list[int]) -> None:
    # Training photographs as they are and retaken, and drawn pictures; validation photographs twice.
    assert told.count(60) >= 3 * TRAIN
    assert told.count(VALID) >= 2 * VALID


@pytest.mark.usefixtures("few")
def test_the_same_pictures_give_the_same_reference(dataset: Dataset, known: Reference) -> None:
    assert fit(dataset) == known


def test_too_few_photographs_make_no_reference(dataset: Dataset) -> None:
    assert fit(dataset) is None


@pytest.mark.usefixtures("few")
def test_photographs_without_bare_skin_make_no_reference(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reference_fitting, "cut_skin", lambda image, generator: None)
    assert fit(dataset) is None


def test_a_reference_is_added_to_a_bundle_that_stands(
    dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(find_bundle("bundled"), tmp_path / "bundle")
    before = load_bundle(folder)
    monkeypatch.setattr(reference_fitting, "fit_reference", lambda *args, **options: reference())
    assert add_reference(folder, Eye(), dataset, dataset) == reference()  # type: ignore[arg-type]
    after = load_bundle(folder)
    assert after.description.reference_statistics == reference()
    assert after.description.weights_sha256 == before.description.weights_sha256
    assert after.description.operating_points == before.description.operating_points
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in before.folder.iterdir()
    )
