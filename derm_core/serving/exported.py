"""Answers with an exported ONNX file: no PyTorch and no weights file. Exports and compiles nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.errors import BundleError
from derm_core.serving.bundle_files import BundleFiles
from derm_core.serving.description import read_description
from derm_core.serving.devices import compiled_threads, passes_at_once
from derm_core.serving.predictor import Predictor
from derm_core.serving.runtimes import ExplainedPass, FullyExplainedPass, Pass, Pixels, RuntimeChoice

MODEL_FILE = "model.onnx"
"""What export_onnx wrote, beside the bundle's model.json."""
INPUT = "pixels"
"""As export_graph, which needs PyTorch, calls it."""


def load_exported(folder: Path, *, threads: int | None = None) -> Predictor:
    """Loads an exported model to answer with.

    Args:
        folder: holds MODEL_FILE and the bundle's model.json.
        threads: cores for one pass; None for what DERM_THREADS says, or all.

    Raises:
        BundleError: a file is missing or damaged, or the two are not of one model.
        ConfigError: the number of threads makes no sense.
    """
    description = read_description(folder)
    cores = compiled_threads(threads)
    return Predictor(
        BundleFiles(folder, description),
        runtime=ExportedRuntime(folder / MODEL_FILE, description.weights_sha256, threads=cores),
        choice=RuntimeChoice(ExportedRuntime.name, "the model is an ONNX file"),
        passes=passes_at_once(cores),
    )


class ExportedRuntime:
    """An exported network in ONNX Runtime, on the CPU.

    Args:
        path: of the ONNX file.
        weights_sha256: of the weights that it must have been made of.
        threads: cores for one pass.

    Raises:
        BundleError: the file is missing, damaged or of other weights.
    """

    name = "onnxruntime"
    batches = False

    def __init__(self, path: Path, weights_sha256: str, *, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as err:
            # ONNX Runtime's own exceptions have no other parent.
            reason = str(err).splitlines()[0]
            raise BundleError(f"{path} cannot be run ({reason}). Export the model again.") from err
        if self._session.get_modelmeta().custom_metadata_map.get("weights_sha256") != weights_sha256:
            raise BundleError(
                f"{path} was made of other weights than the model.json beside it says. Export the model again."
            )

    def answer(self, pixels: Pixels) -> Pass:
        return Pass(*self._run(pixels, "logits", "features"))

    def explain(self, pixels: Pixels, index: int | None, bias: NDArray[np.float64]) -> ExplainedPass:
        logits, features, heatmaps = self._run(pixels, "logits", "features", "heatmaps")
        classes = (logits + bias).argmax(axis=1) if index is None else np.full(len(pixels), index)
        return ExplainedPass(logits, features, heatmaps[np.arange(len(pixels)), classes], classes)

    def explain_all(self, pixels: Pixels) -> FullyExplainedPass:
        return FullyExplainedPass(*self._run(pixels, "logits", "features", "heatmaps"))

    def _run(self, pixels: Pixels, *names: str) -> Any:
        return self._session.run(list(names), {INPUT: pixels})
