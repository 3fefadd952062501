"""Guided backpropagation's ReLU, and where it is sound. Hooks nothing: the ReLUs of a copy are replaced.

Springenberg et al., "Striving for Simplicity: The All Convolutional Net" (arXiv 1412.6806), section 3.4.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_ACTIVATIONS = {
    "Relu": "ReLU",
    "Hardtanh": "ReLU6",
    "LeakyRelu": "LeakyReLU",
    "Elu": "ELU",
    "Gelu": "GELU",
    "Silu": "SiLU",
    "Mish": "Mish",
    "Hardswish": "Hardswish",
    "Hardsigmoid": "Hardsigmoid",
    "Sigmoid": "Sigmoid",
    "Tanh": "Tanh",
    "Softplus": "Softplus",
    "Softmax": "Softmax",
}
"""Nodes of autograd's graph that stand for an activation, without "Backward0", and what people call it."""


class GuidedReLU(nn.Module):
    """A ReLU, never in place, that passes back the positive part of the gradient where its input was positive."""

    def forward(self, values: Tensor) -> Tensor:
        result: Tensor = _Guided.apply(values)
        return result


class _Guided(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        ctx.save_for_backward(values > 0)
        return values.relu()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        (passed,) = ctx.saved_tensors
        return gradients[0].relu() * passed


def with_guided_relu(model: nn.Module) -> int:
    """Replaces every nn.ReLU inside a network, which must be nobody else's; returns how many there were."""
    count = 0
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.ReLU:
                setattr(parent, name, GuidedReLU())
                count += 1
    return count


def functional_activations(result: Tensor) -> list[str]:
    """Returns the activations in the graph behind a tensor that are no GuidedReLU, whether modules or functions."""
    seen, waiting, found = set(), [result.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        found.add(_ACTIVATIONS.get(node.name().partition("Backward")[0], ""))
        waiting += [inner for inner, _ in node.next_functions]
    return sorted(found - {""})
