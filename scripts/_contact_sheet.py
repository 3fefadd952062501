"""Photographs with heatmaps over them, and several of one photograph side by side with their names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from derm_core.explanation.overlay import heatmap_to_rgba

CELL_WIDTH = 320
COLUMNS = 4
_GAP, _LABEL, _TEXT = 12, 26, 15
_PAPER, _INK = "#ffffff", "#1c2733"


def lay_over(photograph: Image.Image, heatmap: NDArray[np.float32]) -> Image.Image:
    """Returns the photograph, at the size of the heatmap, with the heatmap over it: RGB."""
    height, width = heatmap.shape
    ground = photograph.convert("RGBA")
    if ground.size != (width, height):
        ground = ground.resize((width, height), Image.Resampling.LANCZOS)
    return Image.alpha_composite(ground, Image.fromarray(heatmap_to_rgba(heatmap))).convert("RGB")


def contact_sheet(pictures: Mapping[str, Image.Image]) -> Image.Image:
    """Returns pictures of one shape in rows of up to COLUMNS, each over its name: RGB."""
    first = next(iter(pictures.values()))
    height = max(1, round(first.height * CELL_WIDTH / first.width))
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    step = (CELL_WIDTH + _GAP, height + _LABEL + _GAP)
    sheet = Image.new("RGB", (columns * step[0] + _GAP, rows * step[1] + _GAP), _PAPER)
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT)
    for place, (name, picture) in enumerate(pictures.items()):
        left, top = _GAP + place % columns * step[0], _GAP + place // columns * step[1]
        sheet.paste(picture.resize((CELL_WIDTH, height), Image.Resampling.LANCZOS), (left, top))
        pen.text((left, top + height + 4), name, fill=_INK, font=font)
    return sheet
