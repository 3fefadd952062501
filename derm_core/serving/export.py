"""Exports: a model bundle as the files that other software runs, each checked against the model before it appears."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image

from derm_core.files import new_folder, replace_file
from derm_core.serving.agreement import Agreement
from derm_core.serving.bundle import Bundle
from derm_core.serving.decoding import Picture
from derm_core.serving.export_check import check_agreement
from derm_core.serving.export_formats import check_target, get_format
from derm_core.serving.export_graph import ExportGraph, export_metadata


def export_model(
    bundle: Bundle,
    format_name: str,
    out: Path,
    *,
    pictures: Sequence[Picture] = (),
    overwrite: bool = False,
) -> Agreement:
    """Writes an export; it appears whole and checked, or not at all.

    Args:
        bundle: the model.
        format_name: one of FORMATS.
        out: the file or folder to write; its parents are made.
        pictures: on which it is checked, beside the drawn ones.
        overwrite: replace what stands there.

    Returns:
        How near it comes to the model, over all these pictures.

    Raises:
        ConfigError: the format is not known, needs packages that are not installed, or cannot hold this network;
            something stands at `out`, or its name does not fit.
        InvalidImageError: a picture cannot be read.
        Disagreement: it does not answer as the model does.
    """
    kind = get_format(format_name)
    check_target(kind, out, overwrite=overwrite)
    module = importlib.import_module(f"derm_core.serving.{kind.module}")
    graph, metadata = ExportGraph(bundle).eval(), export_metadata(bundle.description)

    def make(path: Path) -> Agreement:
        module.write(graph, metadata, path)
        return check_agreement(bundle, module.load(path), chain(drawn_pictures(), pictures))

    if not kind.suffix:
        with new_folder(out) as growing:
            return make(growing)
    with tempfile.TemporaryDirectory() as folder:
        growing = Path(folder) / out.name
        agreement = make(growing)
        out.absolute().parent.mkdir(parents=True, exist_ok=True)
        replace_file(out.absolute(), growing.read_bytes())
    return agreement


def drawn_pictures(count: int = 6) -> list[Image.Image]:
    """Returns RGB pictures of 300 x 225 pixels: a blotched spot on skin, each different, the same on every machine."""
    return [_drawn(np.random.default_rng(seed)) for seed in range(count)]


def _drawn(random: np.random.Generator) -> Image.Image:
    width, height = 300, 225
    rows, columns = np.mgrid[:height, :width]
    away = np.hypot(
        rows - random.uniform(80, 145), (columns - random.uniform(110, 190)) * random.uniform(0.7, 1.3)
    )
    share = 1 / (1 + np.exp((away - random.uniform(30, 85)) / random.uniform(0.5, 2)))
    blotches = Image.fromarray(random.integers(0, 70, (9, 12, 3), dtype=np.uint8))
    texture = np.asarray(blotches.resize((width, height), Image.Resampling.BICUBIC), np.float64)
    lesion, skin = (
        random.uniform((60, 20, 15), (160, 90, 80)),
        random.uniform((180, 130, 110), (240, 200, 190)),
    )
    pixels = skin + share[..., None] * (lesion - skin + texture)
    pixels += random.normal(0, 5, (height, width, 1))  # The grain of a photograph that is sharp.
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
