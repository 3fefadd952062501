"""What every export holds: decoded pixels in, logits, probabilities, heatmaps and features out. Writes no file."""

from __future__ import annotations

import json
from dataclasses import asdict

import torch
from torch import Tensor, nn

from derm_core.diagnoses import DIAGNOSES, NOTICE
from derm_core.serving.answer import logit_bias
from derm_core.serving.bundle import Bundle
from derm_core.serving.description import BundleDescription
from derm_core.serving.graph import answer_graph

INPUT = "pixels"
OUTPUTS = ("logits", "probabilities", "heatmaps", "features")
"""What exported files call them."""


class ExportGraph(nn.Module):
    """A bundle's network with the two steps around it that need no files: normalising, and calibration.

    Pixels are what `Preprocessing.pixels` gives, so that nobody has to write the normalisation down a second time.

    Raises:
        ConfigError: the network has no graph that holds its heatmaps.
    """

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        description = bundle.description
        # Not "graph": the programs of torch.fx, which exporters build from this, have one of their own.
        self.network = _with_plain_means(answer_graph(bundle))
        self.preprocessing, self.temperature = description.preprocessing, description.temperature
        self.classes = len(description.classes)
        self.register_buffer("bias", torch.from_numpy(logit_bias(description, None)).float())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """uint8 (N, S, S, 3), RGB, to four float32 tensors, in the order of OUTPUTS.

        Returns:
            logits (N, C); probabilities (N, C), those of an answer of which nothing but the photograph is known;
            heatmaps (N, C, h, w) at the size of the Grad-CAM layer, not negative and not normalised; features (N, K).
        """
        logits, heatmaps, features = self.network(self.preprocessing.tensor(pixels))
        probabilities = torch.softmax((logits + self.bias) / self.temperature, dim=1)
        return logits, probabilities, heatmaps, features

    def example(self) -> Tensor:
        """Returns uint8 (2, S, S, 3) to trace with: two pictures, so that the batch stays free."""
        side = self.preprocessing.image_size
        return torch.zeros(2, side, side, 3, dtype=torch.uint8)


class _Mean(nn.Module):
    """Averages (N, K, h, w) over its pixels to (N, K, 1, 1)."""

    def forward(self, activation: Tensor) -> Tensor:
        return activation.mean(dim=(2, 3), keepdim=True)


def _with_plain_means(network: nn.Module) -> nn.Module:
    """Replaces each pooling to one pixel by a mean: exporters write the former with strides, which runtimes dislike."""
    for module in list(network.modules()):
        for name, part in module.named_children():
            if isinstance(part, nn.AdaptiveAvgPool2d) and part.output_size in (1, (1, 1)):
                setattr(module, name, _Mean())
    return network


def export_metadata(description: BundleDescription) -> dict[str, str]:
    """Returns what an export says of itself, as texts; what is no text or number is JSON.

    The preprocessing is that of pictures into pixels; its normalisation is inside the graph.
    """
    return {
        "name": description.name,
        "version": description.version,
        "architecture": description.architecture,
        "task": description.task,
        "classes": json.dumps(description.classes),
        "class_names": json.dumps([DIAGNOSES[code].name for code in description.classes]),
        "malignant": json.dumps(description.malignant),
        "preprocessing": json.dumps(description.preprocessing.to_dict()),
        "temperature": repr(description.temperature),
        "operating_points": json.dumps([asdict(point) for point in description.operating_points]),
        "default_operating_point": description.default_operating_point,
        "weights_sha256": description.weights_sha256,
        "licence": description.licence,
        "origin": description.origin,
        "notice": NOTICE,
    }
