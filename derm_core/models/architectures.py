"""torchvision's classification networks by name, and where each is cut for Grad-CAM. Loads no weights.

A network is cut in two at its Grad-CAM layer: `head(body(x)) == model(x)`, exactly. The body's output is the layer's
activation, (N, K, h, w) or what activation_map of tokens.py turns into that; the head is everything behind it. Both are
views: they share the network's own modules. Names that torchvision does not know are timm's, where it is installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from derm_core.errors import ConfigError
from derm_core.models.names import (
    ALEXNET_AND_VGGS,
    CONVNEXTS,
    DENSENETS,
    EFFICIENTNETS,
    INCEPTIONS,
    MNASNETS,
    MOBILENETS_V3,
    REGNETS,
    RESNETS,
    SHUFFLENETS,
    SQUEEZENETS,
    SWINS,
    VITS,
    check_architecture,
)
from derm_core.models.tokens import VitBody, is_timm, split_timm, split_vit, timm_blocks, timm_image_size
from derm_core.models.torchvision_lean import torchvision

# The networks' parts are attributes that only torchvision knows.
Split = Callable[[Any], tuple[list[nn.Module], list[nn.Module]]]


class _Flatten(nn.Flatten):
    """Flattens all but the batch, as torchvision's networks do between pooling and classifier."""


