"""Networks of tokens: cut without changing what they compute, and their tokens laid out as a map."""

from __future__ import annotations

from typing import Any

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
from derm_core.models.tokens import is_timm

TIMM = "test_vit", "test_resnet", "test_convnext"
"""Small networks that timm keeps for tests: tokens, maps that end in ReLU, and a head with a norm of its own."""


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    """torchvision's class with blocks as those of vit_b_16, and few of them; 9 patches and a class token."""
    return small_vit()


def small_vit() -> nn.Module:
    torch.manual_seed(0)
    network = torchvision.models.VisionTransformer(
        image_size=24, patch_size=8, num_layers=3, num_heads=2, hidden_dim=8, mlp_dim=16, num_classes=3
    )
    with torch.no_grad():
        # Random as built, these are 0, and every class would answer alike.
        for parameter in (network.class_token, network.heads[-1].weight):
            parameter.normal_()
    return network.eval()


@pytest.fixture(scope="module")
def pictures() -> torch.Tensor:
    return torch.randn(2, 3, 24, 24, generator=torch.Generator().manual_seed(1))


@torch.no_grad()
def test_the_head_of_a_vision_transformers_body_is_the_network_exactly(
    vit: nn.Module, pictures: torch.Tensor
) -> None:
    body, head = split_model(vit, "vit_b_16")
    tokens = body(pictures)
    assert tokens.shape == (2, 10, 8)
    assert torch.equal(head(tokens), vit(pictures))
    seen: list[torch.Tensor] = []
    handle = grad_cam_layer(vit, "vit_b_16").register_forward_hook(
        lambda module, inputs, output: seen.append(output)
    )
    vit(pictures)
    handle.remove()
    assert torch.equal(seen[0], tokens)


def test_a_vision_transformers_tokens_are_laid_out_as_its_patches(vit: nn.Module) -> None:
    tokens = torch.arange(10.0).view(1, 10, 1).expand(2, 10, 8)
    # Without the class token, row by row.
    expected = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]
    placed = activation_map(vit)(tokens)
    assert placed.shape == (2, 8, 3, 3)
    assert placed[1, 5].tolist() == expected


def test_the_patch_that_changes_is_the_token_that_changes() -> None:
    network: Any = small_vit()
    plain, changed = torch.zeros(1, 3, 24, 24), torch.zeros(1, 3, 24, 24)
    changed[..., 8:16, 16:24] = 1
    embed = network.conv_proj(plain), network.conv_proj(changed)
    tokens = [torch.cat([network.class_token, grid.flatten(2).mT], dim=1) for grid in embed]
    difference = (activation_map(network)(tokens[1]) - activation_map(network)(tokens[0])).abs().sum(dim=1)
    assert difference[0].nonzero().tolist() == [[1, 2]]


def test_a_vision_transformers_blocks_are_its_embedding_and_its_encoders_blocks(vit: Any) -> None:
    stem, *blocks = body_blocks(vit, "vit_b_16")
    assert blocks == list(vit.encoder.layers)[:-1]
    body, _ = split_model(vit, "vit_b_16")
    held = {id(parameter) for block in (stem, *blocks) for parameter in block.parameters()}
    assert held == {id(parameter) for parameter in body.parameters()}
    first = {id(parameter) for parameter in stem.parameters()}
    assert first == {
        *map(id, (vit.class_token, vit.encoder.pos_embedding, vit.conv_proj.weight, vit.conv_proj.bias))
    }


def test_frozen_blocks_of_a_vision_transformer_keep_its_tokens_and_positions() -> None:
    network = small_vit().train()
    freeze_blocks(network, "vit_b_16", 2)
    still = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    assert {"class_token", "encoder.pos_embedding", "conv_proj.weight", "conv_proj.bias"} <= still
    assert all(
        name.startswith("encoder.layers.encoder_layer_0.")
        for name in still - {"class_token", "encoder.pos_embedding", "conv_proj.weight", "conv_proj.bias"}
    )
    assert not network.encoder.dropout.training  # type: ignore[union-attr]


