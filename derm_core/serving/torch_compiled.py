"""Runs a network as torch.compile makes it, in float32 on a GPU or the CPU. Keeps nothing on the disk itself."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from derm_core.errors import ConfigError
from derm_core.serving.bundle import Bundle
from derm_core.serving.graph import answer_graph
from derm_core.serving.runtimes import COMPILE, ExplainedPass, FullyExplainedPass, Pass, Pixels


class TorchCompiledRuntime:
    """A bundle's graph, compiled when it is built; PyTorch's own cache makes that quicker the next time.

    Args:
        bundle: whose network it is.
        device: where it runs.
        backend: of torch.compile.

    Raises:
        ConfigError: the network has no graph that holds its heatmaps, or this machine has nothing to compile it with.
    """

    name = COMPILE

    def __init__(self, bundle: Bundle, *, device: torch.device, backend: str = "inductor") -> None:
        self.device, self._preprocessing = device, bundle.description.preprocessing
        graph = answer_graph(bundle).to(device).to(memory_format=torch.channels_last)
        self._graph = torch.compile(graph, backend=backend, dynamic=self.batches)
        side = self._preprocessing.image_size
        try:
            self._run(np.zeros((2 if self.batches else 1, side, side, 3), np.uint8))
        except Exception as err:
            # What is missing (a C++ compiler, Triton) is said in many ways.
            raise ConfigError(
                f"torch.compile cannot compile {bundle.description.name} here ({str(err).strip().splitlines()[0]}). "
                "Answer with the eager runtime."
            ) from err

    @property
    def batches(self) -> bool:
        return self.device.type != "cpu"

    def answer(self, pixels: Pixels) -> Pass:
        logits, _, features = self._run(pixels)
        return Pass(_array(logits), _array(features))

    def explain(self, pixels: Pixels, index: int | None, bias: NDArray[np.float64]) -> ExplainedPass:
        logits, heatmaps, features = self._run(pixels)
        if index is None:
            classes = (logits + torch.from_numpy(bias).float().to(self.device)).argmax(dim=1)
        else:
            classes = torch.full((len(pixels),), index, device=self.device)
        shown = heatmaps[torch.arange(len(pixels), device=self.device), classes]
        return ExplainedPass(_array(logits), _array(features), _array(shown), _array(classes))

    def explain_all(self, pixels: Pixels) -> FullyExplainedPass:
        logits, heatmaps, features = self._run(pixels)
        return FullyExplainedPass(_array(logits), _array(features), _array(heatmaps))

    def _run(self, pixels: Pixels) -> tuple[Tensor, Tensor, Tensor]:
        with torch.inference_mode():
            on_device = torch.from_numpy(pixels).to(self.device)
            answers: tuple[Tensor, Tensor, Tensor] = self._graph(self._preprocessing.tensor(on_device))
            return answers


def _array(tensor: Tensor) -> NDArray:
    return tensor.cpu().numpy()
