"""deploy/aws_lambda: the folder that is exported answers API-Gateway events as the model does, without PyTorch."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import _lambda_folder
import pytest
from PIL import Image

from derm_core.errors import ConfigError
from derm_core.serving.bundle import Bundle
from derm_core.serving.export import drawn_pictures
from derm_core.serving.export_check import Disagreement
from derm_core.serving.predictor import Predictor
from derm_core.serving.preparation import prepare
from tests.tiny_bundle import tiny_bundle

_PREPARE = """
import hashlib, json, sys
sys.modules["torch"] = None
from derm_core.serving.description import read_description
from derm_core.serving.preparation import prepare
from pathlib import Path
told = read_description(Path("model"))
digests = [hashlib.sha256(prepare(name, told.preprocessing, told.quality).pixels).hexdigest() for name in sys.argv[1:]]
print(json.dumps([prepare.__code__.co_filename, digests]))
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny") as made:
        yield made


@pytest.fixture(scope="module")
def exported(
    bundle: Bundle, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, _lambda_folder.LambdaReport]:
    folder = tmp_path_factory.mktemp("exports") / "function"
    return folder, _lambda_folder.write_lambda_folder(bundle, folder, [])


@pytest.fixture(scope="module")
def function(exported: tuple[Path, Any]) -> ModuleType:
    """The exported handler, in this process."""
    spec = importlib.util.spec_from_file_location("exported_handler", exported[0] / "handler.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        # The folder stays as it was exported.
        patch.setattr(sys, "dont_write_bytecode", True)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("pictures") / "large.jpg"
    drawn_pictures(1)[0].resize((1600, 1200), Image.Resampling.BICUBIC).save(path, quality=90)
    return path


def http_api(body: bytes, kind: str, method: str = "POST", **query: str) -> dict[str, Any]:
    """The event of an HTTP API or a function URL: payload format 2.0."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/",
        "headers": {"content-type": kind, "host": "id.execute-api.eu-central-1.amazonaws.com"},
        "requestContext": {"http": {"method": method, "path": "/", "protocol": "HTTP/1.1"}},
        **({"queryStringParameters": query} if query else {}),
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


def rest_api(body: bytes, kind: str, method: str = "POST", **query: str) -> dict[str, Any]:
    """The event of a REST API: payload format 1.0, with null for what is not there."""
    return {
        "resource": "/",
        "path": "/",
        "httpMethod": method,
        "headers": {"Content-Type": kind, "Host": "id.execute-api.eu-central-1.amazonaws.com"},
        "multiValueHeaders": {"Content-Type": [kind]},
        "queryStringParameters": query or None,
        "requestContext": {"httpMethod": method, "stage": "prod"},
        "body": base64.b64encode(body).decode(),
        "isBase64Encoded": True,
    }


Event = Callable[..., dict[str, Any]]
EVENTS = pytest.mark.parametrize("event", [http_api, rest_api])


def said(reply: dict[str, Any]) -> dict[str, Any]:
    assert reply["headers"]["content-type"] == "application/json; charset=utf-8"
    assert reply["isBase64Encoded"] is False
    values: dict[str, Any] = json.loads(reply["body"])
    return values


@EVENTS
def test_an_event_is_answered_as_the_model_answers(
    function: ModuleType, bundle: Bundle, picture: Path, event: Event
) -> None:
    wanted = Predictor(bundle).predict(picture)
    reply = function.handler(event(picture.read_bytes(), "image/jpeg"), None)
    assert reply["statusCode"] == 200
    values = said(reply)
    assert values["probabilities"] == pytest.approx(dict(wanted.probabilities), abs=1e-5)
    assert (values["top"], values["advice"]) == (wanted.top, wanted.advice)
    assert values["model_sha256"] == bundle.description.weights_sha256
    assert "heatmap" not in values


@EVENTS
def test_the_query_asks_for_a_heatmap(
    function: ModuleType, bundle: Bundle, picture: Path, event: Event
) -> None:
    values = said(function.handler(event(picture.read_bytes(), "image/jpeg", heatmap="mel"), None))
    assert values["heatmap"]["code"] == "mel"
    assert base64.b64decode(values["heatmap"]["png"]).startswith(b"\x89PNG")
    top = said(function.handler(event(picture.read_bytes(), "image/jpeg", heatmap="top"), None))
    assert top["heatmap"]["code"] == Predictor(bundle).explain(picture).code


def test_json_that_is_not_in_base64_is_read(function: ModuleType, picture: Path) -> None:
    text = json.dumps({"image": base64.b64encode(picture.read_bytes()).decode(), "age": 60})
    event = http_api(b"", "application/json") | {"body": text, "isBase64Encoded": False}
    assert function.handler(event, None)["statusCode"] == 200


@EVENTS
def test_what_is_wrong_is_json_with_its_status(
    function: ModuleType, event: Event, caplog: pytest.LogCaptureFixture
) -> None:
    def status(*parts: Any, **query: str) -> int:
        reply = function.handler(event(*parts, **query), None)
        assert list(said(reply)) == ["error"]
        code: int = reply["statusCode"]
        return code

    assert status(b"no picture", "image/jpeg") == 422
    assert status(b"no picture", "text/plain") == 415
    assert status(b"", "image/jpeg") == 400
    assert status(b"x", "image/jpeg", age="old") == 400
    assert status(b"x", "image/jpeg", "PUT") == 405
    assert status(b"x" * (function.MAX_BYTES + 1), "image/jpeg") == 413
    broken = event(b"x", "image/jpeg") | {"body": "%%%"}
    assert function.handler(broken, None)["statusCode"] == 400
    assert function.handler({"body": None, "headers": None}, None)["statusCode"] == 415
    assert not caplog.records


def test_what_nobody_foresaw_is_a_500_that_tells_nothing(
    function: ModuleType, picture: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*arguments: object) -> None:
        raise RuntimeError("secret path")

    monkeypatch.setattr(function._predictor, "predict", fail)
    reply = function.handler(http_api(picture.read_bytes(), "image/jpeg"), None)
    assert reply["statusCode"] == 500
    assert "secret" not in reply["body"]
    assert "secret path" in caplog.text


def test_get_says_what_the_model_is(function: ModuleType, bundle: Bundle) -> None:
    values = said(function.handler(http_api(b"", "", "GET"), None))
    assert values["model_name"] == bundle.description.name


def test_its_preprocessing_gives_the_same_bits_without_pytorch(
    exported: tuple[Path, Any], bundle: Bundle, picture: Path, tiny_pictures: list[Path]
) -> None:
    paths = [picture, *tiny_pictures]
    done = subprocess.run(
        [sys.executable, "-B", "-c", _PREPARE, *map(str, paths)],
        cwd=exported[0],
        capture_output=True,
        text=True,
        check=True,
    )
    used, digests = json.loads(done.stdout)
    assert Path(used).is_relative_to(exported[0])
    told = bundle.description
    assert digests == [
        hashlib.sha256(prepare(path, told.preprocessing, told.quality).pixels).hexdigest() for path in paths
    ]


def test_the_folder_holds_what_it_needs_and_no_more(exported: tuple[Path, Any]) -> None:
    folder, report = exported
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("handler.py", "cold_start.py", "Dockerfile", "README.md", "requirements.txt"),
        *("derm_core", "model"),
    }
    assert not [path for path in folder.rglob("*") if path.suffix in (".pyc", ".safetensors")]
    assert not (folder / "derm_core" / "training").exists()
    pins = (folder / "requirements.txt").read_text().splitlines()
    assert pins == [f"{name}=={version(name)}" for name in ("numpy", "onnxruntime", "pillow")]
    assert report.folder_bytes == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    assert report.packages_bytes > 10_000_000
    assert min(report.seconds_to_ready, report.seconds_first, report.seconds_next) > 0


def test_the_image_runs_the_handler_on_what_is_pinned(exported: tuple[Path, Any]) -> None:
    lines = (exported[0] / "Dockerfile").read_text().splitlines()
    assert any(line.startswith("FROM public.ecr.aws/lambda/python:3.") for line in lines)
    assert any("--requirement" in line and "requirements.txt" in line for line in lines)
    assert lines[-1] == 'CMD ["handler.handler"]'


def test_a_handler_that_answers_otherwise_is_not_kept(bundle: Bundle, picture: Path) -> None:
    wanted = json.loads(json.dumps(Predictor(bundle).predict(picture).to_dict()))
    _lambda_folder.check_replies(bundle, [picture], [{"status": 200, **wanted}])
    for change in (
        {"status": 500},
        {"advice": "none"},
        {"probabilities": {code: share + 0.01 for code, share in wanted["probabilities"].items()}},
    ):
        with pytest.raises(Disagreement, match=r"large\.jpg"):
            _lambda_folder.check_replies(bundle, [picture], [{"status": 200, **wanted, **change}])


def test_a_folder_that_is_there_is_not_replaced_unasked(bundle: Bundle, exported: tuple[Path, Any]) -> None:
    with pytest.raises(ConfigError, match="exists already"):
        _lambda_folder.write_lambda_folder(bundle, exported[0], [])
