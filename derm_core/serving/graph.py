"""One pass as one graph: logits, the heatmaps of all classes and the features, with no autograd in it. Runs nothing.

What is compiled and exported is this module. It gives what the predictor's reference gives (grad_cam_all, with the
views of a picture laid back together) to 1e-4.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from derm_core.errors import ConfigError
from derm_core.explanation.head_gradient import HeadGradient, reason_against, weighted_maps
from derm_core.models import split_model
from derm_core.models.views import ViewedBody, merge_heatmaps
from derm_core.serving.bundle import Bundle

INPUT, OUTPUTS = "images", ("logits", "heatmaps", "features")
"""What exported graphs call them."""


class AnswerGraph(nn.Module):
    """Normalised pictures to logits, heatmaps and features; in evaluation mode.

    Args:
        model: a network that build_model made.
        architecture: its name.
        views: of each picture, one of VIEWS.

    Raises:
        ConfigError: supports_graph says why.
    """

    def __init__(self, model: nn.Module, architecture: str, views: int = 1) -> None:
        super().__init__()
        reason = supports_graph(model, architecture)
        if reason is not None:
            raise ConfigError(
                f"{architecture} has no graph that holds its heatmaps: {reason}. Answer with the eager runtime."
            )
        body, head = split_model(model, architecture)
        self.views = views
        self.body: nn.Module = ViewedBody(body, views) if views > 1 else body
        self.head = HeadGradient(head)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Float32 (N, 3, S, S) to float32 logits (N, C), heatmaps (N, C, h, w) and features (N, K).

        Heatmaps are at the size of the Grad-CAM layer, not negative and not normalised. Features are that layer's
        activation, averaged over its pixels.
        """
        activation = self.body(images).float()
        logits, weights = self.head(activation)
        heatmaps, features = weighted_maps(activation, weights), activation.mean(dim=(2, 3))
        if self.views > 1:
            # The score is the mean of the views' logits, so each view has a share of the gradient.
            heatmaps = merge_heatmaps(heatmaps / self.views, self.views)
            logits = logits.unflatten(0, (self.views, -1)).mean(dim=0)
            features = features.unflatten(0, (self.views, -1)).mean(dim=0)
        return logits, heatmaps, features


def answer_graph(bundle: Bundle) -> AnswerGraph:
    """Returns the graph of a bundle's network, on the CPU, in evaluation mode, its parameters frozen."""
    description = bundle.description
    graph = AnswerGraph(bundle.build_model(), description.architecture, description.views)
    return graph.eval().requires_grad_(False)


def supports_graph(model: nn.Module, architecture: str) -> str | None:
    """Returns why a network cannot be an AnswerGraph; None where it can.

    Args:
        model: a network that build_model made.
        architecture: its name.
    """
    return reason_against(split_model(model, architecture)[1])


def example_images(side: int) -> Tensor:
    """Returns float32 (2, 3, side, side) to trace a graph with: two pictures, so that the batch stays free."""
    return torch.zeros(2, 3, side, side)
