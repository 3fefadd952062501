"""Drawn lesions with enough detail to be told apart: a dark, streaked spot on mottled skin."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image


def lesion(seed: int, *, size: tuple[int, int] = (120, 90)) -> Image.Image:
    """Returns a picture that no other seed gives; the same seed in another size is the same picture, scaled."""
    random = np.random.default_rng(seed)
    mottled = sum(
        np.asarray(
            Image.fromarray(random.normal(0, 1, (cells * 3 // 4, cells)).astype(np.float32)).resize(
                (240, 180)
            ),
            dtype=np.float64,
        )
        for cells in (8, 20, 48)
    )
    rows, columns = np.mgrid[:180, :240]
    centre = random.uniform(0.4, 0.6, 2) * (180, 240)
    reach = random.uniform(0.2, 0.35, 2) * (180, 240)
    inside = ((rows - centre[0]) / reach[0]) ** 2 + ((columns - centre[1]) / reach[1]) ** 2
    spot = 1 / (1 + np.exp(8 * (inside - 1)))
    grey = 205 - 95 * spot + (10 + 12 * spot) * mottled
    pixels = np.stack([grey, 0.78 * grey, 0.72 * grey], axis=2).clip(0, 255).astype(np.uint8)
    return Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS)


def encoded(image: Image.Image, form: str = "JPEG", **options: object) -> bytes:
    """Returns the bytes of a file with the picture."""
    stream = io.BytesIO()
    image.save(stream, form, **({"quality": 90} if form == "JPEG" else {}) | options)
    return stream.getvalue()


def write_table(folder: Path, rows: list[tuple[str, str, str, str]], pictures: dict[str, bytes]) -> Path:
    """Writes a dataset folder by hand, also one that `write_dataset` refuses: image, diagnosis, lesion_id, split."""
    (folder / "images").mkdir(parents=True)
    lines = ["image,diagnosis,lesion_id,age,sex,site,confirmed_by,split"]
    lines += [f"{image},{diagnosis},{lesion_id},,,,,{split}" for image, diagnosis, lesion_id, split in rows]
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", "utf-8")
    for name, content in pictures.items():
        (folder / "images" / name).write_bytes(content)
    return folder
