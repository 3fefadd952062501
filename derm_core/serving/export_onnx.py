"""ONNX: one file for ONNX Runtime, Triton, OpenVINO, TensorRT and browsers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch

from derm_core.serving.export_check import Outputs, Run
from derm_core.serving.export_graph import INPUT, OUTPUTS, ExportGraph

BATCH = "N"
"""The name of the free dimension."""


def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
    """Writes a file that onnx.checker accepts, with any batch size, and the metadata as its metadata_props."""
    import onnx

    with warnings.catch_warnings():
        # The exporter warns of its own libraries' ways; what it writes is checked below.
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph,
            (graph.example(),),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            dynamic_shapes={INPUT: {0: torch.export.Dim(BATCH)}},
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    onnx.helper.set_model_props(model, dict(metadata))
    model.doc_string = metadata["notice"]
    model = onnx.shape_inference.infer_shapes(model)
    onnx.checker.check_model(model, full_check=True)
    path.write_bytes(model.SerializeToString())


def load(path: Path) -> Run:
    """Returns what runs a written file, with ONNX Runtime on the CPU."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda pixels: Outputs(*session.run(list(OUTPUTS), {INPUT: pixels}))
