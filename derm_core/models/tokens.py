"""Networks whose activations are not maps of channels: vision transformers, and what timm builds. Loads no weights.

Grad-CAM wants (N, K, h, w). A transformer's activation is a row of tokens, (N, T, K), of which the first may stand for
no place in the picture; some networks keep the channels last. What turns one into the other stands here.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from derm_core.errors import ConfigError
from derm_core.models.torchvision_lean import torchvision

ToMap = Callable[[Tensor], Tensor]


class VitBody(nn.Module):
    """torchvision's VisionTransformer up to its last block: float (N, 3, S, S) to tokens (N, 1 + h w, K)."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        # A view of the network's own modules: none is registered twice, so modes and devices are set through them.
        self.embedding = model.conv_proj
        self.blocks = nn.Sequential(*list(model.encoder.layers)[:-1])
        self.dropout = model.encoder.dropout
        self.class_token, self.positions = model.class_token, model.encoder.pos_embedding

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.embedding(images).flatten(2).transpose(1, 2)
        class_token = self.class_token.expand(len(tokens), -1, -1)
        placed = torch.cat([class_token, tokens], dim=1) + self.positions
        return self.blocks(self.dropout(placed))

    def parts(self) -> list[nn.Module]:
        """Returns what turns a picture into tokens, as one module, and the blocks behind it."""
        loose = nn.ParameterList([self.class_token, self.positions])
        return [nn.ModuleList([self.embedding, loose, self.dropout]), *self.blocks]


class FirstToken(nn.Module):
    """(N, T, K) to (N, K): the token that stands for the whole picture."""

    def forward(self, tokens: Tensor) -> Tensor:
        return tokens[:, 0]


def split_vit(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    """Cuts a VisionTransformer in front of its last block, where the class token still reads the others."""
    return [VitBody(model)], [list(model.encoder.layers)[-1], model.encoder.ln, FirstToken(), model.heads]


class _TimmBody(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, images: Tensor) -> Tensor:
        features: Tensor = self.model.forward_features(images)
        return features


class _TimmHead(nn.Module):
    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.model.forward_head(features)
        return logits


def is_timm(architecture: str) -> bool:
    """Whether timm is installed and knows the name, and torchvision does not."""
    if architecture in torchvision.models.list_models() or importlib.util.find_spec("timm") is None:
        return False
    import timm

    return bool(timm.is_model(architecture))


def build_timm(architecture: str, *, pretrained: bool = False) -> nn.Module:
    """Returns timm's network with its 1000 classes and random weights, or those of its hub."""
    import timm

    model: Any = timm.create_model(architecture, pretrained=pretrained)
    if not isinstance(model.get_classifier(), nn.Linear):
        raise ConfigError(
            f"timm's {architecture} does not end in one linear layer, which is replaced here. Name another network."
        )
    network: nn.Module = model
    return network


def timm_image_size(architecture: str) -> int | None:
    """Returns the side in pixels of the only pictures that one of timm's networks sees; None where any will do."""
    import timm

    settings = timm.get_pretrained_cfg(architecture)
    return int(settings.input_size[-1]) if settings is not None and settings.fixed_input_size else None


def split_timm(model: Any) -> tuple[list[nn.Module], list[nn.Module]]:
    """Cuts one of timm's networks behind its features, which Grad-CAM explains."""
    return [_TimmBody(model)], [_TimmHead(model)]


def timm_blocks(model: Any) -> list[nn.Module]:
    """Returns the parts of one of timm's networks but for that with the classifier, one level of nesting opened.

    Tokens and positions, which are parameters of the network itself, belong to the first part.
    """
    classifier = model.get_classifier()
    first, *others = [part for part in model.children() if classifier not in part.modules()]
    loose = list(model.parameters(recurse=False))
    if loose:
        first = nn.ModuleList([first, nn.ParameterList(loose)])
    return [block for part in (first, *others) for block in (part if type(part) is nn.Sequential else [part])]


def activation_map(model: Any) -> ToMap:
    """Returns what turns the activation of a network's body, or its gradient, into (N, K, h, w)."""
    if isinstance(model, torchvision.models.VisionTransformer):
        return lambda tokens: _grid(tokens, 1)
    if getattr(model, "output_fmt", "NCHW") == "NHWC":
        return lambda activation: activation.permute(0, 3, 1, 2)
    prefix = int(getattr(model, "num_prefix_tokens", 0))
    return lambda activation: activation if activation.ndim == 4 else _grid(activation, prefix)


def _grid(tokens: Tensor, prefix: int) -> Tensor:
    """(N, prefix + s², K) to (N, K, s, s)."""
    placed = tokens[:, prefix:].transpose(1, 2)
    side = round(placed.shape[-1] ** 0.5)
    return placed.unflatten(2, (side, side))
