"""Dataset folders of small coloured pictures that a network can learn to tell apart within seconds."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from derm_core.data.table import Dataset, write_dataset

COLOURS = {"bkl": (150, 110, 60), "mel": (70, 50, 60), "nv": (190, 120, 110)}
"""The task nv-bkl-mel, each diagnosis with the colour of its spots."""


def spotted_picture(code: str, seed: int, *, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A noisy spot of the diagnosis's colour on skin, somewhere; no other seed gives the same."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[1], : size[0]]
    centre = random.uniform(0.35, 0.65, 2) * (size[1], size[0])
    spot = ((rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 < (0.3 * size[1]) ** 2)[..., None]
    noise = random.normal(0, 25, (size[1], size[0], 3))
    return Image.fromarray(
        (np.where(spot, COLOURS[code], (215, 175, 155)) + noise).clip(0, 255).astype(np.uint8)
    )


def coloured_dataset(folder: Path, *, train: int, valid: int, size: tuple[int, int] = (40, 30)) -> Dataset:
    """Writes pictures of three diagnoses in turn: `train` of them in the split train, then `valid` in val."""
    codes = list(COLOURS)
    rows, pictures = [], []
    for number in range(train + valid):
        code = codes[number % len(codes)]
        stream = io.BytesIO()
        spotted_picture(code, number, size=size).save(stream, "PNG")
        pictures.append(stream.getvalue())
        rows.append(
            {
                "image": f"{number:03d}.png",
                "diagnosis": code,
                "lesion_id": f"lesion-{number}",
                "age": 40.0 + number % 40,
                "sex": "female" if number % 2 else "male",
                "site": "back",
                "confirmed_by": "histopathology",
                "split": "train" if number < train else "val",
            }
        )
    return write_dataset(folder, pd.DataFrame(rows), pictures)
