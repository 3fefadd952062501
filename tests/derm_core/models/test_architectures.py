"""Every family of networks is cut at its Grad-CAM layer without changing what it computes."""

from __future__ import annotations

import copy

import pytest
import torch
import torchvision
from torch import nn

from derm_core.errors import ConfigError
from derm_core.models import (
    ARCHITECTURES,
    activation_map,
    body_blocks,
    build_model,
    check_architecture,
    classifier_layer,
    fixed_image_size,
    freeze_blocks,
    grad_cam_layer,
    split_model,
)

CHANNELS = {
    "alexnet": 256,
    "convnext_tiny": 768,
    "densenet121": 1024,
    "efficientnet_b0": 1280,
    "efficientnet_v2_s": 1280,
    "mnasnet0_5": 1280,
    "mobilenet_v2": 1280,
    "mobilenet_v3_small": 576,
    "regnet_x_400mf": 400,
    "regnet_y_400mf": 440,
    "resnet18": 512,
    "resnet50": 2048,
    "shufflenet_v2_x0_5": 1024,
    "swin_t": 768,
    "swin_v2_t": 768,
    "vgg11": 512,
}
"""The smallest of each family and shape, with the channels of the layer that its paper ends its convolutions with."""


@pytest.fixture(scope="module", params=sorted(CHANNELS))
def architecture(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def network(architecture: str) -> nn.Module:
    torch.manual_seed(0)
    return build_model(architecture, 3).eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def hooked_output(network: nn.Module, layer: nn.Module, pictures: torch.Tensor) -> torch.Tensor:
    seen: list[torch.Tensor] = []
    # The next layer may change the tensor in place: keep a copy.
    handle = layer.register_forward_hook(lambda module, inputs, output: seen.append(output.clone()))
    try:
        network(pictures)
    finally:
        handle.remove()
    (output,) = seen
    return output


@torch.no_grad()
def test_the_head_of_the_body_is_the_network_exactly(
    network: nn.Module, architecture: str, pictures: torch.Tensor
) -> None:
    body, head = split_model(network, architecture)
    activation = body(pictures)
    assert activation.shape[:2] == (2, CHANNELS[architecture])
    assert activation.ndim == 4
    kept = activation.clone()
    logits = head(activation)
    assert logits.shape == (2, 3)
    assert torch.equal(logits, network(pictures))
    assert torch.equal(activation, kept), "the head changes the body's output in place"


@torch.no_grad()
def test_the_body_gives_what_a_hook_at_the_grad_cam_layer_sees(
    network: nn.Module, architecture: str, pictures: torch.Tensor
) -> None:
    body, _ = split_model(network, architecture)
    seen = hooked_output(network, grad_cam_layer(network, architecture), pictures)
    assert torch.equal(body(pictures), seen)


def test_a_gradient_flows_from_every_logit_to_the_bodys_output(
    network: nn.Module, architecture: str, pictures: torch.Tensor
) -> None:
    body, head = split_model(network, architecture)
    with torch.no_grad():
        activation = body(pictures)
    activation.requires_grad_()
    for logit in head(activation).sum(dim=0):
        (gradient,) = torch.autograd.grad(logit, activation, retain_graph=True)
        assert gradient.shape == activation.shape
        assert gradient.any()


def test_the_halves_share_the_networks_parameters_and_hold_them_all(
    network: nn.Module, architecture: str
) -> None:
    body, head = split_model(network, architecture)
    halves = [id(parameter) for half in (body, head) for parameter in half.parameters()]
    assert sorted(halves) == sorted(id(parameter) for parameter in network.parameters())


def test_splitting_keeps_the_mode_of_the_network(network: nn.Module, architecture: str) -> None:
    for half in split_model(network, architecture):
        assert not any(module.training for module in half.modules())
    assert not any(module.training for module in network.modules())


def test_a_network_in_training_is_split_in_training() -> None:
    network = build_model("mobilenet_v2", 3).train()
    assert all(module.training for half in split_model(network, "mobilenet_v2") for module in half.modules())


def test_only_the_last_linear_layer_is_another(architecture: str, network: nn.Module) -> None:
    with torch.device("cpu" if architecture.startswith("regnet") else "meta"):
        original = torchvision.models.get_model(architecture, weights=None)
    before = {name: tensor.shape for name, tensor in original.state_dict().items()}
    after = {name: tensor.shape for name, tensor in network.state_dict().items()}
    assert list(before) == list(after)
    changed = [name for name in before if before[name] != after[name]]
    assert len(changed) == 2
    assert [after[name] for name in changed] == [classifier_layer(network).weight.shape, (3,)]


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if not name.startswith("regnet")])
def test_every_architecture_can_be_built_and_split(name: str) -> None:
    """On torch's meta device, which computes shapes only; RegNets need numbers to be built."""
    with torch.device("meta"):
        network = build_model(name, 5).eval()
    body, head = split_model(network, name)
    side = fixed_image_size(name) or 96
    activation = body(torch.zeros(2, 3, side, side, device="meta"))
    assert activation_map(network)(activation).ndim == 4
    assert head(activation).shape == (2, 5)
    assert grad_cam_layer(network, name) in (list(body.children())[-1], body_blocks(network, name)[-1])


