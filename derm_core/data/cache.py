"""The cache of decoded pixels: each picture is decoded and resized once, then read from one memory-mapped file."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path

import numpy as np

from derm_core.ahead import run_ahead
from derm_core.data.table import Dataset
from derm_core.data.transforms import Preprocessing
from derm_core.errors import DatasetError
from derm_core.images import load_image

CACHE_NAME = "cache"
_CHUNK = 64
_ABANDONED_SECONDS = 24 * 3600


def open_pixels(
    dataset: Dataset,
    preprocessing: Preprocessing,
    *,
    workers: int | None = None,
    on_progress: Callable[[int], object] | None = None,
) -> np.ndarray:
    """Returns the pixels of a dataset's pictures, decoding those that no earlier call has decoded.

    The file lies in `<dataset folder>/cache/`, or under the system's temporary folder where that cannot be written; its
    name holds a digest of the pictures and of the preprocessing, so that a change of either makes a new file.

    Args:
        dataset: the pictures, in the order of its table.
        preprocessing: gives `pixels`; its normalisation does not matter here.
        workers: threads that decode, which let go of Python's lock for most of it; default: one a core.
        on_progress: called with the number of pictures decoded since the last call.

    Returns:
        uint8 (N, S, S, 3), read-only, mapped from the disk.

    Raises:
        DatasetError: a picture cannot be decoded.
    """
    folder = cache_folder(dataset)
    path = folder / f"pixels-{_digest(dataset, preprocessing)}.npy"
    if not path.is_file():
        _build(
            path, dataset, preprocessing, workers or os.cpu_count() or 1, on_progress or (lambda count: None)
        )
    return np.load(path, mmap_mode="r")


def _digest(dataset: Dataset, preprocessing: Preprocessing) -> str:
    geometry = {k: v for k, v in preprocessing.to_dict().items() if k not in ("mean", "std", "samplewise")}
    text = json.dumps([dataset.fingerprint(), geometry], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def cache_folder(dataset: Dataset) -> Path:
    """Returns the folder of a dataset's cached files: its own, or one under the temporary folder."""
    folder = dataset.folder / CACHE_NAME
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        user = os.getuid() if hasattr(os, "getuid") else "user"
        folder = Path(tempfile.gettempdir()) / f"derm-core-cache-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def _build(
    path: Path,
    dataset: Dataset,
    preprocessing: Preprocessing,
    workers: int,
    on_progress: Callable[[int], object],
) -> None:
    _remove_abandoned(path.parent)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    os.close(handle)
    growing = Path(name)
    try:
        _decode_all(growing, dataset, preprocessing, workers, on_progress)
        with growing.open("rb+") as stream:
            os.fsync(stream.fileno())
        os.replace(growing, path)
    finally:
        growing.unlink(missing_ok=True)


def _remove_abandoned(folder: Path) -> None:
    """Removes what builds that were killed have left; one that is still growing is never as old."""
    for growing in (*folder.glob(".pixels-*"), *folder.glob(".features-*")):
        if time.time() - growing.stat().st_mtime > _ABANDONED_SECONDS:
            growing.unlink(missing_ok=True)


def _decode_all(
    growing: Path,
    dataset: Dataset,
    preprocessing: Preprocessing,
    workers: int,
    on_progress: Callable[[int], object],
) -> None:
    size = preprocessing.image_size
    pixels = np.lib.format.open_memmap(
        growing, mode="w+", dtype=np.uint8, shape=(len(dataset), size, size, 3)
    )

    def fill(start: int) -> int:
        paths = dataset.image_paths(start, start + _CHUNK)
        pixels[start : start + len(paths)] = _decode(paths, preprocessing)
        return len(paths)

    starts = range(0, len(dataset), _CHUNK)
    with closing(run_ahead(fill, starts, workers=workers, ahead=2 * workers)) as counts:
        for count in counts:
            on_progress(count)
    pixels.flush()


def _decode(paths: Sequence[Path], preprocessing: Preprocessing) -> np.ndarray:
    try:
        return np.stack(
            [preprocessing.pixels(load_image(path, min_side=preprocessing.decoding_side)) for path in paths]
        )
    except ValueError as err:
        raise DatasetError(f"{err} Run prepare_data again with unreadable pictures left out.") from err
