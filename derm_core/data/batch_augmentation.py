"""Random changes to a whole batch of training pictures, each in its own way: moved, coloured, blanked. Mixes none.

Each picture is changed by numbers that were drawn for it alone. All that moves it is one affine map, and all that
colours it another, so that a batch costs little beside a step of training, on the device where that runs; processes
that change one picture at a time beside a step take the processor from it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from derm_core.data.augmentation import FILL, Augmentation
from derm_core.data.transforms import draw_seed

VERSION = 2
"""Raised when the same numbers change a picture in another way; what is cached of changed pictures hangs on it."""

_NUMBERS = (
    *("mirrored", "upturned", "transposed", "angle", "across", "down", "zoom", "shear_across", "shear_down"),
    *("brightness", "contrast", "saturation", "hue", "first", "second", "third", "fourth"),
    *("erased", "area", "aspect", "left", "top"),
)
_CONTRAST = 1
_GREY = (0.299, 0.587, 0.114)
_ERASED_AREA = (0.02, 0.2)
_ERASED_ASPECT = (0.3, 3.3)


def draw_numbers(*parts: int) -> Tensor:
    """Returns float64 (22,) in [0, 1), what BatchAugmentation wants of a picture: a function of the seed's parts."""
    generator = torch.Generator().manual_seed(draw_seed(*parts))
    return torch.rand(len(_NUMBERS), generator=generator, dtype=torch.float64)


