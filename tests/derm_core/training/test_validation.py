"""Validation asks the network in the run's number format, and records no figure that is not one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from derm_core.data.cache import open_pixels
from derm_core.data.table import Dataset
from derm_core.errors import ConfigError
from derm_core.models import build_model
from derm_core.training import sources, validation
from derm_core.training.hardware import Hardware
from derm_core.training.loop import fit
from derm_core.training.records import read_records
from derm_core.training.validation import predict_logits
from tests.derm_core.training.tiny import tiny_config

CPU = Hardware(torch.device("cpu"), torch.float32)


def test_logits_are_those_of_the_network_in_eval_mode(coloured: Dataset) -> None:
    config = tiny_config()
    network = build_model("mobilenet_v3_small", 3).train()
    pixels = open_pixels(coloured, config.preprocessing)
    logits = predict_logits(network, pixels, config, CPU)
    assert all(module.training for module in network.modules())
    assert logits.shape == (33, 3)
    assert logits.dtype == np.float32
    with torch.no_grad():
        expected = network.eval()(config.preprocessing.tensor(np.array(pixels)))
    assert np.allclose(logits, expected.numpy(), atol=1e-5)


def test_a_run_in_bfloat16_is_validated_in_it(coloured: Dataset) -> None:
    config = tiny_config()
    network = build_model("mobilenet_v3_small", 3)
    pixels = open_pixels(coloured, config.preprocessing)
    exact = predict_logits(network, pixels, config, CPU)
    rounded = predict_logits(network, pixels, config, Hardware(torch.device("cpu"), torch.bfloat16))
    assert rounded.dtype == np.float32
    assert not np.array_equal(exact, rounded)
    assert np.allclose(exact, rounded, atol=0.05)


def test_weights_that_give_no_finite_answer_are_not_recorded(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "predict_logits", lambda *arguments: np.full((9, 3), np.nan, np.float32))
    with pytest.raises(ConfigError, match="the validation pictures get no finite answer"):
        fit(tiny_config(epochs=1), coloured, tmp_path / "run")
    assert not (tmp_path / "run" / "records").exists()


def test_a_classifier_without_biases_is_recorded_with_zeros(
    coloured: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "classifier_layer", lambda network: torch.nn.Linear(4, 3, bias=False))
    row = read_records(fit(tiny_config(epochs=1), coloured, tmp_path / "run")).iloc[0]
    assert row["classifier.bias"].tolist() == [0.0, 0.0, 0.0]
    assert np.stack(row["classifier.weight"]).shape == (3, 4)
