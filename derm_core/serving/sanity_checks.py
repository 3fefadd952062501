"""Runs the sanity checks of derm_core.explanation.sanity on photographs: maps of forgetful networks, compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from derm_core.explanation.sanity import (
    cascade,
    rank_correlation,
    structural_similarity,
    with_shuffled_labels,
)
from derm_core.explanation.split_network import SplitNetwork
from derm_core.serving.attribution import Attributor

SHUFFLED_LABELS = "shuffled labels"
Progress = Callable[[Iterable[int], int, str], Iterable[int]]
Maps = dict[str, list[NDArray[np.float32]]]


def check_sanity(
    attributor: Attributor,
    pixels: NDArray[np.uint8],
    labels: Sequence[int],
    *,
    photographs: int,
    methods: Sequence[str],
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Compares maps of networks that forgot with those of the network as it is, for its most probable class.

    Args:
        attributor: of the model.
        pixels: uint8 (N, S, S, 3); on all of them the last layer learns shuffled labels.
        labels: N true classes.
        photographs: on how many of them, spread over all, maps are compared; 1 or more.
        methods: names of METHODS that suit the network.
        seed: of all draws.
        progress: wraps indices, of which it is told the number and what is done with them.

    Returns:
        `sanity`: for each method and step ("shuffled labels" and those of `cascade`) `rank_correlation` and `ssim`,
        means over photographs; `sanity_photographs`; `shuffled_labels_learnt`, a share.
    """
    chosen = np.linspace(0, len(pixels) - 1, min(photographs, len(pixels))).round().astype(int)
    tops = [int(attributor.logits(pixels[index][None])[0].argmax()) for index in chosen]
    shuffled, learnt = with_shuffled_labels(
        attributor.network,
        attributor.preprocessing.tensor(pixels).to(attributor.device),
        torch.tensor(labels, device=attributor.device),
        seed=seed,
    )

    def maps(network: SplitNetwork, what: str) -> Maps:
        other = attributor.with_network(network)
        side = attributor.preprocessing.image_size
        found: Maps = {name: [] for name in methods}
        for place in progress(range(len(chosen)), len(chosen), f"sanity checks, {what}"):
            for name in methods:
                heatmap = other.heatmap(pixels[chosen[place]], tops[place], name)
                found[name].append(attributor.preprocessing.place_heatmap(heatmap, side, side))
        return found

    plain = maps(attributor.network, "network as it is")
    steps = chain([(SHUFFLED_LABELS, shuffled)], cascade(attributor.network, seed=seed))
    compared = {step: _compared(plain, maps(network, step)) for step, network in steps}
    return {
        "sanity": {name: {step: likeness[name] for step, likeness in compared.items()} for name in methods},
        "sanity_photographs": len(chosen),
        "shuffled_labels_learnt": learnt,
    }


def _compared(plain: Maps, others: Maps) -> dict[str, dict[str, float]]:
    pairs = {name: list(zip(maps, others[name], strict=True)) for name, maps in plain.items()}
    return {
        name: {
            "rank_correlation": float(np.mean([rank_correlation(*pair) for pair in of_method])),
            "ssim": float(np.mean([structural_similarity(*pair) for pair in of_method])),
        }
        for name, of_method in pairs.items()
    }
