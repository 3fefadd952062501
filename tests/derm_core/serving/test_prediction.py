"""Answers as plain values."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import numpy as np
import pytest

from derm_core.errors import DermError
from derm_core.serving.prediction import Explanations, Prediction, QualityFlag

PREDICTION = Prediction(
    probabilities={"nv": 0.7, "mel": 0.3},
    top="nv",
    malignant_probability=0.3,
    operating_point=0.25,
    advice="unsure",
    quality=(QualityFlag("too-small", "Take it again."),),
    model_name="tiny",
    model_version="1",
    model_sha256="ab",
    seconds=0.25,
    context=("age", "site"),
    plausible=("nv", "mel"),
    prevalence=0.05,
)


def test_a_prediction_survives_the_trip_through_json() -> None:
    back = Prediction.from_dict(json.loads(json.dumps(PREDICTION.to_dict())))
    assert back == PREDICTION
    assert list(back.probabilities) == ["nv", "mel"]
    assert back.quality[0].reason == "Take it again."
    assert PREDICTION.to_dict()["context"] == ["age", "site"]
    assert PREDICTION.to_dict()["plausible"] == ["nv", "mel"]


def test_what_is_handed_out_is_a_copy() -> None:
    PREDICTION.to_dict()["probabilities"]["nv"] = 0.0
    assert PREDICTION.probabilities["nv"] == 0.7


@pytest.mark.parametrize("change", [{"extra": 1}, {"advice": "cut"}])
def test_a_stored_prediction_of_another_shape_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(DermError, match="A stored prediction"):
        Prediction.from_dict(PREDICTION.to_dict() | change)
    with pytest.raises(DermError, match="A stored prediction has the keys none"):
        Prediction.from_dict({})


EARLIER = {"context": (), "plausible": (), "prevalence": None}
"""What predictions did not say from the first, with what that meant."""


@pytest.mark.parametrize("without", [["plausible", "prevalence"], list(EARLIER)])
def test_a_prediction_stored_by_an_earlier_version_is_read_as_what_it_was(without: list[str]) -> None:
    stored = {key: value for key, value in PREDICTION.to_dict().items() if key not in without}
    expected = dataclasses.replace(PREDICTION, **{key: EARLIER[key] for key in without})
    assert Prediction.from_dict(stored) == expected


@pytest.mark.parametrize("key", [key for key in PREDICTION.to_dict() if key not in EARLIER])
def test_any_other_key_may_not_be_missing(key: str) -> None:
    stored = PREDICTION.to_dict()
    del stored[key]
    with pytest.raises(DermError, match=rf"has the keys .*; wanted: .*\b{key}\b"):
        Prediction.from_dict(stored)


def test_heatmaps_of_all_classes_are_a_mapping_in_class_order() -> None:
    heatmaps = {code: np.zeros((2, 3), np.float32) for code in ("nv", "mel")}
    explanations = Explanations(PREDICTION, heatmaps)
    assert list(explanations) == ["nv", "mel"]
    assert len(explanations) == 2
    assert explanations["mel"] is heatmaps["mel"]
    assert "bcc" not in explanations


def test_answers_and_colours_need_no_torch() -> None:
    code = (
        "import sys; import derm_core.serving.prediction, derm_core.explanation.overlay; "
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
