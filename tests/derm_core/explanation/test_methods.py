"""Every method through its one interface: shapes, ranges, the right place, and nothing left behind."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from derm_core.errors import ConfigError
from derm_core.explanation.grad_cam import grad_cam
from derm_core.explanation.methods import DEFAULT_METHOD, METHODS, attribute, get_method
from derm_core.explanation.split_network import split_network
from derm_core.models import build_model
from tests.derm_core.explanation.networks import SIDE, corner_network, images, random_network

GUIDED = {"guided_backprop", "guided_grad_cam"}
LAYERED = {"grad_cam_layers", "layer_cam"}


@pytest.mark.parametrize("views", [1, 4])
@pytest.mark.parametrize("method", METHODS)
def test_maps_are_shares_of_their_peak_and_come_out_the_same_twice(method: str, views: int) -> None:
    network, pictures, classes = random_network(views=views), images(), torch.tensor([2, 0])
    maps = attribute(network, pictures, classes, method=method)
    assert maps.dtype == torch.float32
    assert maps.shape[0] == 2
    assert maps.shape[1] == maps.shape[2]
    assert maps.min() >= 0
    assert maps.amax(dim=(1, 2)).tolist() == pytest.approx([1.0, 1.0])
    assert torch.equal(maps, attribute(network, pictures, classes, method=method))


@pytest.mark.parametrize("method", METHODS)
def test_a_picture_gets_the_same_map_alone_and_beside_others(method: str) -> None:
    network, pictures, classes = random_network(), images(), torch.tensor([1, 2])
    together = attribute(network, pictures, classes, method=method)
    alone = attribute(network, pictures[1:], classes[1:], method=method)
    torch.testing.assert_close(together[1:], alone, rtol=0, atol=1e-5)


@pytest.mark.parametrize("views", [1, 2])
@pytest.mark.parametrize("method", sorted(set(METHODS) - GUIDED - LAYERED - {"grad_cam"}))
def test_pixel_methods_show_the_place_that_the_class_gains_by(method: str, views: int) -> None:
    # A bright spot in each of two corners, of which each class sees one.
    picture = torch.zeros(1, 3, SIDE, SIDE)
    picture[:, :, 6:12, 6:12] = picture[:, :, 20:26, 20:26] = 1.0
    half = SIDE // 2
    network = corner_network(views=views)
    first = attribute(network, picture, torch.tensor([1]), method=method)[0]
    second = attribute(network, picture, torch.tensor([0]), method=method)[0]
    if views == 1:
        assert first[:half, :half].sum() > 0.8 * first.sum()
        assert second[half:, half:].sum() > 0.8 * second.sum()
    else:
        # The mirrored view sees the upper right corner for its upper left one: the answer rests on both.
        assert first[:half].sum() > 0.8 * first.sum()
        assert first[:half, half:].sum() > 0 or method != "gradient"


@pytest.mark.parametrize("views", [1, 4])
def test_the_default_method_is_the_grad_cam_of_one_pass(views: int) -> None:
    network, pictures, classes = random_network(views=views), images(), torch.tensor([1, 0])
    maps = attribute(network, pictures, classes, method=DEFAULT_METHOD)
    if views == 1:
        plain = grad_cam(network.body, network.head, pictures, classes).heatmaps
        torch.testing.assert_close(maps, plain / plain.amax(dim=(1, 2), keepdim=True))
    mirrored = attribute(network, pictures.flip(-1), classes, method=DEFAULT_METHOD)
    if views == 4:
        torch.testing.assert_close(mirrored.flip(-1), maps, rtol=0, atol=1e-5)
    else:
        assert not torch.allclose(mirrored.flip(-1), maps, atol=1e-2)


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_left_behind(method: str) -> None:
    network, pictures = random_network(), images()
    state = {name: tensor.clone() for name, tensor in network.body.state_dict().items()}
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    before = pictures.clone()
    with torch.inference_mode():
        attribute(network, before, torch.tensor([0, 1]), method=method)
    modules = [*network.body.modules(), *network.head.modules()]
    assert all(not module._forward_hooks and not module._backward_hooks for module in modules)
    assert all(not module._forward_pre_hooks and not module.training for module in modules)
    assert not any(parameter.requires_grad for parameter in network.body.parameters())
    assert all(torch.equal(tensor, state[name]) for name, tensor in network.body.state_dict().items())
    assert torch.equal(before, pictures)
    assert not pictures.requires_grad
    assert np.array_equal(np.random.get_state()[1], numpy_state)
    assert torch.equal(torch.get_rng_state(), torch_state)


def test_a_class_that_nothing_speaks_for_gets_a_map_of_zeros() -> None:
    maps = attribute(corner_network(), images(1), torch.tensor([2]), method="occlusion")
    assert torch.equal(maps, torch.zeros_like(maps))


@pytest.mark.parametrize("method", sorted(GUIDED))
def test_guided_methods_are_refused_where_they_are_the_plain_gradient(method: str) -> None:
    network = random_network(activation=nn.ReLU6)
    with pytest.raises(ConfigError, match=r"does not suit this network: it has no ReLU\. Name another"):
        attribute(network, images(), torch.tensor([0, 1]), method=method)


@pytest.mark.parametrize(
    ("architecture", "layers", "guided"),
    [
        ("resnet18", 3, True),
        ("densenet121", 3, True),
        ("alexnet", 3, True),
        ("mobilenet_v2", 3, False),
        ("mobilenet_v3_small", 3, False),
        ("regnet_y_400mf", 3, False),
        ("swin_t", 1, False),
    ],
)
def test_networks_get_the_methods_that_suit_them(architecture: str, layers: int, guided: bool) -> None:
    network = split_network(build_model(architecture, 7), architecture, image_size=64)
    suitable = {name for name, method in METHODS.items() if method.reason_against(network) is None}
    assert len(network.stages) == layers
    assert suitable == set(METHODS) - (set() if guided else GUIDED) - (LAYERED if layers == 1 else set())


def test_a_network_with_one_resolution_has_no_layers_to_look_at() -> None:
    network = split_network(build_model("swin_t", 3), "swin_t", image_size=32)
    with pytest.raises(ConfigError, match="several layers does not suit this network: its inner layers"):
        attribute(network, images(1), torch.tensor([0]), method="grad_cam_layers")


def test_an_unknown_method_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"Unknown explanation method 'gradcam'.*Did you mean 'grad_cam'"):
        get_method("gradcam")


def test_every_method_says_what_it_is() -> None:
    assert next(iter(METHODS)) == DEFAULT_METHOD
    for name, method in METHODS.items():
        assert method.name == name
        assert method.title
        assert method.description.endswith(".")
        assert method.source
    assert len({method.title for method in METHODS.values()}) == len(METHODS)
