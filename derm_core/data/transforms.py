"""Preprocessing, the same in training, evaluation and serving. Reads no files and draws nothing at random.

PyTorch is imported only where a tensor is asked for: what is compiled or exported is served without it.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from derm_core.errors import ConfigError

if TYPE_CHECKING:
    import torch

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Preprocessing:
    """How a picture becomes a network's input; travels inside the bundle.

    1. The centre is cut out where the sides differ by more than `max_aspect` (a 4:3 picture stays whole).
    2. A picture whose long side exceeds `working_side` pixels is reduced to it with antialiasing, so that a
       photograph of 12 megapixels shows the network the same scale of detail as the pictures it was trained on. Then
       it is compressed once at the JPEG quality `working_quality`, as those were; 0 leaves that out.
    3. It is stretched to a square of `image_size` pixels and normalised by `mean` and `std` (of values in [0, 1]);
       `samplewise` takes the picture's own mean, over all pixels and channels, away before that.
    """

    image_size: int = 192
    working_side: int = 200
    working_quality: int = 75
    max_aspect: float = 4 / 3
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    samplewise: bool = False

    def __post_init__(self) -> None:
        if self.image_size < 16 or self.working_side < 16:
            raise ConfigError(
                f"image_size {self.image_size} and working_side {self.working_side} must be at least 16 pixels."
            )
        if not 0 <= self.working_quality <= 95:
            raise ConfigError(
                f"working_quality is {self.working_quality}; it must be a JPEG quality from 0 to 95."
            )
        if self.max_aspect < 1:
            raise ConfigError(
                f"max_aspect is {self.max_aspect}; it must be 1 or more (long side by short side)."
            )

    @property
    def decoding_side(self) -> int:
        """Short side in pixels below which a decoder must not shrink a picture (twice what step 2 keeps at most)."""
        return 2 * self.working_side

    def pixels(self, image: Image.Image) -> np.ndarray:
        """Returns uint8 (image_size, image_size, 3) of an RGB image: steps 1 and 2, and the stretching of step 3."""
        left, top, right, bottom = self._crop_box(image.width, image.height)
        if (right - left, bottom - top) != image.size:
            image = image.crop((left, top, right, bottom))
        long_side = max(image.size)
        if long_side > self.working_side:
            scale = self.working_side / long_side
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
            if self.working_quality:
                image = _compressed(image, self.working_quality)
        if image.size != (self.image_size, self.image_size):
            image = image.resize((self.image_size, self.image_size), Image.Resampling.BICUBIC)
        return np.array(image, dtype=np.uint8)

    def tensor(self, pixels: np.ndarray | torch.Tensor) -> torch.Tensor:
        """Normalises uint8 (N, S, S, 3), or one (S, S, 3), to float32 (N, 3, S, S)."""
        import torch

        batch = torch.as_tensor(pixels)
        batch = batch.unsqueeze(0) if batch.ndim == 3 else batch
        scale = torch.tensor(self.std).mul(255.0).to(batch.device)
        shift = torch.tensor(self.mean).mul(255.0).to(batch.device)
        values = batch.float()
        if self.samplewise:
            values = values - values.mean(dim=(1, 2, 3), keepdim=True)
        return ((values - shift) / scale).permute(0, 3, 1, 2)

    def array(self, pixels: np.ndarray) -> np.ndarray:
        """The same as `tensor` without PyTorch: the same bits, but for a last one with `samplewise`.

        Args:
            pixels: uint8 (N, S, S, 3).

        Returns:
            float32 (N, 3, S, S), contiguous.
        """
        scale = np.array(self.std, np.float32) * np.float32(255)
        shift = np.array(self.mean, np.float32) * np.float32(255)
        count, height, width, _ = pixels.shape
        if self.samplewise:
            means = pixels.mean(axis=(1, 2, 3), keepdims=True, dtype=np.float64).astype(np.float32)
            values = (pixels.astype(np.float32) - means - shift) / scale
            return np.ascontiguousarray(values.transpose(0, 3, 1, 2))
        values = np.empty((count, 3, height, width), np.float32)
        values[...] = pixels.transpose(0, 3, 1, 2)
        values -= shift[:, None, None]
        values /= scale[:, None, None]
        return values

    def place_heatmap(self, heatmap: np.ndarray, width: int, height: int) -> np.ndarray:
        """Lays a map of the network's input over the picture it came from.

        Args:
            heatmap: float32 (h, w) in [0, 1], over the square input.
            width, height: size of the picture in pixels.

        Returns:
            float32 (height, width) in [0, 1], bilinear; 0 where step 1 cut the picture off.
        """
        left, top, right, bottom = self._crop_box(width, height)
        size = (right - left, bottom - top)
        rows, columns = (_growing(*lengths) for lengths in zip(heatmap.shape, reversed(size), strict=True))
        grown = rows @ np.asarray(heatmap, dtype=np.float32) @ columns.T
        if size == (width, height):
            placed = grown
        else:
            placed = np.zeros((height, width), dtype=np.float32)
            placed[top:bottom, left:right] = grown
        return placed.clip(0.0, 1.0, out=placed)

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values for a model.json."""
        return {
            key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Rebuilds what to_dict gave; raises ConfigError for a key that is missing or unknown."""
        expected = {field.name for field in fields(cls)}
        if set(values) != expected:
            wrong = ", ".join(sorted(expected.symmetric_difference(values)))
            raise ConfigError(
                f"Preprocessing needs exactly the keys {', '.join(sorted(expected))}; these differ: {wrong}."
            )
        plain: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value for key, value in values.items()
        }
        return cls(**plain)

    def _crop_box(self, width: int, height: int) -> tuple[int, int, int, int]:
        # Half a pixel of slack: 400x299 is a 4:3 picture that somebody resized.
        kept_width = min(width, int(height * self.max_aspect + 1.5))
        kept_height = min(height, int(width * self.max_aspect + 1.5))
        left, top = (width - kept_width) // 2, (height - kept_height) // 2
        return left, top, left + kept_width, top + kept_height


@lru_cache(maxsize=16)
def _growing(length: int, target: int) -> np.ndarray:
    """Returns float32 (target, length), which brings a line to another length as Pillow's bilinear filter does.

    A heatmap is small and a picture is not: two such products take a tenth of the time of Pillow's own resizing.
    """
    one_each = Image.fromarray(np.eye(length, dtype=np.float32))
    return np.array(one_each.resize((length, target), Image.Resampling.BILINEAR))


def _compressed(image: Image.Image, quality: int) -> Image.Image:
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return Image.open(stream, formats=["JPEG"]).convert("RGB")


def draw_seed(*parts: int) -> int:
    """Returns a 63-bit seed that depends on every part, the same on every machine."""
    digest = hashlib.sha256(",".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1
