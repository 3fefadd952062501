"""What weights are known by: a digest of their names and values. Reads and changes nothing else."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from torch import nn


def weights_digest(modules: Iterable[nn.Module]) -> str:
    """Returns the SHA-256 (hex) of the names and values of all parameters and buffers, module by module."""
    digest = hashlib.sha256()
    for module in modules:
        for name, tensor in sorted(module.state_dict().items()):
            digest.update(name.encode() + tensor.cpu().numpy().tobytes())
    return digest.hexdigest()
