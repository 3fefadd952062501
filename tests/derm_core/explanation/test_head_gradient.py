"""The gradient of a head in closed form: by hand, against autograd, and where there is none."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.convnext import LayerNorm2d

from derm_core.explanation.grad_cam import grad_cam_all
from derm_core.explanation.head_gradient import HeadGradient, reason_against, weighted_maps

GENERATOR = torch.Generator().manual_seed(7)


def activation() -> Tensor:
    return torch.randn(3, 6, 4, 5, generator=GENERATOR)


def linear(inputs: int, outputs: int) -> nn.Linear:
    layer = nn.Linear(inputs, outputs)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(outputs, inputs, generator=GENERATOR))
    return layer


def normalised(maps: int) -> LayerNorm2d:
    layer = LayerNorm2d(maps)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(maps, generator=GENERATOR))
        layer.bias.copy_(torch.randn(maps, generator=GENERATOR))
    return layer


def head_of(*layers: nn.Module) -> nn.Sequential:
    return nn.Sequential(*layers).eval().requires_grad_(False)


HEADS = {
    "linear": lambda: head_of(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(6, 3)),
    "dropout": lambda: head_of(
        nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), nn.Sequential(nn.Dropout(0.5), linear(6, 3))
    ),
    "hidden layer": lambda: head_of(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(6, 8), nn.ReLU(inplace=True), linear(8, 3)
    ),
    "hardswish": lambda: head_of(
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(6, 8), nn.Hardswish(inplace=True), linear(8, 3)
    ),
    "normalised": lambda: head_of(nn.AdaptiveAvgPool2d(1), normalised(6), nn.Flatten(), linear(6, 3)),
    "activation first": lambda: head_of(nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(6, 3)),
    "places": lambda: head_of(
        nn.MaxPool2d(2, 1), nn.AdaptiveAvgPool2d((2, 3)), nn.Flatten(), linear(36, 8), nn.ReLU(), linear(8, 3)
    ),
    "overlapping places": lambda: head_of(nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten(), linear(294, 3)),
}


def test_the_weights_of_a_linear_head_are_the_class_weights_over_the_pixels() -> None:
    layer = nn.Linear(2, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
        layer.bias.copy_(torch.tensor([0.5, -0.5]))
    head = HeadGradient(head_of(nn.AdaptiveAvgPool2d(1), nn.Flatten(), layer))
    maps = torch.tensor([[[[4.0, -8.0], [0.0, 2.0]], [[1.0, 1.0], [1.0, 1.0]]]])
    logits, weights = head(maps)
    # The means of the two maps are -0.5 and 1: 2 * -0.5 + 0.5 and -0.5 + 3 - 0.5.
    assert torch.equal(logits, torch.tensor([[-0.5, 2.0]]))
    assert torch.equal(weights, torch.tensor([[0.5, 0.0], [0.25, 0.75]]))
    heatmaps = weighted_maps(maps, weights)
    assert torch.equal(heatmaps[0, 0], (maps[0, 0] / 2).relu())
    assert torch.equal(heatmaps[0, 1], (maps[0, 0] / 4 + 0.75).relu())


@pytest.mark.parametrize("name", HEADS)
def test_the_closed_form_equals_autograd(name: str) -> None:
    head, maps = HEADS[name](), activation()
    logits, weights = HeadGradient(head)(maps)
    wanted_logits, wanted_maps = grad_cam_all(nn.Identity(), head, maps)
    torch.testing.assert_close(logits, wanted_logits, rtol=0, atol=1e-5)
    assert wanted_maps.max() > 0.01
    torch.testing.assert_close(weighted_maps(maps, weights), wanted_maps, rtol=0, atol=1e-5)


def test_what_is_given_is_not_changed() -> None:
    head = HEADS["hidden layer"]()
    maps = activation()
    before = maps.clone()
    first = HeadGradient(head)(maps)
    assert torch.equal(maps, before)
    assert all(map(torch.equal, first, HeadGradient(head)(maps)))


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (head_of(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(6, 3), nn.GELU(), linear(3, 3)), "GELU"),
        (head_of(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear(6, 3), nn.ReLU()), "end in a linear layer"),
        (head_of(nn.AdaptiveAvgPool2d(1), nn.Flatten()), "end in a linear layer"),
        (head_of(nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), linear(24, 3)), "no average over the whole map"),
        (head_of(nn.AdaptiveAvgPool2d(2), normalised(6), nn.Flatten(), linear(24, 3)), "more than one place"),
    ],
)
def test_a_head_without_a_closed_form_is_refused_with_the_reason(head: nn.Module, reason: str) -> None:
    assert reason in str(reason_against(head))
    with pytest.raises(ValueError, match=reason):
        HeadGradient(head)
