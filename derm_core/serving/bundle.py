"""Model bundles: a folder that holds everything needed to answer with one model. Trains and runs nothing.

    model.safetensors   the weights, under torchvision's names
    model.json          what BundleDescription holds: classes, preprocessing, thresholds, metrics, origin
    MODEL_CARD.md       the same for people

Preprocessing and class order travel inside, so training and serving cannot disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from derm_core.diagnoses import NOTICE
from derm_core.errors import BundleError
from derm_core.files import new_folder, write_synced
from derm_core.models import build_model, load_weights
from derm_core.models.uninitialised import Uninitialised
from derm_core.serving.bundle_files import find_bundle, read_weights
from derm_core.serving.description import (
    DESCRIPTION_FILE,
    MODEL_CARD_FILE,
    WEIGHTS_FILE,
    BundleDescription,
    OperatingPoint,
    read_description,
)

__all__ = [
    "Bundle",
    "BundleDescription",
    "OperatingPoint",
    "check_free",
    "find_bundle",
    "load_bundle",
    "save_bundle",
]


@dataclass(frozen=True, eq=False)
class Bundle:
    """A bundle whose weights were checked.

    Attributes:
        folder: where it was read.
        description: what model.json says.
        model_state: the weights under torchvision's names; floating ones float32, whatever they are stored as.
    """

    folder: Path
    description: BundleDescription
    model_state: Mapping[str, Tensor]

    def build_model(self) -> nn.Module:
        """Returns the network with its weights, on the CPU, in evaluation mode, its parameters frozen."""
        description = self.description
        with Uninitialised():
            model = build_model(
                description.architecture, len(description.classes), head_units=description.head_units
            )
        try:
            load_weights(model, self.model_state)
        except RuntimeError as err:
            raise BundleError(
                f"The weights in {self.folder} do not fit {description.architecture} with "
                f"{len(description.classes)} classes ({str(err).splitlines()[-1].strip()}). Export the bundle again."
            ) from err
        return model.eval().requires_grad_(False)


def save_bundle(
    folder: Path,
    *,
    model_state: Mapping[str, Tensor],
    description: BundleDescription,
    model_card: str | None = None,
    half: bool = False,
    overwrite: bool = False,
) -> BundleDescription:
    """Writes a bundle; it appears whole or not at all.

    Args:
        folder: where; its parents are made.
        model_state: the network's weights under torchvision's names, on any device.
        description: its `weights_sha256` is filled in here.
        model_card: the text of MODEL_CARD.md, as write_model_card makes it; None writes no more than the name and the
            notice, for a bundle on its way to one with figures.
        half: store weight matrices and kernels as float16, half the size. Biases and the statistics and factors of
            normalisation stay float32 (they are few, and their rounding would move the answers), and so does any
            tensor that has values beyond float16's range.
        overwrite: replace a bundle that stands there.

    Returns:
        The description as written.

    Raises:
        BundleError: the folder exists, a weight is not finite, or the description is not plain or not consistent.
    """
    check_free(folder, overwrite=overwrite)
    weights = save({name: _stored(name, tensor, half) for name, tensor in model_state.items()})
    written = replace(description, weights_sha256=hashlib.sha256(weights).hexdigest())
    text = written.to_json()
    BundleDescription.from_json(text)  # What could not be read again is not written.
    card = f"# {written.name} {written.version}\n\n{NOTICE}\n" if model_card is None else model_card
    with new_folder(folder) as growing:
        write_synced(growing / WEIGHTS_FILE, weights)
        write_synced(growing / DESCRIPTION_FILE, text.encode())
        write_synced(growing / MODEL_CARD_FILE, card.encode())
    return written


def check_free(folder: Path, *, overwrite: bool = False) -> None:
    """Raises BundleError where a bundle cannot be written to a folder because something is there."""
    if folder.exists() and not overwrite:
        raise BundleError(f"{folder} exists already. Name a new folder, or ask for it to be replaced.")


def load_bundle(folder: Path) -> Bundle:
    """Reads a bundle and checks the weights against the SHA-256 in model.json.

    Raises:
        BundleError: a file is missing or altered, or model.json is newer, incomplete or of wrong types.
    """
    description = read_description(folder)
    content = read_weights(folder, description)
    try:
        state = load(content)
    except SafetensorError as err:
        raise BundleError(
            f"{folder / WEIGHTS_FILE} is no safetensors file ({err}). Export the bundle again."
        ) from err
    return Bundle(folder, description, {name: _full_precision(tensor) for name, tensor in state.items()})


def _stored(name: str, tensor: Tensor, half: bool) -> Tensor:
    tensor = tensor.detach().cpu()
    if not tensor.is_floating_point():
        return tensor.contiguous().clone()
    if not bool(tensor.isfinite().all()):
        raise BundleError(
            f"The weight {name} holds values that are not finite. Choose an earlier checkpoint."
        )
    narrow = tensor.to(torch.float16)
    if half and tensor.ndim > 1 and bool(narrow.isfinite().all()):
        return narrow.contiguous()
    return tensor.to(torch.float32, copy=True).contiguous()


def _full_precision(tensor: Tensor) -> Tensor:
    return tensor.float() if tensor.is_floating_point() else tensor
