"""Networks: torchvision's architectures by name, their heads, and the weights they start from."""

from derm_core.models.architectures import ARCHITECTURES, grad_cam_layer, split_model
from derm_core.models.heads import build_model, classifier_layer
from derm_core.models.pretrained import load_weights

__all__ = [
    "ARCHITECTURES",
    "build_model",
    "classifier_layer",
    "grad_cam_layer",
    "load_weights",
    "split_model",
]