@pytest.mark.parametrize(
    ("name", "layer"),
    [("googlenet", "inception5b"), ("squeezenet1_1", "features"), ("inception_v3", "Mixed_7c")],
)
@torch.no_grad()
def test_networks_that_are_built_otherwise_than_torchvisions_are_cut_exactly(name: str, layer: str) -> None:
    torch.manual_seed(0)
    network = build_model(name, 3, dropout=0.3).eval()
    pictures = torch.randn(2, 3, 96, 96)
    body, head = split_model(network, name)
    assert torch.equal(head(body(pictures)), network(pictures))
    assert torch.equal(hooked_output(network, getattr(network, layer), pictures), body(pictures))
    assert torch.equal(nn.Sequential(*body_blocks(network, name))(pictures), body(pictures))
    assert [module.p for module in head.modules() if isinstance(module, nn.Dropout)] == [0.3]
    assert network.train()(pictures).shape == (2, 3)


@torch.no_grad()
def test_the_blocks_one_after_the_other_are_the_body(
    network: nn.Module, architecture: str, pictures: torch.Tensor
) -> None:
    blocks = body_blocks(network, architecture)
    assert len(blocks) > 4
    assert not any(type(block) is nn.Sequential and len(block) > 20 for block in blocks)
    body, _ = split_model(network, architecture)
    assert torch.equal(nn.Sequential(*blocks)(pictures), body(pictures))


def test_only_vision_transformers_see_one_size_of_pictures() -> None:
    sizes = {name: fixed_image_size(name) for name in ARCHITECTURES if fixed_image_size(name)}
    assert sizes == dict.fromkeys(
        ("maxvit_t", "vit_b_16", "vit_b_32", "vit_h_14", "vit_l_16", "vit_l_32"), 224
    )


def learning(network: nn.Module) -> list[str]:
    """Names of the parameters that have gradients, and of the modules in training."""
    return [name for name, parameter in network.named_parameters() if parameter.requires_grad] + [
        name for name, module in network.named_modules() if module.training and not list(module.children())
    ]


def test_frozen_blocks_are_the_leading_ones_and_the_others_learn() -> None:
    network = build_model("shufflenet_v2_x0_5", 3).train()
    whole = learning(network)
    freeze_blocks(network, "shufflenet_v2_x0_5", 4)
    # Convolution, norm and activation of the first step, and the max-pooling.
    assert learning(network) == [name for name in whole if not name.startswith(("conv1", "maxpool"))]
    freeze_blocks(network, "shufflenet_v2_x0_5", 0)
    network.train()
    assert learning(network) == whole


def test_a_body_that_is_frozen_whole_leaves_the_head_to_learn() -> None:
    network = build_model("shufflenet_v2_x0_5", 3).train()
    freeze_blocks(network, "shufflenet_v2_x0_5", -1)
    assert learning(network) == ["fc.weight", "fc.bias", "fc"]


def test_the_names_are_all_of_torchvisions_for_classification() -> None:
    assert set(ARCHITECTURES) == set(torchvision.models.list_models(module=torchvision.models))
    assert list(ARCHITECTURES) == sorted(ARCHITECTURES)
    assert {"alexnet", "resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "convnext_tiny"} <= set(
        ARCHITECTURES
    )


@pytest.mark.parametrize("call", [split_model, grad_cam_layer, body_blocks])
def test_an_unknown_architecture_is_named_with_the_nearest(call: object) -> None:
    network = build_model("shufflenet_v2_x0_5", 2)
    with pytest.raises(
        ConfigError, match=r"Unknown architecture 'resnet5'.*alexnet.*Did you mean 'resnet50'\?"
    ):
        call(network, "resnet5")  # type: ignore[operator]


def test_a_name_is_given_back_where_it_is_known() -> None:
    assert check_architecture("resnet50") == "resnet50"
    with pytest.raises(ConfigError, match=r"Unknown architecture 'resnet5'.*Did you mean 'resnet50'\?"):
        check_architecture("resnet5")


def test_splitting_leaves_no_hooks_and_changes_no_weights() -> None:
    network = build_model("alexnet", 2).eval()
    before = copy.deepcopy(network.state_dict())
    split_model(network, "alexnet")
    grad_cam_layer(network, "alexnet")
    assert all(torch.equal(before[name], tensor) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._backward_hooks for module in network.modules())
