"""export.py and its formats: what is written answers as the model does, says what it is, or is not written at all."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch

from derm_core.diagnoses import NOTICE
from derm_core.errors import ConfigError, InvalidImageError
from derm_core.serving import export_formats, export_onnx, export_torch
from derm_core.serving.bundle import Bundle
from derm_core.serving.calibration import Calibration
from derm_core.serving.export import drawn_pictures, export_model
from derm_core.serving.export_check import Disagreement, Outputs, check_agreement
from derm_core.serving.export_formats import FORMATS
from derm_core.serving.export_graph import OUTPUTS, ExportGraph, export_metadata
from derm_core.serving.predictor import Predictor
from derm_core.serving.preparation import prepare
from tests.tiny_bundle import tiny_bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny") as made:
        yield made


@pytest.fixture(scope="module")
def onnx_file(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exports") / "model.onnx"
    agreement = export_model(bundle, "onnx", path)
    assert agreement.pictures == len(drawn_pictures())
    assert agreement.difference < 1e-5
    assert agreement.correlation > 0.99999
    return path


def test_an_onnx_file_is_valid_and_takes_any_batch_of_pixels(bundle: Bundle, onnx_file: Path) -> None:
    model = onnx.load(onnx_file)
    onnx.checker.check_model(model, full_check=True)
    (taken,) = model.graph.input
    assert taken.name == "pixels"
    assert taken.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    batch, *rest = taken.type.tensor_type.shape.dim
    assert batch.dim_param
    assert [dim.dim_value for dim in rest] == [64, 64, 3]
    assert [value.name for value in model.graph.output] == list(OUTPUTS)
    session = onnxruntime.InferenceSession(onnx_file)
    for count in (1, 3, 5):
        answers = session.run(None, {"pixels": np.zeros((count, 64, 64, 3), np.uint8)})
        logits, probabilities, heatmaps, features = answers
        assert logits.shape == probabilities.shape == (count, 7)
        assert heatmaps.shape[:2] == (count, 7)
        assert features.shape == (count, 1280)


def test_an_onnx_file_says_what_it_is(bundle: Bundle, onnx_file: Path) -> None:
    told = onnxruntime.InferenceSession(onnx_file).get_modelmeta().custom_metadata_map
    assert told == export_metadata(bundle.description)
    assert json.loads(told["classes"]) == list(bundle.description.classes)
    assert json.loads(told["malignant"]) == [True, True, False, False, True, False, False]
    assert json.loads(told["preprocessing"]) == bundle.description.preprocessing.to_dict()
    assert float(told["temperature"]) == 0.75
    assert [point["threshold"] for point in json.loads(told["operating_points"])] == [0.4, 0.5]
    assert told["weights_sha256"] == bundle.description.weights_sha256
    assert (told["licence"], told["notice"]) == ("CC0-1.0", NOTICE)


def test_probabilities_are_those_of_the_answer(bundle: Bundle, onnx_file: Path) -> None:
    predictor, session = Predictor(bundle), onnxruntime.InferenceSession(onnx_file)
    for picture in drawn_pictures(3):
        prepared = prepare(picture, bundle.description.preprocessing, bundle.description.quality)
        (found,) = session.run(["probabilities"], {"pixels": prepared.pixels[None]})
        wanted = list(predictor.predict(picture).probabilities.values())
        assert found[0] == pytest.approx(wanted, abs=1e-5)


def test_the_calibration_is_inside(bundle: Bundle) -> None:
    bias = (0.3, -0.2, 0.5, 0.0, 1.0, -1.0, 0.1)
    calibrated = replace(
        bundle, description=replace(bundle.description, calibration=Calibration("bias", bias, bias))
    )
    graph = ExportGraph(calibrated)
    (picture,) = drawn_pictures(1)
    pixels = prepare(picture, bundle.description.preprocessing, bundle.description.quality).pixels
    with torch.inference_mode():
        found = graph(torch.from_numpy(pixels[None]))[1][0].numpy()
    wanted = list(Predictor(calibrated).predict(picture).probabilities.values())
    assert found == pytest.approx(wanted, abs=1e-5)
    assert found != pytest.approx(list(Predictor(bundle).predict(picture).probabilities.values()), abs=1e-2)


def test_openvino_keeps_names_metadata_and_answers(bundle: Bundle, tmp_path: Path) -> None:
    agreement = export_model(bundle, "openvino", tmp_path / "ir")
    assert agreement.difference < 1e-4
    assert sorted(path.name for path in (tmp_path / "ir").iterdir()) == ["model.bin", "model.xml"]
    model = openvino.Core().read_model(tmp_path / "ir" / "model.xml")
    assert [value.any_name for value in model.outputs] == list(OUTPUTS)
    for key, value in export_metadata(bundle.description).items():
        assert model.get_rt_info(["dermatrace", key]).astype(str) == value


def test_a_torch_program_keeps_its_metadata_and_runs_without_this_package(
    bundle: Bundle, tmp_path: Path
) -> None:
    agreement = export_model(bundle, "torch", tmp_path / "model.pt2")
    assert agreement.difference < 1e-6
    extra = {export_torch.METADATA_FILE: ""}
    program = torch.export.load(tmp_path / "model.pt2", extra_files=extra)
    assert json.loads(extra[export_torch.METADATA_FILE]) == export_metadata(bundle.description)
    logits, *_ = program.module()(torch.zeros(4, 64, 64, 3, dtype=torch.uint8))
    assert logits.shape == (4, 7)


def altered(outputs: Outputs, change: str) -> Outputs:
    """Returns what an export gives that went wrong in one way."""
    if change == "another class first":
        return replace(outputs, probabilities=outputs.probabilities[:, ::-1])
    if change == "a probability off":
        return replace(outputs, probabilities=outputs.probabilities + np.float32(0.002))
    if change == "a heatmap turned":
        return replace(outputs, heatmaps=outputs.heatmaps.swapaxes(2, 3))
    if change == "a heatmap empty":
        return replace(outputs, heatmaps=outputs.heatmaps * 0)
    return replace(outputs, features=outputs.features[:, ::-1])


@pytest.mark.parametrize(
    "change",
    ["another class first", "a probability off", "a heatmap turned", "a heatmap empty", "features mixed up"],
)
def test_an_export_that_answers_otherwise_is_not_kept(
    bundle: Bundle, onnx_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    run = export_onnx.load(onnx_file)

    def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
        path.write_bytes(b"wrong")

    monkeypatch.setattr(export_onnx, "write", write)
    monkeypatch.setattr(export_onnx, "load", lambda path: lambda pixels: altered(run(pixels), change))
    with pytest.raises(Disagreement, match=r"On picture 1.*Nothing was written"):
        export_model(bundle, "onnx", tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_batch_that_mixes_its_pictures_up_is_noticed(bundle: Bundle, onnx_file: Path) -> None:
    run = export_onnx.load(onnx_file)

    def mixed(pixels: np.ndarray) -> Outputs:
        return run(pixels[::-1])

    with pytest.raises(Disagreement, match="together"):
        check_agreement(bundle, mixed, drawn_pictures())


def test_a_failed_export_leaves_the_earlier_one_and_nothing_else(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "model.onnx").write_bytes(b"earlier")

    def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(export_onnx, "write", write)
    with pytest.raises(OSError, match="No space"):
        export_model(bundle, "onnx", tmp_path / "model.onnx", overwrite=True)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"model.onnx": b"earlier"}


def test_pictures_given_are_checked_as_well(
    bundle: Bundle, onnx_file: Path, tiny_pictures: list[Path]
) -> None:
    agreement = check_agreement(bundle, export_onnx.load(onnx_file), [*drawn_pictures(2), *tiny_pictures])
    assert agreement.pictures == 2 + len(tiny_pictures)
    with pytest.raises(InvalidImageError):
        check_agreement(bundle, export_onnx.load(onnx_file), [onnx_file])


def test_what_cannot_be_written_is_said_before_anything_is_done(
    bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = tmp_path / "there.onnx"
    there.touch()
    with pytest.raises(ConfigError, match=r"exists already"):
        export_model(bundle, "onnx", there)
    with pytest.raises(ConfigError, match=r"must end in \.onnx"):
        export_model(bundle, "onnx", tmp_path / "model")
    with pytest.raises(ConfigError, match="is a file; the format triton is a folder"):
        export_model(bundle, "triton", there, overwrite=True)
    with pytest.raises(ConfigError, match=r"Known: .*Did you mean 'onnx'"):
        export_model(bundle, "onx", there)
    monkeypatch.setattr(export_formats.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"needs onnx, .*pip install 'derm_core\[onnx\]'"):
        export_model(bundle, "onnx", tmp_path / "model.onnx")
    assert [path.name for path in tmp_path.iterdir()] == ["there.onnx"]


def test_every_format_has_its_module_and_one_line() -> None:
    for name, kind in FORMATS.items():
        assert kind.name == name
        assert "\n" not in kind.summary
        assert (Path(export_formats.__file__).parent / f"{kind.module}.py").is_file()


def test_drawn_pictures_are_fit_to_be_answered_and_always_the_same(bundle: Bundle) -> None:
    first, again = drawn_pictures(), drawn_pictures()
    assert [picture.tobytes() for picture in first] == [picture.tobytes() for picture in again]
    assert len({picture.tobytes() for picture in first}) == len(first)
    predictor = Predictor(bundle)
    assert [predictor.predict(picture).quality for picture in first] == [()] * len(first)
