"""Grad-CAM's weights of a head without autograd: the class weights of a linear head, a short product for others.

Grad-CAM (arXiv 1610.02391, equation 1) weighs each map of the activation by the mean of the class's gradient over its
pixels. Poolings hand on the sum of a gradient unchanged, whichever pixels they give it to: what a max-pooling's window
gets goes to one pixel, and what an average's gets is shared out in full. So the weights are the gradient with respect
to the pooled activation, summed over its places and divided by the number of pixels of the map. That gradient is the
weight of the last layer, taken back through the few layers in front of it, each by its own derivative.

All of it is plain arithmetic on tensors, so a graph that is exported or compiled holds it.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional

from derm_core.models.architectures import MeanOverPixels

_AVERAGES = (nn.AdaptiveAvgPool2d, MeanOverPixels)
_POOLINGS = (nn.MaxPool2d, *_AVERAGES)
_LAYERS = (nn.Linear, nn.ReLU, nn.Hardswish, nn.LayerNorm)
_IDLE = (nn.Dropout, nn.Flatten, nn.Identity)
"""Layers that change no value outside training."""


def reason_against(head: nn.Module) -> str | None:
    """Returns why the gradient of a head has no closed form here; None where it has one."""
    gate, pooling, layers = _parts(head)
    unknown = [layer for layer in layers if not isinstance(layer, _LAYERS)]
    if unknown:
        return f"its head holds {type(unknown[0]).__name__}, whose derivative is not known here"
    if not layers or not isinstance(layers[-1], nn.Linear):
        return "its head does not end in a linear layer"
    global_average = len(pooling) == 1 and _is_global(pooling[0])
    if gate and not global_average:
        return "its head has an activation in front of a pooling that is no average over the whole map"
    if any(isinstance(layer, nn.LayerNorm) for layer in layers) and not global_average:
        return "its head normalises more than one place"
    return None


class HeadGradient(nn.Module):
    """A head that gives its logits together with Grad-CAM's weights; in evaluation mode only.

    Args:
        head: behind the Grad-CAM layer, as split_model gives it.

    Raises:
        ValueError: reason_against says why.
    """

    def __init__(self, head: nn.Module) -> None:
        super().__init__()
        reason = reason_against(head)
        if reason is not None:
            raise ValueError(f"The gradient of this network has no closed form: {reason}.")
        self.gated, pooling, layers = _parts(head)
        self.pooling, self.layers = nn.Sequential(*pooling), nn.ModuleList(layers)

    def forward(self, activation: Tensor) -> tuple[Tensor, Tensor]:
        """Float (N, K, h, w) to logits (N, C) and weights, (C, K) where they are the same for all pictures of this
        network, otherwise (N, C, K).
        """
        shown = functional.relu(activation) if self.gated else activation
        values = self.pooling(shown).flatten(1)
        passed = []
        for layer in self.layers:
            passed.append((layer, values))
            values = _apply(layer, values)
        (last, _), *others = reversed(passed)
        gradient: Tensor = last.weight
        for layer, given in others:
            gradient = _taken_back(layer, given, gradient)
        maps, height, width = activation.shape[1:]
        places = gradient.shape[-1] // maps
        if places > 1:
            gradient = gradient.unflatten(-1, (maps, places)).sum(dim=-1)
        if self.gated:
            gradient = gradient * (activation > 0).to(gradient.dtype).mean(dim=(2, 3)).unsqueeze(1)
        return values, gradient / (height * width)


def weighted_maps(activation: Tensor, weights: Tensor) -> Tensor:
    """Grad-CAM's equation 2, with its ReLU: (N, K, h, w) and HeadGradient's weights to heatmaps (N, C, h, w)."""
    if weights.ndim == 2:
        return functional.conv2d(activation, weights[:, :, None, None]).relu()
    height, width = activation.shape[2:]
    return torch.matmul(weights, activation.flatten(2)).unflatten(2, (height, width)).relu()


def _parts(head: nn.Module) -> tuple[bool, list[nn.Module], list[nn.Module]]:
    """Whether a ReLU comes first, the poolings, and the layers behind them; without those that do nothing."""
    layers = [layer for layer in _opened(head) if not isinstance(layer, _IDLE)]
    gated = bool(layers) and isinstance(layers[0], nn.ReLU)
    layers = layers[gated:]
    count = next((n for n, layer in enumerate(layers) if not isinstance(layer, _POOLINGS)), len(layers))
    return gated, layers[:count], layers[count:]


def _opened(part: nn.Module) -> Iterator[nn.Module]:
    if isinstance(part, nn.Sequential):
        for inner in part:
            yield from _opened(inner)
    else:
        yield part


def _is_global(layer: nn.Module) -> bool:
    if isinstance(layer, nn.AdaptiveAvgPool2d):
        return layer.output_size in (1, (1, 1))
    return isinstance(layer, MeanOverPixels)


def _apply(layer: nn.Module, values: Tensor) -> Tensor:
    """The layer's output, (N, in) to (N, out); never in place, for what came in is needed on the way back."""
    if isinstance(layer, nn.ReLU):
        return functional.relu(values)
    if isinstance(layer, nn.Hardswish):
        return functional.hardswish(values)
    if isinstance(layer, nn.LayerNorm):
        return functional.layer_norm(values, layer.normalized_shape, layer.weight, layer.bias, layer.eps)
    result: Tensor = layer(values)
    return result


def _taken_back(layer: nn.Module, given: Tensor, gradient: Tensor) -> Tensor:
    """The gradient in front of a layer, from that behind it: (C, out) or (N, C, out) to (C, in) or (N, C, in).

    Args:
        given: (N, in), what the layer was given.
    """
    if isinstance(layer, nn.Linear):
        return gradient @ layer.weight
    if isinstance(layer, nn.ReLU):
        return gradient * (given > 0).to(gradient.dtype).unsqueeze(1)
    if isinstance(layer, nn.Hardswish):
        # x (x + 3) / 6 between -3 and 3; 0 below, x above.
        slope = torch.where(given > 3, 1.0, torch.where(given < -3, 0.0, given / 3 + 0.5))
        return gradient * slope.unsqueeze(1)
    assert isinstance(layer, nn.LayerNorm)
    centred = given - given.mean(dim=-1, keepdim=True)
    scale = (centred.square().mean(dim=-1, keepdim=True) + layer.eps).rsqrt()
    normal = (centred * scale).unsqueeze(1)
    scaled = gradient * layer.weight
    along = (scaled * normal).mean(dim=-1, keepdim=True)
    return scale.unsqueeze(1) * (scaled - scaled.mean(dim=-1, keepdim=True) - normal * along)
