"""deploy/triton and the repository that is exported for it: a config that says what the network takes and gives.

The config is read with protobuf's own strict reader of the text format, against the fields of Triton's ModelConfig
that are used here (triton-inference-server/common, protobuf/model_config.proto).
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format

from deploy.triton import client
from derm_core.serving.bundle import Bundle
from derm_core.serving.export import export_model
from derm_core.serving.export_graph import export_metadata
from derm_core.serving.predictor import Predictor
from tests.tiny_bundle import tiny_bundle

_KINDS = descriptor_pb2.FieldDescriptorProto
_TYPES = {onnx.TensorProto.UINT8: "TYPE_UINT8", onnx.TensorProto.FLOAT: "TYPE_FP32"}
SCHEMA = {
    "ModelConfig": [
        ("name", 1, "string"),
        ("max_batch_size", 4, "int32"),
        ("input", 5, "*ModelInput"),
        ("output", 6, "*ModelOutput"),
        ("dynamic_batching", 11, "ModelDynamicBatching"),
        ("parameters", 14, "*ParametersEntry"),
        ("model_warmup", 16, "*ModelWarmup"),
        ("backend", 17, "string"),
    ],
    "ModelInput": [("name", 1, "string"), ("data_type", 2, "DataType"), ("dims", 4, "*int64")],
    "ModelOutput": [
        ("name", 1, "string"),
        ("data_type", 2, "DataType"),
        ("dims", 3, "*int64"),
        ("label_filename", 4, "string"),
    ],
    "ModelDynamicBatching": [("max_queue_delay_microseconds", 2, "uint64")],
    "ModelParameter": [("string_value", 1, "string")],
    "ParametersEntry": [("key", 1, "string"), ("value", 2, "ModelParameter")],
    "ModelWarmup": [("name", 1, "string"), ("batch_size", 2, "uint32"), ("inputs", 3, "*InputsEntry")],
    "InputsEntry": [("key", 1, "string"), ("value", 2, "WarmupInput")],
    "WarmupInput": [("data_type", 1, "DataType"), ("dims", 2, "*int64"), ("zero_data", 3, "bool")],
}
DATA_TYPES = {"TYPE_INVALID": 0, "TYPE_UINT8": 2, "TYPE_FP32": 11}


def model_config() -> Any:
    """Returns an empty ModelConfig of the fields above; any other in a text is an error."""
    file = descriptor_pb2.FileDescriptorProto(name="subset.proto", package="inference", syntax="proto3")
    types = file.enum_type.add(name="DataType")
    for name, number in DATA_TYPES.items():
        types.value.add(name=name, number=number)
    for name, fields in SCHEMA.items():
        message = file.message_type.add(name=name)
        for field, number, kind in fields:
            plain = kind.removeprefix("*")
            added = message.field.add(name=field, number=number)
            added.label = _KINDS.LABEL_REPEATED if kind.startswith("*") else _KINDS.LABEL_OPTIONAL
            if plain in SCHEMA or plain == "DataType":
                added.type = _KINDS.TYPE_ENUM if plain == "DataType" else _KINDS.TYPE_MESSAGE
                added.type_name = f".inference.{plain}"
            else:
                added.type = getattr(_KINDS, f"TYPE_{plain.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("inference.ModelConfig"))()


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bundle]:
    with tiny_bundle(tmp_path_factory.mktemp("bundles") / "tiny") as made:
        yield made


@pytest.fixture(scope="module")
def repository(bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports") / "models"
    export_model(bundle, "triton", folder)
    return folder


@pytest.fixture(scope="module")
def config(repository: Path) -> Any:
    return text_format.Parse((repository / "dermatrace" / "config.pbtxt").read_text("utf-8"), model_config())


def test_the_repository_is_laid_out_as_the_server_looks_for_it(repository: Path, bundle: Bundle) -> None:
    files = {str(path.relative_to(repository)) for path in repository.rglob("*") if path.is_file()}
    assert files == {"dermatrace/config.pbtxt", "dermatrace/labels.txt", "dermatrace/1/model.onnx"}
    labels = (repository / "dermatrace" / "labels.txt").read_text().split()
    assert labels == list(bundle.description.classes)


def test_the_config_says_what_the_network_takes_and_gives(config: Any, repository: Path) -> None:
    graph = onnx.load(repository / "dermatrace" / "1" / "model.onnx").graph
    assert (config.name, config.backend) == ("dermatrace", "onnxruntime")
    assert config.max_batch_size > 1
    for said, true in ((config.input, graph.input), (config.output, graph.output)):
        assert [tensor.name for tensor in said] == [value.name for value in true]
        for tensor, value in zip(said, true, strict=True):
            batch, *rest = value.type.tensor_type.shape.dim
            assert batch.dim_param  # The batch is the server's, and free in the file.
            assert list(tensor.dims) == [dim.dim_value for dim in rest]
            assert min(tensor.dims) > 0
            assert tensor.data_type == DATA_TYPES[_TYPES[value.type.tensor_type.elem_type]]
    assert {tensor.name for tensor in config.output if tensor.label_filename} == {"probabilities"}
    (warm_up,) = config.model_warmup
    (entry,) = warm_up.inputs
    assert entry.key == config.input[0].name
    assert list(entry.value.dims) == list(config.input[0].dims)
    assert config.dynamic_batching.max_queue_delay_microseconds > 0


def test_the_config_carries_the_metadata(config: Any, bundle: Bundle) -> None:
    carried = {entry.key: entry.value.string_value for entry in config.parameters}
    assert carried == export_metadata(bundle.description)


@pytest.fixture(scope="module")
def server(repository: Path, config: Any) -> Iterator[str]:
    """The address of a server that answers inference requests of the KServe v2 protocol, in its JSON form."""
    session = onnxruntime.InferenceSession(repository / "dermatrace" / "1" / "model.onnx")
    types = {"UINT8": np.uint8}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["content-length"])))
            assert self.path == f"/v2/models/{config.name}/infer"
            (given,) = request["inputs"]
            pixels = np.array(given["data"], types[given["datatype"]]).reshape(given["shape"])
            names = [output["name"] for output in request["outputs"]]
            outputs = [
                {"name": name, "shape": list(value.shape), "datatype": "FP32", "data": value.ravel().tolist()}
                for name, value in zip(names, session.run(names, {given["name"]: pixels}), strict=True)
            ]
            body = json.dumps({"model_name": config.name, "model_version": "1", "outputs": outputs}).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            """Keeps the test's output clean."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_the_example_client_makes_the_models_answer_of_what_the_server_says(
    server: str, bundle: Bundle, tiny_pictures: list[Path]
) -> None:
    for picture in tiny_pictures:
        wanted = Predictor(bundle).predict(picture)
        answer = client.ask(server, bundle.description, picture)
        assert dict(answer.probabilities) == pytest.approx(dict(wanted.probabilities), abs=1e-5)
        assert (answer.top, answer.advice, answer.quality) == (wanted.top, wanted.advice, wanted.quality)
