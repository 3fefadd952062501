"""Random changes to training pictures: the settings, RandAugment of one, and what mixes a batch. Seeds nothing.

All other changes are made to a whole batch at once, by batch_augmentation.py.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from torchvision.transforms import v2

from derm_core.data.transforms import IMAGENET_MEAN

FILL = [round(255 * mean) for mean in IMAGENET_MEAN]
"""What a picture is moved away from shows this: the colour that normalisation turns into nothing."""


@dataclass(frozen=True)
class Augmentation:
    """Random changes to training pictures; the zero of each setting switches it off.

    A lesion has no upright side, so `flips` draws one of the square's eight symmetries. `rotation` and `shear` are in
    degrees each way, `shift` is a share of the side, `zoom`, `brightness`, `contrast` and `saturation` are shares
    around 1, `hue` is a share of the colour circle about the axis of greys, `erasing` the probability that a patch is
    blanked. `randaugment` is the magnitude, up to 30, of two operations drawn from the list of Cubuk et al. 2020
    (arXiv 1909.13719). `mixup` (Zhang et al. 2018, arXiv 1710.09412) and `cutmix` (Yun et al. 2019, arXiv 1905.04899)
    are the alpha of the Beta distribution that two pictures and their labels are mixed by; where both are given, each
    batch takes one of them.
    """

    flips: bool = False
    rotation: float = 0.0
    shift: float = 0.0
    zoom: float = 0.0
    shear: float = 0.0
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    erasing: float = 0.0
    randaugment: int = 0
    mixup: float = 0.0
    cutmix: float = 0.0

    @property
    def active(self) -> bool:
        """Whether anything is changed at all."""
        return any(asdict(self).values())

    def build_randaugment(self) -> v2.Transform | None:
        """Returns what changes one uint8 (3, S, S) picture, or None; draws from torch's global random state."""
        if not self.randaugment:
            return None
        return v2.RandAugment(num_ops=2, magnitude=self.randaugment, fill=FILL)

    def build_mixing(self, num_classes: int) -> v2.Transform | None:
        """Returns what mixes a batch float (N, 3, S, S) with class indices int64 (N,), or None where nothing does.

        The labels become shares of the classes, float (N, num_classes). Draws from torch's global random state.
        """
        mixers: list[v2.Transform] = []
        if self.mixup:
            mixers.append(v2.MixUp(alpha=self.mixup, num_classes=num_classes))
        if self.cutmix:
            mixers.append(v2.CutMix(alpha=self.cutmix, num_classes=num_classes))
        return v2.RandomChoice(mixers) if mixers else None