class BatchAugmentation:
    """Flips, affine maps, colours and erasing, as the settings say; RandAugment is not among them."""

    def __init__(self, settings: Augmentation) -> None:
        self._settings = settings
        self._moves = any((settings.rotation, settings.shift, settings.zoom, settings.shear))
        self._colours = any((settings.brightness, settings.contrast, settings.saturation, settings.hue))

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return bool(self._settings.flips or self._moves or self._colours or self._settings.erasing)

    def __call__(self, pictures: Tensor, numbers: Tensor) -> Tensor:
        """Changes pictures.

        Args:
            pictures: (N, 3, S, S) in [0, 255], of any dtype; they are left as they are.
            numbers: float64 (N, 22) from `draw_numbers`, on the same device.

        Returns:
            float32 (N, 3, S, S) in [0, 255].
        """
        drawn = dict(zip(_NUMBERS, numbers.unbind(1), strict=True))
        values = pictures.contiguous().float()
        if self._settings.flips or self._moves:
            values = self._move(values, drawn)
        if self._colours:
            values = self._colour(values, drawn)
        if self._settings.erasing:
            values = self._erase(values, drawn)
        return values

    def _move(self, values: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """Turns, slants, resizes and shifts about the centre; what lies outside the picture is of the mean colour."""
        settings = self._settings
        angle = _either_way(drawn["angle"], math.radians(settings.rotation))
        cosine, sine = angle.cos(), angle.sin()
        one, zero = torch.ones_like(angle), torch.zeros_like(angle)
        across, down = (
            _either_way(drawn[name], math.radians(settings.shear)).tan()
            for name in ("shear_across", "shear_down")
        )
        # From a point of the result to where it is taken from, in coordinates from -1 to 1.
        back = _matrices([[cosine, -sine], [sine, cosine]])
        back = back @ _matrices([[one, across], [zero, one]]) @ _matrices([[one, zero], [down, one]])
        back = back / (1 + _either_way(drawn["zoom"], settings.zoom))[:, None, None]
        shift = torch.stack([_either_way(drawn[name], 2 * settings.shift) for name in ("across", "down")], 1)
        maps = torch.cat([back, -back @ shift[:, :, None]], dim=2)
        if settings.flips:
            signs = torch.stack([1 - 2 * (drawn[name] < 0.5) for name in ("mirrored", "upturned")], 1)
            transposed = (drawn["transposed"] < 0.5)[:, None, None]
            maps = torch.where(transposed, maps.flip(1), maps) * signs[:, :, None]
        grid = functional.affine_grid(maps.float(), list(values.shape), align_corners=False)
        fill = _fill(values)
        # A flip moves pixels onto pixels: the nearest is the one, where a mean of four could differ in the last bit.
        mode = "bilinear" if self._moves else "nearest"
        return functional.grid_sample(values - fill, grid, mode=mode, align_corners=False) + fill

    def _colour(self, values: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """Changes brightness, contrast, saturation and hue, in the order that was drawn, and cuts off once behind."""
        settings = self._settings
        eye = torch.eye(3, dtype=torch.float64, device=values.device)
        grey = torch.tensor(_GREY, dtype=torch.float64, device=values.device)
        brightness, contrast, saturation = (
            1 + _either_way(drawn[name], getattr(settings, name))
            for name in ("brightness", "contrast", "saturation")
        )
        kinds = torch.stack(
            [
                brightness[:, None, None] * eye,
                contrast[:, None, None] * eye,
                saturation[:, None, None] * eye + (1 - saturation)[:, None, None] * grey.expand(3, 3),
                _turned_hues(_either_way(drawn["hue"], 2 * math.pi * settings.hue)),
            ],
            dim=1,
        )
        flat = values.flatten(2)
        means = flat.mean(dim=2).double()
        maps, offsets = eye.expand(len(values), 3, 3), torch.zeros_like(means)
        order = torch.stack([drawn[name] for name in ("first", "second", "third", "fourth")], 1).argsort(1)
        for kind in order.unbind(1):
            step = kinds[torch.arange(len(values), device=values.device), kind]
            # Contrast is a distance from the picture's mean grey, as it is by then.
            mean = (torch.einsum("nij,nj->ni", maps, means) + offsets) @ grey
            added = torch.where(kind == _CONTRAST, (1 - contrast) * mean, 0.0)
            maps, offsets = step @ maps, torch.einsum("nij,nj->ni", step, offsets) + added[:, None]
        coloured = torch.baddbmm(offsets.float()[:, :, None], maps.float(), flat)
        return coloured.clamp_(0, 255).view_as(values)

    def _erase(self, values: Tensor, drawn: dict[str, Tensor]) -> Tensor:
        """Blanks a patch of some pictures with the mean colour (Zhong et al. 2020, arXiv 1708.04896)."""
        side = values.shape[-1]
        least, most = _ERASED_AREA
        area = least + drawn["area"] * (most - least)
        low, high = (math.log(bound) for bound in _ERASED_ASPECT)
        aspect = (low + drawn["aspect"] * (high - low)).exp()
        height, width = ((area * shape).sqrt().mul(side).round() for shape in (aspect, 1 / aspect))
        place = torch.arange(side, device=values.device)
        rows, columns = (
            (place >= start[:, None]) & (place < (start + length)[:, None])
            for start, length in (
                ((drawn["top"] * (side + 1 - height)).floor(), height),
                ((drawn["left"] * (side + 1 - width)).floor(), width),
            )
        )
        erased = drawn["erased"] < self._settings.erasing
        patch = rows[:, None, :, None] & columns[:, None, None, :] & erased[:, None, None, None]
        return torch.where(patch, _fill(values), values)


def _either_way(number: Tensor, most: float) -> Tensor:
    return (2 * number - 1) * most


def _matrices(rows: list[list[Tensor]]) -> Tensor:
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def _turned_hues(angle: Tensor) -> Tensor:
    """Returns (N, 3, 3), turns of the colours about the axis of greys."""
    cosine, sine = angle.cos(), angle.sin() / math.sqrt(3)
    same, next_one, last = (
        (1 + 2 * cosine) / 3,
        (1 - cosine) / 3 - sine,
        (1 - cosine) / 3 + sine,
    )
    return _matrices([[same, next_one, last], [last, same, next_one], [next_one, last, same]])


def _fill(values: Tensor) -> Tensor:
    return torch.tensor(FILL, dtype=values.dtype, device=values.device)[:, None, None]
