"""Networks: torchvision's architectures by name, their heads, and the weights they start from.

What needs PyTorch is imported when it is first asked for: a bundle's description is read without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from derm_core.models.names import ARCHITECTURES, check_architecture

if TYPE_CHECKING:
    from derm_core.models.architectures import (
        body_blocks,
        fixed_image_size,
        freeze_blocks,
        grad_cam_layer,
        split_model,
    )
    from derm_core.models.heads import build_model, classifier_layer
    from derm_core.models.pretrained import load_weights
    from derm_core.models.tokens import activation_map

_HOME_OF = {
    "activation_map": "derm_core.models.tokens",
    "body_blocks": "derm_core.models.architectures",
    "build_model": "derm_core.models.heads",
    "classifier_layer": "derm_core.models.heads",
    "fixed_image_size": "derm_core.models.architectures",
    "freeze_blocks": "derm_core.models.architectures",
    "grad_cam_layer": "derm_core.models.architectures",
    "load_weights": "derm_core.models.pretrained",
    "split_model": "derm_core.models.architectures",
}

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


def __getattr__(name: str) -> Any:
    """Imports a name from its module on first use (PEP 562)."""
    if name not in _HOME_OF:
        raise AttributeError(f"module 'derm_core.models' has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOME_OF[name]), name)
    globals()[name] = value
    return value
