"""What a model can be exported as, and whether it can be here. Imports no torch, and none of what the formats need."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from derm_core.errors import ConfigError, unknown_name


@dataclass(frozen=True)
class ExportFormat:
    """A kind of export.

    Attributes:
        name: as it is asked for.
        summary: for what it is, in a few words.
        module: holds `write(graph, metadata, path)` and `load(path)`.
        packages: that must be installed, by their import names.
        install: what to give pip where one is missing.
        suffix: of the file; empty where the export is a folder.
    """

    name: str
    summary: str
    module: str
    packages: tuple[str, ...] = ()
    install: str = ""
    suffix: str = ""


_ONNX_PACKAGES, _ONNX_EXTRA = ("onnx", "onnxscript", "onnxruntime"), "'derm_core[onnx]'"
_TENSORFLOW_PACKAGES = (*_ONNX_PACKAGES, "tensorflow")
FORMATS: Mapping[str, ExportFormat] = {
    kind.name: kind
    for kind in (
        ExportFormat(
            "onnx",
            "one file for ONNX Runtime, TensorRT, browsers",
            "export_onnx",
            _ONNX_PACKAGES,
            _ONNX_EXTRA,
            ".onnx",
        ),
        ExportFormat(
            "openvino",
            "a folder with OpenVINO's model.xml and model.bin",
            "export_openvino",
            (*_ONNX_PACKAGES, "openvino"),
            "'derm_core[onnx,openvino]'",
        ),
        ExportFormat("torch", "a program of torch.export", "export_torch", suffix=".pt2"),
        ExportFormat(
            "savedmodel",
            "a folder with a TensorFlow SavedModel",
            "export_tensorflow",
            _TENSORFLOW_PACKAGES,
            "'derm_core[onnx]' tensorflow",
        ),
        ExportFormat(
            "tflite",
            "one file for LiteRT, formerly TensorFlow Lite",
            "export_tflite",
            (*_TENSORFLOW_PACKAGES, "ai_edge_litert"),
            "'derm_core[onnx]' tensorflow ai-edge-litert",
            ".tflite",
        ),
        ExportFormat(
            "triton",
            "a model repository for Triton and KServe v2",
            "export_triton",
            _ONNX_PACKAGES,
            _ONNX_EXTRA,
        ),
    )
}


def get_format(name: str) -> ExportFormat:
    """Returns the format of a name; raises ConfigError for one that is not known."""
    if name not in FORMATS:
        raise ConfigError(unknown_name("export format", name, FORMATS))
    return FORMATS[name]


def check_target(kind: ExportFormat, out: Path, *, overwrite: bool = False) -> None:
    """Raises ConfigError where a format's packages are missing, or it cannot be written to `out`."""
    missing = [name for name in kind.packages if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"The format {kind.name} needs {', '.join(missing)}, which is not installed: pip install {kind.install}."
        )
    if kind.suffix and out.suffix != kind.suffix:
        raise ConfigError(f"{out} must end in {kind.suffix} for the format {kind.name}.")
    if out.exists():
        if not overwrite:
            raise ConfigError(f"{out} exists already. Name another place, or ask for it to be replaced.")
        if out.is_dir() == bool(kind.suffix):
            there, wanted = ("folder", "file") if kind.suffix else ("file", "folder")
            raise ConfigError(
                f"{out} is a {there}; the format {kind.name} is a {wanted}. Name another place."
            )
