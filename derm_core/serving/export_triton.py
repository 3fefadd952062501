"""A model repository for NVIDIA's Triton, which speaks the KServe v2 protocol: the ONNX file, its config, its labels.

dermatrace/config.pbtxt
dermatrace/labels.txt        the codes of the classes
dermatrace/1/model.onnx
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_core.serving import export_onnx
from derm_core.serving.export_check import Run
from derm_core.serving.export_graph import INPUT, ExportGraph

MODEL_NAME = "dermatrace"
MAX_BATCH_SIZE = 32
QUEUE_DELAY_MICROSECONDS = 2000
"""How long the server may hold a picture back for others to go through the network with it."""
LABELLED = "probabilities"
"""The output whose numbers belong to the labels."""
_TYPES = {1: "TYPE_FP32", 2: "TYPE_UINT8"}
"""Of TensorProto.DataType, as Triton calls them."""
_WARM_UP = """model_warmup {{
  name: "first"
  batch_size: 1
  inputs {{
    key: "{name}"
    value {{
      data_type: TYPE_UINT8
      dims: [ {side}, {side}, 3 ]
      zero_data: true
    }}
  }}
}}"""


def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
    """Writes the repository into a folder; shapes and types in config.pbtxt are read from the ONNX file itself."""
    home = path / MODEL_NAME
    model_file = home / "1" / "model.onnx"
    model_file.parent.mkdir(parents=True)
    export_onnx.write(graph, metadata, model_file)
    labels = home / "labels.txt"
    labels.write_text("\n".join(json.loads(metadata["classes"])) + "\n", encoding="utf-8")
    (home / "config.pbtxt").write_text(_config(model_file, metadata, labels.name), encoding="utf-8")


def load(path: Path) -> Run:
    """Returns what runs the repository's ONNX file, with ONNX Runtime on the CPU."""
    return export_onnx.load(path / MODEL_NAME / "1" / "model.onnx")


def _config(model_file: Path, metadata: Mapping[str, str], labels: str) -> str:
    """Returns the text of a ModelConfig (triton-inference-server/common, protobuf/model_config.proto)."""
    import onnx

    shapes = onnx.load(model_file, load_external_data=False).graph
    side = shapes.input[0].type.tensor_type.shape.dim[1].dim_value
    parts = [
        f'name: "{MODEL_NAME}"\nbackend: "onnxruntime"\nmax_batch_size: {MAX_BATCH_SIZE}',
        *(_tensor("input", value) for value in shapes.input),
        *(
            _tensor("output", value, f'  label_filename: "{labels}"' if value.name == LABELLED else None)
            for value in shapes.output
        ),
        f"dynamic_batching {{\n  max_queue_delay_microseconds: {QUEUE_DELAY_MICROSECONDS}\n}}",
        _WARM_UP.format(name=INPUT, side=side),
        *(
            f"parameters {{\n  key: {_quoted(key)}\n  value {{ string_value: {_quoted(value)} }}\n}}"
            for key, value in metadata.items()
        ),
    ]
    return "\n".join(parts) + "\n"


def _tensor(field: str, value: Any, extra: str | None = None) -> str:
    """Returns one input or output of ONNX as the config says it: without the batch."""
    described = value.type.tensor_type
    dims = ", ".join(str(dim.dim_value) for dim in described.shape.dim[1:])
    lines = [
        f"{field} {{",
        f'  name: "{value.name}"',
        f"  data_type: {_TYPES[described.elem_type]}",
        f"  dims: [ {dims} ]",
        *([extra] if extra else []),
        "}",
    ]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """A string of protobuf's text format: UTF-8, with quotes, backslashes and line ends escaped."""
    return json.dumps(text, ensure_ascii=False)
