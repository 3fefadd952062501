"""Grad-CAM by hand arithmetic, against Captum, and what it must leave as it was."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torchvision
from captum.attr import LayerGradCam
from torch import Tensor, nn

from derm_core.explanation.grad_cam import grad_cam, grad_cam_all
from derm_core.models import activation_map, build_model, fixed_image_size, grad_cam_layer, split_model

ARCHITECTURES = ("alexnet", "resnet18", "resnet50", "mobilenet_v2", "efficientnet_b0", "convnext_tiny")
CLASSES = 7
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


@pytest.fixture(scope="module", params=ARCHITECTURES)
def network(request: pytest.FixtureRequest) -> tuple[str, nn.Module]:
    return request.param, random_network(request.param)


def random_network(architecture: str) -> nn.Module:
    """A network with random weights whose signal neither dies nor grows, and whose classes differ well."""
    torch.manual_seed(3)
    model = build_model(architecture, CLASSES)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 1.0
            elif isinstance(module, nn.Linear):
                module.weight.mul_(3)
        model.train()(torch.randn(8, 3, 96, 96))  # Once, so that batch norms know the scale of what they get.
    return model.eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(3, 3, 96, 96, generator=torch.Generator().manual_seed(5))


def captum_maps(model: nn.Module, architecture: str, images: Tensor, classes: Tensor) -> Tensor:
    peer = LayerGradCam(model, grad_cam_layer(model, architecture))
    maps = peer.attribute(images.clone().requires_grad_(), classes, relu_attributions=True)
    return maps[:, 0].detach()


def assert_maps_equal(ours: Tensor, theirs: Tensor) -> None:
    """Within 1e-4 as they are, and within 1e-4 of the peak, for maps of random networks may be small."""
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4 * float(theirs.max()))


def test_maps_of_every_class_equal_those_of_captum_in_a_batch(
    network: tuple[str, nn.Module], images: Tensor
) -> None:
    architecture, model = network
    body, head = split_model(model, architecture)
    logits, maps = grad_cam_all(body, head, images)
    assert maps.shape[:2] == (3, CLASSES)
    assert maps.amax() > 0
    with torch.no_grad():
        torch.testing.assert_close(logits, model(images), rtol=0, atol=1e-5)
    for index in range(CLASSES):
        classes = torch.full((3,), index)
        theirs = captum_maps(model, architecture, images, classes)
        ours = grad_cam(body, head, images, classes)
        assert_maps_equal(ours.heatmaps, theirs)
        assert_maps_equal(maps[:, index], theirs)


def test_rows_of_a_batch_may_ask_for_different_classes(
    network: tuple[str, nn.Module], images: Tensor
) -> None:
    architecture, model = network
    body, head = split_model(model, architecture)
    classes = torch.tensor([6, 0, 3])
    ours = grad_cam(body, head, images, classes)
    assert torch.equal(ours.classes, classes)
    assert_maps_equal(ours.heatmaps, captum_maps(model, architecture, images, classes))
    for row in range(3):
        alone = grad_cam(body, head, images[row : row + 1], classes[row : row + 1])
        assert_maps_equal(ours.heatmaps[row : row + 1], alone.heatmaps)


def test_without_classes_each_row_explains_its_top_class(
    network: tuple[str, nn.Module], images: Tensor
) -> None:
    architecture, model = network
    body, head = split_model(model, architecture)
    ours = grad_cam(body, head, images)
    assert torch.equal(ours.classes, ours.logits.argmax(dim=1))
    assert_maps_equal(ours.heatmaps, captum_maps(model, architecture, images, ours.classes))


@pytest.mark.parametrize("architecture", ["vgg11", "densenet121", "shufflenet_v2_x0_5", "swin_t"])
def test_maps_equal_those_of_captum_on_other_families(architecture: str) -> None:
    model = random_network(architecture)
    images = torch.randn(2, 3, 64, 64)
    body, head = split_model(model, architecture)
    classes = torch.tensor([1, 4])
    ours = grad_cam(body, head, images, classes)
    assert ours.heatmaps.amax() > 0
    assert_maps_equal(ours.heatmaps, captum_maps(model, architecture, images, classes))


def tiny_network(*, in_place: bool = False) -> tuple[nn.Module, nn.Module]:
    """A body that gives the channels (x, -x) and a head that averages relu of both and weighs them by class."""
    body = nn.Conv2d(1, 2, 1)
    linear = nn.Linear(2, 2)
    with torch.no_grad():
        body.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
        body.bias.zero_()
        linear.weight.copy_(torch.tensor([[2.0, 0.0], [1.0, 3.0]]))
        linear.bias.copy_(torch.tensor([0.5, -0.5]))
    head = nn.Sequential(nn.ReLU(inplace=in_place), nn.AdaptiveAvgPool2d(1), nn.Flatten(), linear)
    return body.eval(), head.eval()


@pytest.mark.parametrize("in_place", [False, True])
def test_a_tiny_network_gives_what_hand_arithmetic_gives(in_place: bool) -> None:
    body, head = tiny_network(in_place=in_place)
    image = torch.tensor([[[[4.0, -8.0], [0.0, 2.0]]]])
    # Channel 0 is x, channel 1 is -x; after the ReLU their means are 6/4 and 8/4.
    # logits: 2 * 1.5 + 0.5 = 3.5 and 1.5 + 3 * 2 - 0.5 = 7.
    # The gradient of logit c is w[c, k] / 4 where channel k is positive (two pixels of channel 0, one of channel 1), so
    # alpha is w[c, 0] * 2 / 16 and w[c, 1] / 16; map c is relu(alpha_0 * x - alpha_1 * x).
    logits, maps = grad_cam_all(body, head, image)
    assert torch.equal(logits, torch.tensor([[3.5, 7.0]]))
    first = (4 / 16) * image[0, 0]
    second = (2 / 16 - 3 / 16) * image[0, 0]
    assert torch.equal(maps[0, 0], first.relu())
    assert torch.equal(maps[0, 1], second.relu())
    top = grad_cam(body, head, image)
    assert top.classes.tolist() == [1]
    assert torch.equal(top.heatmaps[0], maps[0, 1])


def test_an_in_place_head_leaves_what_the_body_gave_it() -> None:
    _, head = tiny_network(in_place=True)
    images = torch.tensor([[[[1.0, -2.0]], [[-3.0, 4.0]]]])
    before = images.clone()
    result = grad_cam(nn.Identity(), head, images)
    assert torch.equal(images, before)
    assert not images.requires_grad
    assert result.heatmaps.shape == (1, 1, 2)


def test_a_map_against_the_class_everywhere_is_zero() -> None:
    body, head = tiny_network()
    # Class 1 gains 3 / 16 by -x and 2 / 16 by x: where x is negative nothing of the class's map is left below zero.
    result = grad_cam(body, head, torch.full((1, 1, 2, 2), 2.0), torch.tensor([0]))
    assert result.heatmaps.min() > 0
    against = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 2))
    with torch.no_grad():
        against[2].weight.copy_(torch.tensor([[-1.0, 0.0], [0.0, 0.0]]))
    zero = grad_cam(body, against, torch.full((1, 1, 2, 2), 2.0), torch.tensor([0]))
    assert torch.equal(zero.heatmaps, torch.zeros(1, 2, 2))


@pytest.mark.parametrize("training", [False, True])
def test_nothing_is_left_behind(training: bool) -> None:
    torch.manual_seed(1)
    model = build_model("alexnet", CLASSES).train(training)
    frozen = next(model.parameters())
    frozen.requires_grad_(False)
    body, head = split_model(model, "alexnet")
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    wanted = [parameter.requires_grad for parameter in model.parameters()]
    images = torch.randn(2, 3, 64, 64)
    before = images.clone()
    assert torch.is_grad_enabled()
    result = grad_cam(body, head, images)
    grad_cam_all(body, head, images)
    assert torch.is_grad_enabled()
    assert all(not getattr(module, hooks) for module in model.modules() for hooks in HOOKS)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [parameter.requires_grad for parameter in model.parameters()] == wanted
    assert all(module.training is training for module in (*model.modules(), body, head))
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(images, before)
    assert images.grad is None
    assert not images.requires_grad
    assert not result.logits.requires_grad
    assert not result.heatmaps.requires_grad


def test_it_works_inside_no_grad_and_inference_mode_with_the_same_result() -> None:
    body, head = small_network()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    outside = grad_cam(body, head, images)
    for mode in (torch.no_grad, torch.inference_mode):
        with mode():
            inside = grad_cam(body, head, images)
            assert not torch.is_grad_enabled()
        assert torch.equal(inside.heatmaps, outside.heatmaps)
        assert torch.equal(inside.logits, outside.logits)


def test_the_head_is_differentiated_in_float32_where_the_body_ran_in_bfloat16() -> None:
    body, head = small_network()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert body(images).dtype == torch.bfloat16
        activation = body(images).detach()
        mixed = grad_cam(body, head, images)
        assert torch.is_autocast_enabled("cpu")
    alone = grad_cam(nn.Identity(), head, activation.float())
    assert mixed.logits.dtype == mixed.heatmaps.dtype == torch.float32
    assert torch.equal(mixed.logits, alone.logits)
    assert torch.equal(mixed.heatmaps, alone.heatmaps)


def test_a_head_of_bfloat16_parameters_is_copied_and_not_changed() -> None:
    body, head = small_network()
    images = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    full = grad_cam(body, head, images, torch.tensor([0, 1]))
    body, head = body.bfloat16(), head.bfloat16()
    half = grad_cam(body, head, images.bfloat16(), torch.tensor([0, 1]))
    assert half.heatmaps.dtype == torch.float32
    assert all(parameter.dtype == torch.bfloat16 for parameter in head.parameters())
    torch.testing.assert_close(
        half.heatmaps, full.heatmaps, rtol=0.05, atol=0.02 * float(full.heatmaps.max())
    )


def test_an_error_in_the_head_leaves_the_modes_as_they_were() -> None:
    body, _ = small_network()

    class Failing(nn.Module):
        def forward(self, activation: Tensor) -> Tensor:
            raise ValueError("no")

    with torch.no_grad():
        with pytest.raises(ValueError, match="no"):
            grad_cam(body, Failing(), torch.zeros(1, 3, 32, 32))
        assert not torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()


def small_network() -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(2)
    body = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4), nn.ReLU(), nn.Conv2d(8, 6, 3))
    head = nn.Sequential(nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 4))
    return body.eval(), head.eval()


def small_vit(image_size: int = 24) -> nn.Module:
    """torchvision's class, built as vit_b_16 is but for its size; 3 x 3 patches and a class token."""
    torch.manual_seed(4)
    model = torchvision.models.VisionTransformer(
        image_size=image_size,
        patch_size=8,
        num_layers=3,
        num_heads=2,
        hidden_dim=8,
        mlp_dim=16,
        num_classes=CLASSES,
    )
    with torch.no_grad():
        for parameter in (model.class_token, model.heads[-1].weight):
            parameter.normal_()
    return model.eval()


