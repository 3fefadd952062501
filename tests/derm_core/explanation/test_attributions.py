"""The methods by hand arithmetic, and against Captum where the code is our own."""

from __future__ import annotations

import copy
import warnings

import pytest
import torch
from captum.attr import GuidedBackprop, LayerGradCam
from torch import nn
from torch.nn import functional

from derm_core.explanation import attributions
from derm_core.explanation.guided import GuidedReLU, functional_activations, with_guided_relu
from derm_core.explanation.layers import grad_cam_layers, layer_cam
from derm_core.explanation.split_network import SplitNetwork
from tests.derm_core.explanation.networks import SIDE, corner_network, images, random_network


def test_a_guided_relu_passes_positive_gradients_where_its_input_was_positive() -> None:
    values = torch.tensor([2.0, -1.0, 3.0, -4.0], requires_grad=True)
    result = GuidedReLU()(values)
    result.backward(torch.tensor([5.0, 6.0, -7.0, -8.0]))
    assert result.tolist() == [2.0, 0.0, 3.0, 0.0]
    assert values.grad is not None
    assert values.grad.tolist() == [5.0, 0.0, 0.0, 0.0]


def test_guided_slopes_are_those_of_captum() -> None:
    network, pictures, classes = random_network(), images(), torch.tensor([0, 2])
    guided = network.guided
    assert isinstance(guided, SplitNetwork)
    leaf = pictures.clone().requires_grad_()
    (ours,) = torch.autograd.grad(guided.logits(leaf).gather(1, classes[:, None]).sum(), leaf)
    peer = copy.deepcopy(nn.Sequential(network.body, network.head))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Captum says that it sets hooks.
        theirs = GuidedBackprop(peer).attribute(pictures.clone().requires_grad_(), target=classes)
    torch.testing.assert_close(ours, theirs)
    assert ours.abs().max() > 0


def test_activations_that_are_functions_are_seen_in_the_graph() -> None:
    class Hidden(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return functional.silu(functional.relu(values))

    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU(), Hidden())
    assert with_guided_relu(model) == 1
    assert functional_activations(model(torch.ones(1, 2))) == ["ReLU", "SiLU"]


def test_layer_wise_maps_are_the_mean_of_captums_at_each_resolution() -> None:
    network, pictures, classes = random_network(), images(), torch.tensor([1, 2])
    model = nn.Sequential(network.body, network.head)
    ends = [network.body[0], network.body[2], network.body[4]]
    maps = [
        LayerGradCam(model, layer).attribute(
            pictures.clone().requires_grad_(), classes, relu_attributions=True
        )
        for layer in ends
    ]
    peaks = [heatmap.amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30) for heatmap in maps]
    shares = [
        functional.interpolate(heatmap / peak, (16, 16), mode="bilinear", align_corners=False)
        for heatmap, peak in zip(maps, peaks, strict=True)
    ]
    expected = torch.cat(shares, dim=1).mean(dim=1)
    torch.testing.assert_close(grad_cam_layers(network, pictures, classes), expected.detach())


def test_layer_cam_weighs_each_place_by_its_own_slope() -> None:
    # One resolution cut in two by hand: the activation is x, the head weighs its four places by 3, -1, 0 and 2.
    class Weighing(nn.Module):
        def forward(self, activation: torch.Tensor) -> torch.Tensor:
            return (activation.flatten(1) @ torch.tensor([[3.0], [-1.0], [0.0], [2.0]])).expand(-1, 2)

    body = nn.Sequential(nn.AvgPool2d(2), nn.AvgPool2d(2))
    network = SplitNetwork(body, Weighing(), 8, lambda activation: activation)
    object.__setattr__(network, "stages", (nn.AvgPool2d(4), nn.Identity()))
    picture = (
        torch.tensor([[1.0, 5.0], [7.0, 2.0]]).repeat_interleave(4, 0).repeat_interleave(4, 1)[None, None]
    )
    found = layer_cam(network, picture, torch.tensor([0]))
    # relu(3) * 1, relu(-1) * 5, 0 * 7, 2 * 2; both layers see the same, so their mean is that by its peak 4.
    assert torch.allclose(found[0], torch.tensor([[3.0, 0.0], [0.0, 4.0]]) / 4)


def test_the_skin_is_the_mean_colour_of_eight_tiles_on_the_border() -> None:
    picture = torch.full((1, 3, SIDE, SIDE), 2.0)
    picture[:, :, 8:24, 8:24] = 9.0
    assert torch.equal(attributions._skin(picture), torch.full((1, 8, 3), 2.0))


def test_integrated_gradients_of_a_linear_network_are_the_weight_times_the_way_from_skin() -> None:
    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[:, :, 8, 8] = 1.0
    found = attributions.integrated_gradients(corner_network(), picture, torch.tensor([1]))[0]
    # The quarter's brightness is a mean over 16 x 16 pixels, of all three colours; smoothing keeps the sum.
    assert float(found.sum()) == pytest.approx(3 / 16**2, rel=1e-3)
    assert found.argmax() == 8 * SIDE + 8


def test_occlusion_shows_how_much_the_score_falls() -> None:
    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[:, :, 8:16, 8:16] = 1.0
    found = attributions.occlusion(corner_network(), picture, torch.tensor([1]))[0]
    # A window of 8 pixels that hides the whole spot takes all of its 8 * 8 * 3 / 256 away.
    assert float(found.max()) <= 8 * 8 * 3 / 256 + 1e-6
    assert found[10, 10] > 0.5 * 8 * 8 * 3 / 256
    assert float(found[20:, 20:].max()) == 0
