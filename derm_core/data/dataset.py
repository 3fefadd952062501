"""What a network is trained and checked on: cached pixels with labels, and what is done to each. Splits nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import DataLoader, Sampler
from torch.utils.data import Dataset as TorchDataset

from derm_core.data.augmentation import Augmentation
from derm_core.data.batch_augmentation import draw_numbers
from derm_core.data.transforms import draw_seed


class Pixels(Protocol):
    """Pictures by index, each uint8 (S, S, 3): an array (N, S, S, 3), or what stands for one."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> np.ndarray: ...


class JoinedPixels:
    """The pixels of two datasets one behind the other, left where they are."""

    def __init__(self, first: Pixels, second: Pixels) -> None:
        self._first, self._second = first, second

    def __len__(self) -> int:
        return len(self._first) + len(self._second)

    def __getitem__(self, index: int) -> np.ndarray:
        beyond = index - len(self._first)
        return self._first[index] if beyond < 0 else self._second[beyond]


class TrainingPictures(TorchDataset[tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]]):
    """Batches of pictures with what is to be done to them, and their class indices.

    What is done to a picture is a function of the seed, the epoch, the picture and how often it was drawn before in
    that epoch, whichever process or order it is read in; so a run that is stopped and continued sees what it would have
    seen. The key of a picture is its index, plus the length of the set for each time that it was drawn before.
    """

    def __init__(self, pixels: Pixels, labels: np.ndarray, augmentation: Augmentation, *, seed: int) -> None:
        self.labels = labels
        self.epoch = 0
        self._pixels = pixels
        self._seed = seed
        self._randaugment = augmentation.build_randaugment()

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, keys: list[int]) -> tuple[tuple[torch.Tensor, torch.Tensor], torch.Tensor]:
        """Returns `((pictures, numbers), labels)`: uint8 (N, 3, S, S), what BatchAugmentation wants, int64 (N,)."""
        pictures = torch.stack([self._picture(key) for key in keys])
        numbers = torch.stack([draw_numbers(*self._parts(key)) for key in keys])
        return (pictures, numbers), torch.from_numpy(self.labels[[key % len(self) for key in keys]])

    def loader(self, batches: Iterable[list[int]], workers: int) -> DataLoader[Any]:
        """Returns a loader of batches of keys; `workers` processes help where pictures are changed one by one."""
        return DataLoader(
            self,
            sampler=batches,
            batch_size=None,
            num_workers=workers if self._randaugment is not None else 0,
            # A loader that has no generator of its own draws from torch's, once more in an epoch that was resumed.
            generator=torch.Generator(),
        )

    def _picture(self, key: int) -> torch.Tensor:
        picture = torch.from_numpy(np.array(self._pixels[key % len(self)])).permute(2, 0, 1)
        if self._randaugment is None:
            return picture
        with torch.random.fork_rng(devices=()):
            torch.random.default_generator.manual_seed(draw_seed(*self._parts(key)))
            changed: torch.Tensor = self._randaugment(picture)
        return changed

    def _parts(self, key: int) -> tuple[int, ...]:
        """What the seed of a picture is made of."""
        repeat, index = divmod(key, len(self))
        return (self._seed, self.epoch, index, repeat) if repeat else (self._seed, self.epoch, index)


class ResumableBatches(Sampler[list[int]]):
    """Shuffled batches of one epoch that can begin at any batch.

    The order of an epoch is a function of the seed and the epoch. With `shares`, as many pictures are drawn with
    replacement, each in proportion to its share; one that comes again has the set's length added to its index, each
    time, so that it is augmented anew. The last batch of an epoch is left out where it is
    not whole, for a batch of one picture has no batch statistics; a set smaller than a batch is one batch.
    """

    def __init__(self, size: int, batch_size: int, *, seed: int, shares: torch.Tensor | None = None) -> None:
        self.epoch = 0
        self.position = 0
        self._shares = shares
        self._size, self._batch_size, self._seed = size, min(batch_size, size), seed

    def __len__(self) -> int:
        """Batches in a whole epoch."""
        return self._size // self._batch_size

    def __iter__(self) -> Iterator[list[int]]:
        generator = torch.Generator().manual_seed(draw_seed(self._seed, self.epoch))
        if self._shares is None:
            order = torch.randperm(self._size, generator=generator).tolist()
        else:
            drawn = torch.multinomial(self._shares, self._size, replacement=True, generator=generator)
            order = _count_repeats(drawn.tolist(), self._size)
        for batch in range(self.position, len(self)):
            yield order[batch * self._batch_size : (batch + 1) * self._batch_size]


def _count_repeats(drawn: list[int], size: int) -> list[int]:
    seen: Counter[int] = Counter()
    keys = []
    for index in drawn:
        keys.append(index + size * seen[index])
        seen[index] += 1
    return keys
