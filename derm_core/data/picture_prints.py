"""What the audit keeps of each picture: a digest of its file, its properties, a small grey print. Judges nothing."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain

import numpy as np
from PIL import Image

from derm_core.data.file_properties import FileProperties, read_file_properties
from derm_core.data.source import SourceFile
from derm_core.errors import InvalidImageError
from derm_core.images import load_image

SIDE = 64
"""Pixels along each side of a print, whatever the shape of the picture: it is squeezed."""
_CHUNK = 64


@dataclass(frozen=True)
class PicturePrint:
    """One picture as the audit knows it.

    `pixels` is uint8 (SIDE, SIDE): the whole upright picture in grey, squeezed; None where it cannot be read, and then
    `error` says why. `width` and `height` are those of the upright picture. `digest` is the SHA-256 (hex) of the file,
    empty where not even that could be read.
    """

    digest: str = ""
    properties: FileProperties | None = None
    pixels: np.ndarray | None = None
    width: int = 0
    height: int = 0
    error: str = ""


def take_prints(files: Sequence[SourceFile], *, workers: int | None = None) -> Iterator[PicturePrint]:
    """Yields the print of each file, in order.

    Args:
        files: in folders or zip archives.
        workers: processes that decode; by default one for each processor that this process may use.
    """
    if workers is None:
        workers = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    chunks = [files[start : start + _CHUNK] for start in range(0, len(files), _CHUNK)]
    if workers == 1 or len(chunks) < 2 * workers:
        yield from chain.from_iterable(map(_take_prints, chunks))
        return
    # spawn: a fork of a process that runs other threads can hang.
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        yield from chain.from_iterable(pool.map(_take_prints, chunks))
    finally:
        pool.shutdown(cancel_futures=True)


def _take_prints(files: Sequence[SourceFile]) -> list[PicturePrint]:
    return [_take_print(file) for file in files]


def _take_print(file: SourceFile) -> PicturePrint:
    digest = ""
    try:
        content = file.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        # A JPEG is decoded at a half, a quarter or an eighth where that is still more than the print needs.
        image = load_image(content, min_side=SIDE)
        properties = read_file_properties(content)
    except InvalidImageError as err:
        return PicturePrint(digest=digest, error=str(err))
    upright = image.width >= image.height
    width, height = sorted((properties.width, properties.height), reverse=upright)
    pixels = np.asarray(image.convert("L").resize((SIDE, SIDE), Image.Resampling.BILINEAR))
    return PicturePrint(digest, properties, pixels, width, height)
