"""Grad-CAM in one pass: the logits and their heatmaps for little more than a forward pass. Colours nothing.

The method is that of Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based
Localization" (arXiv 1610.02391), equations 1 and 2, with the ReLU of equation 2. The maps stay at the size of the
layer; bringing them to the size of a picture is left to the preprocessing, which knows how the picture was cropped.

The network is given as two parts, `head(body(images)) == model(images)`. The body runs once and leaves no graph; only
the head is differentiated, with respect to what the body gave it. Nothing is hooked, no parameter collects a gradient
and no mode is changed, so threads may share the parts.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

ToMap = Callable[[Tensor], Tensor]


def _unchanged(activation: Tensor) -> Tensor:
    return activation


@dataclass(frozen=True, eq=False)
class GradCam:
    """What one pass gives.

    Attributes:
        logits: float32 (N, C).
        heatmaps: float32 (N, h, w), at the size of the Grad-CAM layer; not negative, not normalised.
        classes: int64 (N,), the class that each row's map explains.
    """

    logits: Tensor
    heatmaps: Tensor
    classes: Tensor


def grad_cam(
    body: nn.Module,
    head: nn.Module,
    images: Tensor,
    classes: Tensor | None = None,
    *,
    bias: Tensor | None = None,
    to_map: ToMap = _unchanged,
) -> GradCam:
    """Returns logits and the heatmap of one class a picture.

    Args:
        body: the network up to and with the Grad-CAM layer. In evaluation mode.
        head: the rest, in evaluation mode: rows must not depend on each other.
        images: float (N, 3, S, S).
        classes: int64 (N,), which class to explain in each row; None for the one with the largest logit.
        bias: float32 (C,), added to the logits before the largest is chosen; not part of what is returned.
        to_map: turns what the body gives, and its gradient, into (N, K, h, w), where it is not of that form.

    The same as Captum's `LayerGradCam(model, layer).attribute(images, classes, relu_attributions=True)`, but for the
    single channel, which is dropped. The head is computed and differentiated in float32, also where autocast is on:
    maps from bfloat16 gradients differ visibly on some networks.
    """
    with _head_pass(body, head, images) as (activation, logits):
        chosen = (logits if bias is None else logits + bias).argmax(dim=1) if classes is None else classes
        score = logits.gather(1, chosen[:, None]).sum()
        (gradient,) = torch.autograd.grad(score, activation)
    return GradCam(logits.detach(), _weighted_sum(activation, gradient, to_map), chosen)


def grad_cam_all(
    body: nn.Module, head: nn.Module, images: Tensor, *, to_map: ToMap = _unchanged
) -> tuple[Tensor, Tensor]:
    """Returns logits, float32 (N, C), and the heatmaps of all classes, float32 (N, C, h, w), from one pass.

    The arguments are those of `grad_cam`. The head is differentiated once a class, which costs little beside the body.
    """
    with _head_pass(body, head, images) as (activation, logits):
        scores = logits.sum(dim=0).unbind()
        maps = [
            _weighted_sum(activation, torch.autograd.grad(score, activation, retain_graph=True)[0], to_map)
            for score in scores
        ]
    return logits.detach(), torch.stack(maps, dim=1)


@contextmanager
def _head_pass(body: nn.Module, head: nn.Module, images: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Runs both parts, and stays open while the head's graph is differentiated.

    Yields the activation, float32 and the leaf of the graph, and the logits, float32 (N, C).
    """
    with torch.inference_mode(False):
        with torch.no_grad():
            activation = body(images).detach().float()
        with torch.enable_grad(), torch.autocast(images.device.type, enabled=False):
            activation.requires_grad_()
            # The head gets a copy: its first step may be an in-place ReLU, and the map needs what was before it.
            yield activation, _in_float32(head)(activation.clone())


def _in_float32(head: nn.Module) -> nn.Module:
    values = chain(head.parameters(), head.buffers())
    if all(value.dtype == torch.float32 for value in values if value.is_floating_point()):
        return head
    return copy.deepcopy(head).float()


def _weighted_sum(activation: Tensor, gradient: Tensor, to_map: ToMap) -> Tensor:
    """ReLU(sum over k of alpha_k A_k), alpha_k the mean of the gradient over map k: (N, K, h, w) to (N, h, w)."""
    weights = to_map(gradient).mean(dim=(2, 3), keepdim=True)
    return (to_map(activation.detach()) * weights).sum(dim=1).relu()
