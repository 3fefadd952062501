"""Small models, pictures and a run of predict.py in this process."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import predict
import pytest
import torch

from derm_core.data.transforms import Preprocessing
from derm_core.models import build_model
from derm_core.serving.bundle import BundleDescription, OperatingPoint, load_bundle, save_bundle
from derm_core.serving.context import SEXES, ContextModel
from tests.scripts.predicting import CLASSES, Run, read_rows


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small bundle with random weights."""
    torch.manual_seed(4)
    network = build_model("mobilenet_v3_small", 7)
    description = BundleDescription(
        name="untrained",
        version="0",
        architecture="mobilenet_v3_small",
        task="ham7",
        classes=CLASSES,
        preprocessing=Preprocessing(image_size=64, working_side=100),
        temperature=1.0,
        operating_points=(OperatingPoint("half", 0.5),),
        default_operating_point="half",
    )
    folder = tmp_path_factory.mktemp("models") / "untrained"
    save_bundle(folder, model_state=network.state_dict(), description=description)
    return folder


@pytest.fixture(scope="session")
def context_model(model: Path) -> Path:
    """The folder of the same bundle, to which each part of what is known of a patient speaks for another class."""
    bundle = load_bundle(model)
    shifts = np.zeros((len(CLASSES), 5))
    shifts[range(1, 6), range(5)] = 2.0
    context = ContextModel(
        knots=(20.0, 80.0),
        sexes=SEXES,
        sites=("back",),
        coefficients=tuple(map(tuple, shifts.tolist())),
        intercepts=(0.0,) * len(CLASSES),
        log_prior=(-np.log(len(CLASSES)),) * len(CLASSES),
        weight=1.0,
        temperature=1.0,
    )
    description = replace(
        bundle.description, context=context, context_operating_points=(OperatingPoint("half", 0.25),)
    )
    folder = model.with_name("with-context")
    state = bundle.build_model().state_dict()
    save_bundle(folder, model_state=state, description=description)
    return folder


@pytest.fixture
def folder(tmp_path: Path, tiny_pictures: list[Path]) -> Path:
    """Four good pictures in a folder and its sub-folder, and files that are none."""
    place = tmp_path / "clinic"
    (place / "left" / "arm").mkdir(parents=True)
    for path, target in zip(tiny_pictures, ("b.jpg", "a.JPEG", "left/c.jpg", "left/arm/a.jpg"), strict=True):
        path.rename(place / target)
    (place / "notes.txt").write_text("not a picture")
    (place / ".hidden.jpg").write_text("left by a camera")
    return place


@pytest.fixture
def run(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command in this process and returns the rows of its CSV."""

    def call(*arguments: object, out: Path | None = None, model: Path = model) -> list[dict[str, str]]:
        target = out or tmp_path / "answers.csv"
        command = ["predict.py", *arguments, "--model", model, "--device", "cpu", "--out", target]
        monkeypatch.setattr(sys, "argv", [str(word) for word in command])
        predict.main()
        return read_rows(target)

    return call


@pytest.fixture
def no_models_of_somebody(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No model of whoever runs the tests is found; what is imported is searched for garbage again."""
    monkeypatch.setenv("DERM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    yield
    gc.unfreeze()
