"""The files of kept photographs: copies without metadata under random keys, whole or not there. Knows no table."""

from __future__ import annotations

import io
import re
import secrets
import shutil
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derm_core import load_image, new_folder, pack_heatmap, write_synced
from desktop.pictures import bounded

SIDE = 2400
"""Long side in pixels at which a photograph is kept, at most."""
HEATMAP_SIDE = 320
"""The same for heatmaps: they are smooth, and there is one for each class."""
PHOTO = "photo.jpg"
_QUALITY = 92
_KEY = re.compile(r"[0-9a-f]{32}")


def new_key() -> str:
    """Returns 32 random hexadecimal digits."""
    return secrets.token_hex(16)


def copied(picture: bytes) -> tuple[Image.Image, bytes]:
    """Decodes a picture's file; returns it upright in RGB and of bounded size, and as a JPEG without metadata.

    Raises:
        InvalidImageError: it cannot be read.
    """
    image = bounded(load_image(picture, min_side=SIDE), SIDE)
    buffer = io.BytesIO()
    # Not optimized: Pillow would write the file through one buffer, which a photograph full of detail overflows.
    image.save(buffer, "JPEG", quality=_QUALITY, subsampling=0)
    return image, buffer.getvalue()


class CasePictures:
    """Folders of files: `root/ab/<key>/photo.jpg`, and beside it a heatmap for each class, `mel.png`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir(mode=0o700, parents=True, exist_ok=True)

    def save(self, key: str, photograph: bytes, heatmaps: Mapping[str, NDArray[np.float32]]) -> None:
        """Keeps the files of a photograph; leaves nothing behind where it fails. Classes must be known diagnoses."""
        with new_folder(self._folder(key)) as fresh:
            fresh.chmod(0o700)
            write_synced(fresh / PHOTO, photograph)
            for code, heatmap in heatmaps.items():
                write_synced(fresh / f"{code}.png", pack_heatmap(heatmap))

    def photograph(self, key: str) -> bytes:
        """Returns the photograph's file; raises FileNotFoundError where it is gone."""
        return self.path(key).read_bytes()

    def heatmap(self, key: str, code: str) -> bytes:
        """Returns a kept heatmap, as `pack_heatmap` made it; raises FileNotFoundError where there is none."""
        return (self._folder(key) / f"{code}.png").read_bytes()

    def path(self, key: str) -> Path:
        """Returns where the photograph's file lies, or would."""
        return self._folder(key) / PHOTO

    def delete(self, key: str) -> None:
        """Removes a photograph's files; where they are gone already, nothing happens."""
        shutil.rmtree(self._folder(key), ignore_errors=True)

    def keys(self) -> Iterator[str]:
        """Yields the keys of all photographs."""
        for folder in self.root.glob("[0-9a-f][0-9a-f]/*"):
            if _KEY.fullmatch(folder.name):
                yield folder.name

    def keep_only(self, known: Collection[str]) -> int:
        """Removes what belongs to nothing, also what a killed app was writing; returns how many photographs it was.

        Nobody may be saving one meanwhile.
        """
        abandoned = [
            *self.root.glob("[0-9a-f][0-9a-f]/.*.partial"),
            *self.root.glob("[0-9a-f][0-9a-f]/.*.old"),
        ]
        orphans = [self._folder(key) for key in self.keys() if key not in known]
        for folder in (*abandoned, *orphans):
            shutil.rmtree(folder, ignore_errors=True)
        return len(orphans)

    def _folder(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} cannot name a kept photograph.")
        return self.root / key[:2] / key
