"""Builds a network for a number of classes: its own classifier with the last linear layer replaced."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor, nn

from derm_core.errors import ConfigError
from derm_core.models.names import INCEPTIONS, SQUEEZENETS, check_architecture
from derm_core.models.pretrained import load_pretrained
from derm_core.models.tokens import build_timm, is_timm
from derm_core.models.torchvision_lean import torchvision

_CLASSIFIERS = ("classifier", "fc", "head", "heads", "last_linear", "classif")


class _DroppingLinear(nn.Linear):
    """A linear layer with dropout before it; its weights have the names they have without."""

    def __init__(self, in_features: int, out_features: int, *, bias: bool, dropout: float) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.dropout = dropout

    def forward(self, features: Tensor) -> Tensor:
        return super().forward(nn.functional.dropout(features, self.dropout, self.training))


def build_model(
    architecture: str,
    num_classes: int,
    *,
    pretrained: bool = False,
    weights_dir: Path | None = None,
    dropout: float | None = None,
    head_units: int = 0,
) -> nn.Module:
    """Builds a network for float32 (N, 3, H, W) pictures and `num_classes` logits.

    Args:
        architecture: a name of ARCHITECTURES, or one of timm's where timm is installed.
        num_classes: number of logits, 2 or more.
        pretrained: start from ImageNet weights; the last linear layer always starts afresh.
        weights_dir: where to look for the weights first; default: what DERM_WEIGHTS_DIR names.
        dropout: probability for every dropout layer of the classifier, and for one before its last layer where it has
            none or gets a hidden layer; None keeps the architecture's own.
        head_units: above 0, a hidden layer of that many units with a ReLU comes before the last layer.

    Raises:
        ConfigError: unknown architecture, fewer than two classes, or dropout out of [0, 1).
        WeightsNotFoundError: pretrained weights are neither in the folder nor to be had from the hub.
    """
    check_architecture(architecture)
    if num_classes < 2:
        raise ConfigError(f"A classifier needs at least 2 classes, not {num_classes}.")
    if dropout is not None and not 0 <= dropout < 1:
        raise ConfigError(f"model.dropout is {dropout}; it must be at least 0 and below 1.")
    if is_timm(architecture):
        model = build_timm(architecture)
    else:
        # Inception's second and third classifiers only helped where there was no batch normalisation yet.
        own = {"aux_logits": False, "init_weights": True, "transform_input": True}
        model = torchvision.models.get_model(
            architecture, weights=None, **(own if architecture in INCEPTIONS else {})
        )
    if pretrained:
        load_pretrained(model, architecture, weights_dir)
    if architecture in SQUEEZENETS:
        model.classifier = _pooled_classifier(model)
    _replace_classifier(model, num_classes, head_units, dropout)
    return model


def _pooled_classifier(model: Any) -> nn.Sequential:
    """Returns a linear layer over the mean of the map, where SqueezeNet has a convolution before its mean.

    They differ by a ReLU over the logits alone, which keeps a network of few classes from learning.
    """
    dropout, convolution, *_ = model.classifier
    linear = nn.Linear(convolution.in_channels, convolution.out_channels)
    return nn.Sequential(nn.AdaptiveAvgPool2d((1, 1)), nn.Flatten(), dropout, linear)


def classifier_layer(model: nn.Module) -> nn.Linear:
    """Returns the last linear layer of a network: weight (C, K), bias (C,)."""
    part = getattr(model, _classifier_name(model))
    return [module for module in part.modules() if isinstance(module, nn.Linear)][-1]


def _classifier_name(model: nn.Module) -> str:
    return next(name for name in _CLASSIFIERS if hasattr(model, name))


def _replace_classifier(model: nn.Module, num_classes: int, head_units: int, dropout: float | None) -> None:
    # Inception's dropout stands beside its classifier.
    layers = [*getattr(model, _classifier_name(model)).modules(), getattr(model, "dropout", None)]
    droppers = [module for module in layers if isinstance(module, nn.Dropout)]
    if dropout is not None:
        for module in droppers:
            module.p = dropout
    old = classifier_layer(model)
    own = dropout if dropout is not None and (head_units or not droppers) else 0.0
    new: nn.Module = _DroppingLinear(
        head_units or old.in_features, num_classes, bias=old.bias is not None, dropout=own
    )
    if head_units:
        new = nn.Sequential(nn.Linear(old.in_features, head_units), nn.ReLU(), new)
    for parent in model.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)
