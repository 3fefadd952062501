"""A bias chooses which class Grad-CAM explains, and changes neither the logits nor a map: by hand arithmetic."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from derm_core.explanation.grad_cam import grad_cam

IMAGES = torch.tensor([[[[4.0, 2.0], [2.0, 0.0]]], [[[0.0, 2.0], [6.0, 0.0]]]])


def tiny_network() -> tuple[nn.Module, nn.Module]:
    """The picture itself as the only channel, and a head that weighs its mean by 1, 2 and 3, with biases 4, 1, 0."""
    body = nn.Identity()
    linear = nn.Linear(1, 3)
    with torch.no_grad():
        linear.weight.copy_(torch.tensor([[1.0], [2.0], [3.0]]))
        linear.bias.copy_(torch.tensor([4.0, 1.0, 0.0]))
    return body.eval(), nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear).eval()


# Both means are 2, so the logits of both are 2 + 4, 4 + 1 and 6: 6, 5 and 6. The first of the equal is chosen.
@pytest.mark.parametrize(
    ("bias", "chosen"),
    [
        (None, 0),
        ([0.0, 0.0, 0.0], 0),
        ([0.0, 0.0, 0.5], 2),
        ([0.0, 1.5, 0.0], 1),
        ([-2.0, -0.5, -2.0], 1),
        ([7.0, 7.0, 7.0], 0),
    ],
)
def test_the_class_is_chosen_after_the_bias(bias: list[float] | None, chosen: int) -> None:
    body, head = tiny_network()
    result = grad_cam(body, head, IMAGES, bias=None if bias is None else torch.tensor(bias))
    assert result.classes.tolist() == [chosen, chosen]
    assert torch.equal(result.logits, torch.tensor([[6.0, 5.0, 6.0]] * 2))
    # The gradient of logit c is (c + 1) / 4 at each of the four pixels, and so is its mean.
    assert torch.equal(result.heatmaps, (chosen + 1) / 4 * IMAGES[:, 0])


def test_each_picture_of_a_batch_chooses_for_itself() -> None:
    body, head = tiny_network()
    images = torch.stack([torch.full((1, 2, 2), 1.0), torch.full((1, 2, 2), 3.0)])
    # Logits 5, 3, 3 and 7, 7, 9; with the bias 5, 5.5, 1 and 7, 9.5, 7.
    result = grad_cam(body, head, images, bias=torch.tensor([0.0, 2.5, -2.0]))
    assert result.classes.tolist() == [1, 1]
    assert grad_cam(body, head, images).classes.tolist() == [0, 2]
    assert grad_cam(body, head, images, bias=torch.tensor([0.0, 1.0, 0.0])).classes.tolist() == [0, 2]


def test_a_class_that_is_asked_for_is_explained_whatever_the_bias() -> None:
    body, head = tiny_network()
    classes = torch.tensor([0, 2])
    plain = grad_cam(body, head, IMAGES, classes)
    biased = grad_cam(body, head, IMAGES, classes, bias=torch.tensor([-9.0, 99.0, -9.0]))
    for name in ("logits", "heatmaps", "classes"):
        ours: Tensor = getattr(biased, name)
        assert torch.equal(ours, getattr(plain, name))
