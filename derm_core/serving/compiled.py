"""Runs compiled networks: ONNX Runtime's and OpenVINO's, without PyTorch. Compiles none."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from derm_core.data.transforms import Preprocessing
from derm_core.errors import ConfigError
from derm_core.serving.machine import multiplies
from derm_core.serving.runtimes import ExplainedPass, FullyExplainedPass, Pass, Pixels

Floats = NDArray[np.float32]
RunOne = Callable[[Floats], tuple[Floats, Floats, Floats]]
"""One normalised picture (1, 3, S, S) to logits (1, C), heatmaps (1, C, h, w) and features (1, K). Thread-safe."""


@dataclass(frozen=True)
class Form:
    """A way to compile a network.

    Attributes:
        name: what it is called where a choice is told. Of OpenVINO's, the one in float32 has the runtime's own name.
        package: what runs it.
        extra: of this project, which installs the package.
        file: what its content is called on the disk.
        precision: of the numbers it computes with, as OpenVINO calls it; f32, f16 or bf16.
        exact: the share of the layers, from the first one on, that compute in f32 all the same.
    """

    name: str
    package: str
    extra: str
    file: str
    precision: str = "f32"
    exact: float = 0.0

    @property
    def version(self) -> str | None:
        """Of the package; None where it is not installed."""
        try:
            return version(self.package)
        except PackageNotFoundError:
            return None

    def check_installed(self) -> None:
        """Raises ConfigError where the package is not installed, with what to do."""
        if self.version is None:
            raise ConfigError(
                f"The runtime {self.name} needs {self.package}, which is not installed. "
                f"Install it with pip install 'derm_core[{self.extra}]', or answer with the eager runtime."
            )

    def check_processor(self) -> None:
        """Raises ConfigError where the processor does not multiply numbers of this precision, with what to do."""
        if not multiplies(self.precision):
            raise ConfigError(
                f"The runtime {self.name} needs a processor that multiplies {self.precision} numbers itself, and this "
                "one does not. Answer with the runtime auto."
            )


ONNXRUNTIME = Form("onnxruntime", "onnxruntime", "onnx", "network.onnx")
OPENVINO = Form("openvino", "openvino", "openvino", "network.blob")
OPENVINO_SHORT = tuple(
    Form(f"openvino-{precision}{suffix}", "openvino", "openvino", "network.blob", precision, exact)
    for precision in ("bf16", "f16")
    for suffix, exact in (("", 0.0), ("-after-30", 0.3), ("-after-60", 0.6))
)
"""In numbers of 16 bits: everywhere, or behind the first 30 or 60 of 100 layers, whose rounding goes through all."""
OPENVINO_INT8 = Form("openvino-int8", "openvino", "openvino", "network.blob")
"""The network that scripts/quantise.py made; what it left in float32 is computed so."""
FORMS: Mapping[str, Form] = {
    form.name: form for form in (ONNXRUNTIME, OPENVINO, *OPENVINO_SHORT, OPENVINO_INT8)
}


class CompiledRuntime:
    """A network compiled for the CPU, which gives everything in one pass; pictures go through it one by one.

    Args:
        form: what it is.
        content: as compile_form made it, on this machine.
        preprocessing: the bundle's.
        threads: cores for one pass.
        passes: how many run side by side.

    Raises:
        ConfigError: the form's package is not installed.
    """

    batches = False

    def __init__(
        self, form: Form, content: bytes, preprocessing: Preprocessing, *, threads: int, passes: int
    ) -> None:
        form.check_installed()
        self.name = form.name
        self._preprocessing = preprocessing
        self._run = _OPENERS[form.package](form, content, threads, passes)

    def answer(self, pixels: Pixels) -> Pass:
        logits, _, features = self._pass(pixels)
        return Pass(logits, features)

    def explain(self, pixels: Pixels, index: int | None, bias: NDArray[np.float64]) -> ExplainedPass:
        logits, heatmaps, features = self._pass(pixels)
        largest = (logits + bias.astype(np.float32)).argmax(axis=1)
        classes = largest if index is None else np.full(len(pixels), index)
        return ExplainedPass(logits, features, heatmaps[np.arange(len(pixels)), classes], classes)

    def explain_all(self, pixels: Pixels) -> FullyExplainedPass:
        logits, heatmaps, features = self._pass(pixels)
        return FullyExplainedPass(logits, features, heatmaps)

    def _pass(self, pixels: Pixels) -> tuple[Floats, Floats, Floats]:
        images = self._preprocessing.array(pixels)
        answers = [self._run(images[place : place + 1]) for place in range(len(images))]
        logits, heatmaps, features = (np.concatenate(parts) for parts in zip(*answers, strict=True))
        return logits, heatmaps, features


def _open_onnxruntime(form: Form, content: bytes, threads: int, passes: int) -> RunOne:
    onnxruntime: Any = import_module("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that wait in a loop would take the cores from decoding, and from the other passes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    (given,) = (item.name for item in session.get_inputs())

    def run(images: Floats) -> tuple[Floats, Floats, Floats]:
        logits, heatmaps, features = session.run(None, {given: images})
        return logits, heatmaps, features

    return run


def openvino_package() -> Any:
    """Returns the package `openvino`, which then tells nobody that it is used.

    Where openvino_telemetry can be imported, a conversion sends an event to Google Analytics; without it none is sent.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    return import_module("openvino")


@cache
def openvino_core() -> Any:
    """Returns the one `openvino.Core` of this process.

    OpenVINO gives the thread that first compiles a network a signal stack, and takes its memory back with the last
    core and network, whichever thread drops them: the next signal to the first thread would then end the process.
    So the core is kept.

    Raises:
        ImportError: OpenVINO is not installed.
    """
    return openvino_package().Core()


def _open_openvino(form: Form, content: bytes, threads: int, passes: int) -> RunOne:
    compiled = openvino_core().import_model(content, "CPU", openvino_settings(form, threads, passes))
    waiting: SimpleQueue[Any] = SimpleQueue()

    @contextmanager
    def request() -> Any:
        try:
            free = waiting.get_nowait()
        except Empty:
            free = compiled.create_infer_request()
        try:
            yield free
        finally:
            waiting.put(free)

    def run(images: Floats) -> tuple[Floats, Floats, Floats]:
        with request() as asked:
            asked.infer({0: images})
            logits, heatmaps, features = (asked.get_output_tensor(place).data.copy() for place in range(3))
        return logits, heatmaps, features

    return run


_OPENERS: Mapping[str, Callable[[Form, bytes, int, int], RunOne]] = {
    "onnxruntime": _open_onnxruntime,
    "openvino": _open_openvino,
}


def openvino_settings(form: Form, threads: int, passes: int) -> dict[str, Any]:
    """Returns what OpenVINO is told, also when it takes back what it compiled: it keeps the precision only if told so.

    There are as many streams as passes run side by side, none bound to a core.
    """
    return {
        "INFERENCE_PRECISION_HINT": form.precision,
        "NUM_STREAMS": passes,
        "INFERENCE_NUM_THREADS": threads * passes,
        "ENABLE_CPU_PINNING": False,
    }
