"""LiteRT, formerly TensorFlow Lite: one file for phones and small devices."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

from derm_core.serving.export_check import Outputs, Run
from derm_core.serving.export_graph import INPUT, OUTPUTS, ExportGraph
from derm_core.serving.export_tensorflow import answering
from derm_core.serving.runtimes import Pixels

METADATA_FILE = "metadata.json"
"""In the zip at the file's end, where LiteRT's tools look for a model's associated files."""


def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
    """Writes a file in float32 with any batch, and the metadata in a zip at its end."""
    import tensorflow

    module = tensorflow.Module()
    module.answer = answering(graph, metadata)
    concrete = module.answer.get_concrete_function()
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([concrete], module)
    path.write_bytes(converter.convert())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(METADATA_FILE, json.dumps(dict(metadata), ensure_ascii=False))


def load(path: Path) -> Run:
    """Returns what runs a written file."""
    from ai_edge_litert.interpreter import Interpreter

    runner = Interpreter(str(path)).get_signature_runner()

    def run(pixels: Pixels) -> Outputs:
        answers = runner(**{INPUT: pixels})
        return Outputs(*(answers[name] for name in OUTPUTS))

    return run
