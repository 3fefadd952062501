"""A program of torch.export (.pt2): for PyTorch without this package's code, AOTInductor and ExecuTorch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch

from derm_core.serving.export_check import Outputs, Run
from derm_core.serving.export_graph import INPUT, ExportGraph
from derm_core.serving.runtimes import Pixels

METADATA_FILE = "metadata.json"
"""The name of the metadata among the program's extra files."""


def write(graph: ExportGraph, metadata: Mapping[str, str], path: Path) -> None:
    """Writes a program with any batch size, and the metadata beside it in the same file."""
    program = torch.export.export(
        graph, (graph.example(),), dynamic_shapes={INPUT: {0: torch.export.Dim("N")}}, strict=False
    )
    torch.export.save(program, path, extra_files={METADATA_FILE: json.dumps(dict(metadata))})


def load(path: Path) -> Run:
    """Returns what runs a written file, on the CPU."""
    program = torch.export.load(path).module()

    def run(pixels: Pixels) -> Outputs:
        with torch.inference_mode():
            return Outputs(*(answer.numpy() for answer in program(torch.from_numpy(pixels))))

    return run
