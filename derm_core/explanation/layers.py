"""Class activation maps at several layers, laid over each other: finer than the last layer alone. Hooks nothing.

    grad_cam_layers   Grad-CAM (arXiv 1610.02391) at the last layer of each of the last resolutions
    layer_cam         LayerCAM (Jiang et al., IEEE TIP 30:5875, 2021, equation 6) at the same layers

Both are averaged over the layers after each was divided by its peak; LayerCAM's authors take the maximum instead, which
lets one noisy layer draw the whole map.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from derm_core.explanation.split_network import SplitNetwork
from derm_core.models.views import merge_heatmaps

Weighing = Callable[[Tensor, Tensor], Tensor]
"""Takes an activation and its gradient, both (N, K, h, w), to a map (N, h, w) that is not negative."""


def grad_cam_layers(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Returns float32 (N, h, w) in [0, 1], h and w those of the finest layer.

    Args:
        network: opens into two stages or more.
        images: float32 (N, 3, S, S), normalised.
        classes: int64 (N,), which class to explain in each row.
    """
    return _averaged(network, images, classes, _grad_cam)


def layer_cam(network: SplitNetwork, images: Tensor, classes: Tensor) -> Tensor:
    """Returns float32 (N, h, w) in [0, 1]; arguments as for grad_cam_layers."""
    return _averaged(network, images, classes, _layer_cam)


def reason_against_layers(network: SplitNetwork) -> str | None:
    """Returns why a network has no several layers to look at; None where it has."""
    return None if len(network.stages) > 1 else "its inner layers are no maps of the picture"


def _grad_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    return (activation * gradient.mean(dim=(2, 3), keepdim=True)).sum(dim=1).relu()


def _layer_cam(activation: Tensor, gradient: Tensor) -> Tensor:
    return (activation * gradient.relu()).sum(dim=1).relu()


def _averaged(network: SplitNetwork, images: Tensor, classes: Tensor, weigh: Weighing) -> Tensor:
    activations, gradients = _layers(network, images, classes)
    maps = [
        merge_heatmaps(weigh(activation, gradient), network.views)
        for activation, gradient in zip(activations, gradients, strict=True)
    ]
    shares = [shares_of_peak(heatmap)[:, None] for heatmap in maps]
    finest = shares[0].shape[2:]
    grown = [functional.interpolate(share, finest, mode="bilinear", align_corners=False) for share in shares]
    return torch.cat(grown, dim=1).mean(dim=1)


def _layers(network: SplitNetwork, images: Tensor, classes: Tensor) -> tuple[list[Tensor], list[Tensor]]:
    """Returns what each stage gives, (views N, K, h, w), and the gradients of the classes' logits to it."""
    first, *others = network.stages
    with torch.inference_mode(False):
        with torch.no_grad():
            activation = first(images).detach()
        with torch.enable_grad():
            activations = [activation.requires_grad_()]
            for stage in others:
                # A copy: the first step of a stage may be in place, and the map needs what was before it.
                activations.append(stage(activations[-1].clone()))
            logits = network.viewed_head(activations[-1].clone())
            score = logits.gather(1, classes[:, None]).sum()
            gradients = torch.autograd.grad(score, activations)
    return [activation.detach() for activation in activations], list(gradients)


def shares_of_peak(heatmaps: Tensor) -> Tensor:
    """Divides each map of (N, h, w), not negative, by its peak; all zeros stay zeros."""
    peaks = heatmaps.amax(dim=(1, 2), keepdim=True)
    return heatmaps / peaks.clamp_min(torch.finfo(heatmaps.dtype).tiny)