def vit_map_by_hand(model: Any, image: Tensor, index: int) -> Tensor:
    """Grad-CAM of one picture (1, 3, S, S), step by step through the network's own parts."""
    with torch.no_grad():
        patches = model.conv_proj(image)[0]
        rows = [patches[:, row, column] for row in range(3) for column in range(3)]
        tokens = torch.stack([model.class_token[0, 0], *rows])[None] + model.encoder.pos_embedding
        for block in list(model.encoder.layers)[:-1]:
            tokens = block(tokens)
    tokens.requires_grad_()
    last = model.encoder.ln(list(model.encoder.layers)[-1](tokens))
    model.heads(last[:, 0])[0, index].backward()
    # A weight for each channel: the mean slope over the nine places; the class token is no place.
    weights = tokens.grad[0, 1:].mean(dim=0)
    values = [float((weights * token).sum().clamp_min(0)) for token in tokens.detach()[0, 1:]]
    return torch.tensor(values).view(3, 3)


def test_maps_of_a_vision_transformer_are_those_of_the_hand() -> None:
    model = small_vit()
    images = torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(0))
    body, head = split_model(model, "vit_b_16")
    logits, maps = grad_cam_all(body, head, images, to_map=activation_map(model))
    assert maps.shape == (2, CLASSES, 3, 3)
    assert maps.amax() > 0
    with torch.no_grad():
        torch.testing.assert_close(logits, model(images), rtol=0, atol=1e-5)
    for row in range(2):
        for index in range(CLASSES):
            expected = vit_map_by_hand(model, images[row : row + 1], index)
            assert_maps_equal(maps[row, index], expected)
    single = grad_cam(body, head, images, torch.tensor([2, 5]), to_map=activation_map(model))
    assert_maps_equal(single.heatmaps, torch.stack([maps[0, 2], maps[1, 5]]))


