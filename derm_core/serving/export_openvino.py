"""OpenVINO IR: model.xml and model.bin, for Intel and other x86 processors, and Intel's GPUs and NPUs."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from derm_core.serving import export_onnx
from derm_core.serving.compiled import openvino_core, openvino_package
from derm_core.serving.export_check import Outputs, Run
from derm_core.serving.export_graph import OUTPUTS, ExportGraph
from derm_core.serving.runtimes import Pixels

MODEL_FILE = "model.xml"
SECTION = "dermatrace"
"""Under which the metadata stand in rt_info."""


def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
    """Writes both files into a folder, weights as float32, and the metadata into the model's rt_info.

    The way is through ONNX, whose names of input and outputs are kept.
    """
    openvino = openvino_package()
    with tempfile.TemporaryDirectory() as folder:
        onnx_file = Path(folder) / "model.onnx"
        export_onnx.write(graph, metadata, onnx_file)
        model = openvino.convert_model(onnx_file)
        for key, value in metadata.items():
            model.set_rt_info(value, [SECTION, key])
        openvino.save_model(model, path / MODEL_FILE, compress_to_fp16=False)


def load(path: Path) -> Run:
    """Returns what runs a written folder, in float32 on the CPU."""
    compiled = openvino_core().compile_model(path / MODEL_FILE, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(pixels: Pixels) -> Outputs:
        answers = compiled([pixels])
        return Outputs(*(answers[name] for name in OUTPUTS))

    return run
