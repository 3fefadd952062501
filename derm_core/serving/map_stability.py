"""How far heatmaps stay where they are as the photograph is turned, mirrored, recompressed or lit anew."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from derm_core.explanation.sanity import rank_correlation
from derm_core.serving.attribution import Attributor
from derm_core.serving.stability import CHANGES

Progress = Callable[[Iterable[int], int, str], Iterable[int]]


def measure_map_stability(
    attributor: Attributor,
    pixels: NDArray[np.uint8],
    *,
    photographs: int,
    methods: Sequence[str],
    progress: Progress = lambda indices, total, what: indices,
) -> dict[str, dict[str, float]]:
    """Compares the heatmaps of changed photographs, moved back to where they were, with those of the photographs.

    All explain the class that is most probable for the photograph as it is.

    Args:
        attributor: of the model.
        pixels: uint8 (N, S, S, 3), the network's input before it is normalised.
        photographs: of how many of them, spread over all; 1 or more.
        methods: names of METHODS that suit the network.
        progress: wraps indices, of which it is told the number and what is done with them.

    Returns:
        For each method and each of CHANGES, the mean rank correlation: 1 where nothing moves.
    """
    chosen = np.linspace(0, len(pixels) - 1, min(photographs, len(pixels))).round().astype(int)
    side = attributor.preprocessing.image_size
    found: dict[str, dict[str, list[float]]] = {name: {change: [] for change in CHANGES} for name in methods}

    def heatmap(square: NDArray[np.uint8], top: int, method: str) -> NDArray[np.float32]:
        return attributor.preprocessing.place_heatmap(attributor.heatmap(square, top, method), side, side)

    for place in progress(range(len(chosen)), len(chosen), "changing photographs"):
        square = pixels[chosen[place]]
        top = int(attributor.logits(square[None])[0].argmax())
        plain = {method: heatmap(square, top, method) for method in methods}
        for name, changes in CHANGES.items():
            for change in changes:
                changed = np.array(change.apply(Image.fromarray(square)))
                for method in methods:
                    moved_back = change.undo(heatmap(changed, top, method))
                    found[method][name].append(rank_correlation(plain[method], moved_back))
    return {
        method: {name: float(np.mean(values)) for name, values in by_change.items()}
        for method, by_change in found.items()
    }