@pytest.mark.parametrize("architecture", ["test_vit", "test_resnet", "test_convnext"])
def test_maps_of_timms_networks_are_those_of_their_whole_graph(architecture: str) -> None:
    pytest.importorskip("timm", reason="timm is not installed: its networks are not tested")
    torch.manual_seed(3)
    model: Any = build_model(architecture, CLASSES).eval()
    images = torch.randn(2, 3, fixed_image_size(architecture) or 64, fixed_image_size(architecture) or 64)
    body, head = split_model(model, architecture)
    with torch.no_grad():
        assert torch.equal(head(body(images)), model(images))
    to_map = activation_map(model)
    logits, maps = grad_cam_all(body, head, images, to_map=to_map)
    # As a hook would have it: one graph through the whole network, its features kept on the way.
    features = model.forward_features(images)
    features.retain_grad()
    model.forward_head(features)[:, 3].sum().backward()
    weights = to_map(features.grad).mean(dim=(2, 3), keepdim=True)
    expected = (to_map(features.detach()) * weights).sum(dim=1).relu()
    assert maps.shape == (2, CLASSES, *expected.shape[1:])
    assert_maps_equal(maps[:, 3], expected)
    torch.testing.assert_close(logits, model(images).detach(), rtol=0, atol=1e-5)