def _split_features(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    """EfficientNet, MobileNetV3 and ConvNeXt: `features`, `avgpool`, `classifier`."""
    pooled: list[nn.Module] = [model.avgpool]
    if not isinstance(model, torchvision.models.ConvNeXt):
        pooled.append(_Flatten())
    return [model.features], [*pooled, model.classifier]


def _split_mobilenet_v2(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    return [model.features], [nn.AdaptiveAvgPool2d((1, 1)), _Flatten(), model.classifier]


def _split_last_activation(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    """AlexNet and VGG: the map is that of the last activation, in front of the last max-pooling."""
    layers = list(model.features)
    return layers[:-1], [layers[-1], model.avgpool, _Flatten(), model.classifier]


def _split_resnet(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    stem = [model.conv1, model.bn1, model.relu, model.maxpool]
    return [*stem, model.layer1, model.layer2, model.layer3, model.layer4], [
        model.avgpool,
        _Flatten(),
        model.fc,
    ]


def _split_densenet(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    # torchvision applies this ReLU as a function, in place; here it is not, so that the body's output stays as it is.
    return [model.features], [nn.ReLU(), nn.AdaptiveAvgPool2d((1, 1)), _Flatten(), model.classifier]


def _split_regnet(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    return [model.stem, model.trunk_output], [model.avgpool, _Flatten(), model.fc]


def _split_shufflenet(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    body = [model.conv1, model.maxpool, model.stage2, model.stage3, model.stage4, model.conv5]
    return body, [MeanOverPixels(), model.fc]


def _split_mnasnet(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    return [model.layers], [MeanOverPixels(), model.classifier]


def _split_swin(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    return [model.features, model.norm, model.permute], [model.avgpool, model.flatten, model.head]


def _split_squeezenet(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    return [model.features], [model.classifier]


def _split_maxvit(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    return [model.stem, *model.blocks], [model.classifier]


def _split_inception(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    """GoogLeNet and Inception, which hold their modules in the order in which a picture passes them."""
    *body, pool, dropout, classifier = model.children()
    return [InceptionInput(), *body], [pool, _Flatten(), dropout, classifier]


class InceptionInput(nn.Module):
    """Pictures normalised by ImageNet's statistics, (N, 3, H, W), as Inception was trained to see them: by halves."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        statistics = ((0.485, 0.229), (0.456, 0.224), (0.406, 0.225))
        channels = [
            images[:, channel, None] * (std / 0.5) + (mean - 0.5) / 0.5
            for channel, (mean, std) in enumerate(statistics)
        ]
        return torch.cat(channels, dim=1)


class MeanOverPixels(nn.Module):
    """Averages (N, K, h, w) over its pixels to (N, K)."""

    def forward(self, activation: torch.Tensor) -> torch.Tensor:
        return activation.mean([2, 3])


@dataclass(frozen=True)
class _Family:
    """Architectures that share a layout: how they are cut, and the path of the module whose output the body gives.

    `image_size` is the one side in pixels that they see; None where any will do.
    """

    split: Split
    grad_cam_layer: str
    names: tuple[str, ...]
    image_size: int | None = None


_FAMILIES = (
    _Family(_split_last_activation, "features.-2", ALEXNET_AND_VGGS),
    _Family(_split_resnet, "layer4", RESNETS),
    _Family(_split_mobilenet_v2, "features", ("mobilenet_v2",)),
    _Family(_split_features, "features", (*MOBILENETS_V3, *EFFICIENTNETS, *CONVNEXTS)),
    _Family(_split_densenet, "features", DENSENETS),
    _Family(_split_regnet, "trunk_output", REGNETS),
    _Family(_split_shufflenet, "conv5", SHUFFLENETS),
    _Family(_split_mnasnet, "layers", MNASNETS),
    _Family(_split_swin, "permute", SWINS),
    _Family(split_vit, "encoder.layers.-2", VITS, image_size=224),
    _Family(_split_squeezenet, "features", SQUEEZENETS),
    _Family(_split_maxvit, "blocks.-1", ("maxvit_t",), image_size=224),
    _Family(_split_inception, "inception5b", INCEPTIONS[:1]),
    _Family(_split_inception, "Mixed_7c", INCEPTIONS[1:]),
)
_TIMM = _Family(split_timm, "", ())
_FAMILY_OF = {name: family for family in _FAMILIES for name in family.names}


def fixed_image_size(name: str) -> int | None:
    """Returns the side in pixels of the only pictures that an architecture sees; None where any will do."""
    if is_timm(name):
        return timm_image_size(name)
    return _FAMILY_OF[name].image_size if name in _FAMILY_OF else None


def split_model(model: nn.Module, architecture: str) -> tuple[nn.Sequential, nn.Sequential]:
    """Cuts a network at its Grad-CAM layer.

    Args:
        model: a network that build_model made.
        architecture: its name.

    Returns:
        `(body, head)`: body maps float (N, 3, H, W) to the activation, head maps that to logits (N, C).
    """
    body, head = _FAMILY_OF.get(check_architecture(architecture), _TIMM).split(model)
    return nn.Sequential(*body).train(model.training), nn.Sequential(*head).train(model.training)


def body_blocks(model: nn.Module, architecture: str) -> list[nn.Module]:
    """Returns the parts of the body in the order that a picture passes them, one level of nesting opened."""
    if is_timm(architecture):
        return timm_blocks(model)
    body, _ = split_model(model, architecture)
    return [block for part in body for block in _opened(part)]


def _opened(part: nn.Module) -> Iterable[nn.Module]:
    if isinstance(part, VitBody):
        return part.parts()
    return part if type(part) is nn.Sequential else [part]


def freeze_blocks(model: nn.Module, architecture: str, count: int) -> None:
    """Keeps the weights and the normalisation statistics of the leading blocks of the body as they are.

    Sets the mode of the blocks too, so it is called after each `model.train()`. The other blocks learn.

    Args:
        count: how many of body_blocks; -1 for all of them.
    """
    for index, block in enumerate(body_blocks(model, architecture)):
        frozen = count == -1 or index < count
        block.requires_grad_(not frozen)
        if frozen:
            block.eval()


def grad_cam_layer(model: nn.Module, architecture: str) -> nn.Module:
    """Returns the module whose output the body of split_model gives, for tools that hook layers, as Captum does.

    Raises:
        ConfigError: the architecture is not known, or one of timm's, whose layers are not known here.
    """
    if check_architecture(architecture) not in _FAMILY_OF:
        raise ConfigError(
            f"The Grad-CAM layer of timm's {architecture} has no name here. Take split_model and grad_cam."
        )
    module = model
    for part in _FAMILY_OF[architecture].grad_cam_layer.split("."):
        module = list(module.children())[int(part)] if part.lstrip("-").isdigit() else getattr(module, part)
    return module
