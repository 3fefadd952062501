"""Networks: torchvision's architectures by name, their heads, and the weights they start from."""

from derm_core.models.architectures import (
    ARCHITECTURES,
    body_blocks,
    check_architecture,
    fixed_image_size,
    freeze_blocks,
    grad_cam_layer,
    split_model,
)
from derm_core.models.heads import build_model, classifier_layer
from derm_core.models.pretrained import load_weights
from derm_core.models.tokens import activation_map

__all__ = [
    "ARCHITECTURES",
    "activation_map",
    "body_blocks",
    "build_model",
    "check_architecture",
    "classifier_layer",
    "fixed_image_size",
    "freeze_blocks",
    "grad_cam_layer",
    "load_weights",
    "split_model",
]
