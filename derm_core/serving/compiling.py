"""Compiles a bundle's network into the forms that run without PyTorch. Needs it, and measures nothing."""

from __future__ import annotations

import io
import tempfile
import warnings
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import torch

from derm_core.errors import ConfigError
from derm_core.serving.bundle import Bundle
from derm_core.serving.compiled import (
    ONNXRUNTIME,
    OPENVINO_INT8,
    Form,
    openvino_core,
    openvino_package,
    openvino_settings,
)
from derm_core.serving.graph import INPUT, OUTPUTS, answer_graph

SUMMING = ("Convolution", "GroupConvolution", "MatMul")
"""OpenVINO's layers that multiply and sum: by these a share of the layers is counted."""
_IDLE = ("Const", "Parameter", "Result")


class FormCompiler:
    """Compiles one bundle, one picture at a time; OpenVINO's forms are for this processor and these threads.

    Args:
        bundle: whose network it is.
        threads: cores for one pass.
        passes: how many run side by side.
        quantised: OpenVINO's IR of the same network in int8, for the form OPENVINO_INT8.
    """

    def __init__(
        self, bundle: Bundle, *, threads: int, passes: int, quantised: tuple[bytes, bytes] | None = None
    ) -> None:
        self._bundle, self._threads, self._passes = bundle, threads, passes
        self._quantised = quantised

    def compile(self, form: Form) -> bytes:
        """Returns the content of a form.

        Raises:
            ConfigError: the network has no graph that holds its heatmaps, or a package is not installed.
        """
        form.check_installed()
        with warnings.catch_warnings():
            # Converters warn of their own libraries' ways; what they make is compared with the reference.
            warnings.simplefilter("ignore")
            return self._onnx() if form == ONNXRUNTIME else self._openvino(form)

    def _onnx(self) -> bytes:
        for package in ("onnx", "onnxscript"):
            try:
                import_module(package)
            except ImportError as err:
                raise ConfigError(
                    f"To make a network ready for onnxruntime, {package} is needed, which is not installed. "
                    "Install it with pip install 'derm_core[onnx]', or answer with the eager runtime."
                ) from err
        program = torch.onnx.export(
            answer_graph(self._bundle),
            (_example(self._bundle),),
            dynamo=True,
            input_names=[INPUT],
            output_names=list(OUTPUTS),
            optimize=True,
            verbose=False,
        )
        assert program is not None
        content: bytes = program.model_proto.SerializeToString()
        return content

    def _openvino(self, form: Form) -> bytes:
        quantised = self._quantised if form == OPENVINO_INT8 else None
        layers, weights = quantised or self._openvino_files
        core = openvino_core()
        model = core.read_model(_with_exact_layers(layers, form.exact), weights)
        stream = io.BytesIO()
        settings = openvino_settings(form, self._threads, self._passes)
        core.compile_model(model, "CPU", settings).export_model(stream)
        return stream.getvalue()

    @cached_property
    def _openvino_files(self) -> tuple[bytes, bytes]:
        return openvino_files(openvino_model(self._bundle))


def openvino_model(bundle: Bundle) -> Any:
    """Returns a bundle's graph, for one picture, as an `openvino.Model`."""
    example = _example(bundle)
    return openvino_package().convert_model(
        answer_graph(bundle), example_input=example, input=list(example.shape)
    )


def openvino_files(model: Any) -> tuple[bytes, bytes]:
    """Returns OpenVINO's IR of an `openvino.Model`: the XML of the layers, and their weights."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "network.xml"
        openvino_package().save_model(model, path, compress_to_fp16=False)
        return path.read_bytes(), path.with_suffix(".bin").read_bytes()


def _example(bundle: Bundle) -> torch.Tensor:
    side = bundle.description.preprocessing.image_size
    return torch.zeros(1, 3, side, side)


def _with_exact_layers(layers: bytes, share: float) -> bytes:
    """Marks the first layers of an IR, up to that share of its sums, as those that keep float32 beside 16 bits.

    A version of OpenVINO that does not know the mark computes them in 16 bits too; what does not agree with the
    reference then is not used.
    """
    if not share:
        return layers
    root = ElementTree.fromstring(layers)
    stack = root.findall("layers/layer")
    last = round(share * sum(layer.get("type") in SUMMING for layer in stack))
    seen = 0
    for layer in stack:
        seen += layer.get("type") in SUMMING
        if seen > last:
            break
        if layer.get("type") in _IDLE:
            continue
        told = layer.find("rt_info")
        mark = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16"}
        ElementTree.SubElement(
            ElementTree.SubElement(layer, "rt_info") if told is None else told, "attribute", mark
        )
    return ElementTree.tostring(root)
