"""The reference runtime: PyTorch as it is, on the CPU or a GPU. Every other runtime must agree with it."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from derm_core.explanation.grad_cam import grad_cam, grad_cam_all
from derm_core.models import activation_map, split_model
from derm_core.models.views import MeanHead, ViewedBody, merge_heatmaps
from derm_core.serving.bundle import Bundle
from derm_core.serving.runtimes import ExplainedPass, FullyExplainedPass, Pass, Pixels


class EagerRuntime:
    """A bundle's network in PyTorch: the body runs once, and Grad-CAM differentiates the head alone."""

    name = "eager"

    def __init__(self, bundle: Bundle, *, device: torch.device | None = None) -> None:
        self.device = device or torch.device("cpu")
        # Channels last took 0.75 to 0.95 of the time of the usual layout (MobileNetV2, EfficientNet-B0, ResNet-50).
        model = bundle.build_model().to(self.device).to(memory_format=torch.channels_last)
        self._body: nn.Module
        self._head: nn.Module
        self._body, self._head = split_model(model, bundle.description.architecture)
        self._to_map, self._views = activation_map(model), bundle.description.views
        if self._views > 1:
            self._body = ViewedBody(self._body, self._views)
            self._head = MeanHead(self._head, self._views)
        self._preprocessing = bundle.description.preprocessing

    @property
    def batches(self) -> bool:
        return self.device.type != "cpu"

    def answer(self, pixels: Pixels) -> Pass:
        activation = self._activation(pixels)
        features = self._features(activation)
        with torch.inference_mode():
            return Pass(_array(self._head(activation).float()), features)

    def explain(self, pixels: Pixels, index: int | None, bias: NDArray[np.float64]) -> ExplainedPass:
        activation = self._activation(pixels)
        classes = None if index is None else torch.full((len(pixels),), index, device=self.device)
        result = grad_cam(
            nn.Identity(),
            self._head,
            activation,
            classes,
            bias=torch.from_numpy(bias).float().to(self.device),
            to_map=self._to_map,
        )
        return ExplainedPass(
            _array(result.logits),
            self._features(activation),
            _array(merge_heatmaps(result.heatmaps, self._views)),
            _array(result.classes),
        )

    def explain_all(self, pixels: Pixels) -> FullyExplainedPass:
        activation = self._activation(pixels)
        logits, heatmaps = grad_cam_all(nn.Identity(), self._head, activation, to_map=self._to_map)
        merged = merge_heatmaps(heatmaps, self._views)
        return FullyExplainedPass(_array(logits), self._features(activation), _array(merged))

    def _activation(self, pixels: Pixels) -> Tensor:
        """The body's answer, its views one behind the other; it leaves no graph, and the head can be differentiated."""
        with torch.inference_mode(False), torch.no_grad():
            on_device = torch.from_numpy(pixels).to(self.device)
            activation: Tensor = self._body(self._preprocessing.tensor(on_device))
            return activation

    def _features(self, activation: Tensor) -> NDArray[np.float32]:
        pooled = self._to_map(activation).float().mean(dim=(2, 3))
        return _array(pooled.unflatten(0, (self._views, -1)).mean(dim=0))


def _array(tensor: Tensor) -> NDArray:
    return tensor.detach().cpu().numpy()