def test_torchvisions_names_are_never_timms() -> None:
    assert not any(map(is_timm, ARCHITECTURES))
    assert not is_timm("resnet5")


@pytest.fixture(scope="module")
def timm() -> Any:
    return pytest.importorskip("timm", reason="timm is not installed: its networks are not tested")


@pytest.mark.parametrize("name", TIMM)
def test_a_network_of_timms_is_built_for_the_classes_and_cut_without_changing_it(
    name: str, timm: Any
) -> None:
    assert is_timm(check_architecture(name))
    torch.manual_seed(0)
    network = build_model(name, 3).eval()
    assert classifier_layer(network).out_features == 3
    body, head = split_model(network, name)
    side = fixed_image_size(name) or 64
    images = torch.randn(2, 3, side, side)
    with torch.no_grad():
        activation = body(images)
        assert torch.equal(head(activation), network(images))
    assert head(activation).shape == (2, 3)
    placed = activation_map(network)(activation)
    assert placed.ndim == 4
    assert placed.shape[1] in activation.shape[1:]


@pytest.mark.parametrize("name", TIMM)
def test_a_frozen_body_of_timms_leaves_the_classifier_to_learn(name: str, timm: Any) -> None:
    network = build_model(name, 3).train()
    freeze_blocks(network, name, -1)
    learning = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    classifier = {id(parameter) for parameter in classifier_layer(network).parameters()}
    named = {name for name, parameter in network.named_parameters() if id(parameter) in classifier}
    # ConvNeXt's head has a norm in front of its classifier.
    assert named <= learning
    assert learning <= named | {"head.norm.weight", "head.norm.bias"}
    assert not any(isinstance(module, nn.BatchNorm2d) and module.training for module in network.modules())


def test_the_tokens_and_positions_of_timms_transformer_are_frozen_with_its_first_block(timm: Any) -> None:
    network: Any = build_model("test_vit", 3)
    first = body_blocks(network, "test_vit")[0]
    held = {id(parameter) for parameter in first.parameters()}
    assert {id(network.cls_token), id(network.pos_embed), id(network.patch_embed.proj.weight)} <= held


def test_channels_that_come_last_are_put_first(timm: Any) -> None:
    network = timm.models.SwinTransformer(
        img_size=32, patch_size=4, embed_dim=8, depths=(1, 1), num_heads=(1, 2), window_size=4, num_classes=3
    ).eval()
    body, head = split_model(network, "swin_tiny_patch4_window7_224")
    images = torch.randn(2, 3, 32, 32)
    activation = body(images)
    assert activation.shape == (2, 4, 4, 16)
    assert torch.equal(activation_map(network)(activation), activation.permute(0, 3, 1, 2))
    assert torch.equal(head(activation), network(images))


def test_timms_transformers_see_one_size_of_pictures(timm: Any) -> None:
    assert fixed_image_size("test_vit") == 160
    assert fixed_image_size("vit_tiny_patch16_224") == 224
    assert fixed_image_size("test_resnet") is None


def test_a_hidden_layer_and_dropout_go_into_timms_networks_too(timm: Any) -> None:
    network = build_model("test_resnet", 3, head_units=6, dropout=0.5)
    assert classifier_layer(network).weight.shape == (3, 6)
    layer = classifier_layer(network).train()
    assert not torch.equal(layer(torch.ones(50, 6)), layer(torch.ones(50, 6)))
    assert len(body_blocks(network, "test_resnet")) > 4


def test_a_network_of_timms_that_ends_otherwise_is_refused(timm: Any) -> None:
    with pytest.raises(ConfigError, match=r"timm's dla34 does not end in one linear layer.*Name another"):
        build_model("dla34", 3)


def test_a_layer_of_timms_has_no_name_here(timm: Any) -> None:
    with pytest.raises(ConfigError, match="The Grad-CAM layer of timm's test_vit has no name here"):
        grad_cam_layer(build_model("test_vit", 3), "test_vit")


def test_without_timm_its_names_are_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not is_timm("test_vit")
    with pytest.raises(ConfigError, match="Unknown architecture 'test_vit'"):
        check_architecture("test_vit")
