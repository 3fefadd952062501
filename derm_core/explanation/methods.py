"""The explanation methods by name, and what a network must be to suit each. Draws no picture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

import torch
from torch import Tensor

from derm_core.errors import ConfigError, unknown_name
from derm_core.explanation.attributions import (
    grad_cam,
    gradient,
    gradient_shap,
    guided_backprop,
    guided_grad_cam,
    integrated_gradients,
    occlusion,
)
from derm_core.explanation.layers import grad_cam_layers, layer_cam, reason_against_layers, shares_of_peak
from derm_core.explanation.split_network import SplitNetwork

Attribute = Callable[[SplitNetwork, Tensor, Tensor], Tensor]
"""Takes a network, images float32 (N, 3, S, S) and classes int64 (N,); gives maps float32 (N, h, w), not negative."""

DEFAULT_METHOD = "grad_cam"


@dataclass(frozen=True, eq=False)
class Method:
    """One way to explain an answer.

    Attributes:
        name: for programs.
        title: for people.
        description: one sentence for people who do not know networks.
        source: where it is published.
        attribute: computes it.
        reason_against: why a network does not suit it; None where it does.
    """

    name: str
    title: str
    description: str
    source: str
    attribute: Attribute
    reason_against: Callable[[SplitNetwork], str | None] = lambda network: None


def _reason_against_guided(network: SplitNetwork) -> str | None:
    guided = network.guided
    return guided if isinstance(guided, str) else None


_REGISTERED = (
    Method(
        "grad_cam",
        "Grad-CAM",
        "Where the features lie that speak for the diagnosis, as the last layer sees them: coarse and fast.",
        "Selvaraju et al., arXiv 1610.02391",
        grad_cam,
    ),
    Method(
        "grad_cam_layers",
        "Grad-CAM, several layers",
        "The same at the last three resolutions of the network, averaged: finer outlines.",
        "Selvaraju et al., arXiv 1610.02391",
        grad_cam_layers,
        reason_against_layers,
    ),
    Method(
        "layer_cam",
        "LayerCAM",
        "Weighs each place of those three resolutions by its own slope: finer still.",
        "Jiang et al., IEEE Transactions on Image Processing 30:5875, 2021",
        layer_cam,
        reason_against_layers,
    ),
    Method(
        "gradient",
        "Gradient",
        "The pixels to which the score of the diagnosis reacts most, in either direction.",
        "Simonyan et al., arXiv 1312.6034",
        gradient,
    ),
    Method(
        "guided_backprop",
        "Guided backpropagation",
        "The same slope, followed back along positive contributions alone; shows edges more than reasons.",
        "Springenberg et al., arXiv 1412.6806",
        guided_backprop,
        _reason_against_guided,
    ),
    Method(
        "guided_grad_cam",
        "Guided Grad-CAM",
        "Guided backpropagation where Grad-CAM says that it matters.",
        "Selvaraju et al., arXiv 1610.02391",
        guided_grad_cam,
        _reason_against_guided,
    ),
    Method(
        "integrated_gradients",
        "Integrated gradients",
        "Which pixels raise the score on the way from bare skin to this picture.",
        "Sundararajan et al., arXiv 1703.01365",
        integrated_gradients,
    ),
    Method(
        "gradient_shap",
        "GradientSHAP",
        "Shares out the score among the pixels, averaged over bare skins and noise.",
        "Lundberg and Lee, arXiv 1705.07874; Erion et al., arXiv 1906.10670",
        gradient_shap,
    ),
    Method(
        "occlusion",
        "Occlusion",
        "Where the score falls when a patch of the picture is covered with skin colour.",
        "Zeiler and Fergus, arXiv 1311.2901",
        occlusion,
    ),
)
METHODS = MappingProxyType({method.name: method for method in _REGISTERED})
"""Every method by its name, the default first."""


def get_method(name: str) -> Method:
    """Returns a method; raises ConfigError where no such name is known."""
    if name not in METHODS:
        raise ConfigError(unknown_name("explanation method", name, METHODS))
    return METHODS[name]


def attribute(network: SplitNetwork, images: Tensor, classes: Tensor, *, method: str) -> Tensor:
    """Returns one map a picture, float32 (N, h, w) in [0, 1], each divided by its own peak.

    Args:
        network: in evaluation mode, its parameters frozen.
        images: float32 (N, 3, S, S), normalised, on the network's device.
        classes: int64 (N,), which class to explain in each row.
        method: a name of METHODS.

    Raises:
        ConfigError: no such method, or the network does not suit it.
    """
    chosen = get_method(method)
    reason = chosen.reason_against(network)
    if reason is not None:
        raise ConfigError(f"{chosen.title} does not suit this network: {reason}. Name another method.")
    with torch.inference_mode(False), torch.enable_grad():
        # Copies: tensors that inference mode made cannot be differentiated.
        maps = chosen.attribute(network, images.clone(), classes.clone())
        return shares_of_peak(maps.detach().float())
