"""TensorFlow SavedModel: a folder for TensorFlow Serving, TensorFlow.js and everything built on TensorFlow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from derm_core.serving import export_onnx
from derm_core.serving.export_check import Outputs, Run
from derm_core.serving.export_graph import INPUT, OUTPUTS, ExportGraph
from derm_core.serving.runtimes import Pixels

SIGNATURE = "serving_default"
METADATA_FILE = Path("assets.extra") / "metadata.json"
"""Where SavedModel leaves room for what is its maker's own."""


def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
    """Writes a SavedModel into a folder, with one signature that takes any batch, and the metadata beside it."""
    import tensorflow

    module = tensorflow.Module()
    module.answer = answering(graph, metadata)
    tensorflow.saved_model.save(module, str(path), signatures={SIGNATURE: module.answer})
    (path / METADATA_FILE).parent.mkdir()
    (path / METADATA_FILE).write_text(json.dumps(dict(metadata), ensure_ascii=False), encoding="utf-8")


def load(path: Path) -> Run:
    """Returns what runs a written folder."""
    import tensorflow

    answer = tensorflow.saved_model.load(str(path)).signatures[SIGNATURE]

    def run(pixels: Pixels) -> Outputs:
        answers = answer(**{INPUT: tensorflow.constant(pixels)})
        return Outputs(*(answers[name].numpy() for name in OUTPUTS))

    return run


def answering(graph: ExportGraph, metadata: Mapping[str, str]) -> Any:
    """Returns a tf.function of uint8 pixels (N, S, S, 3), made of the graph by way of ONNX, to a dict of OUTPUTS."""
    import onnx
    import tensorflow

    from derm_core.serving.onnx_to_tensorflow import run_graph

    with tempfile.TemporaryDirectory() as folder:
        onnx_file = Path(folder) / "model.onnx"
        export_onnx.write(graph, metadata, onnx_file)
        network = onnx.load(onnx_file).graph
    shape = (None, *graph.example().shape[1:])

    @tensorflow.function(
        input_signature=[tensorflow.TensorSpec(shape, tensorflow.uint8, name=INPUT)], autograph=False
    )
    def answer(pixels: Any) -> dict[str, Any]:
        return run_graph(network, {INPUT: pixels})

    return answer
