"""Sanity checks: a heatmap that stays as it is when the network forgets what it learnt explains nothing.

Adebayo et al., "Sanity Checks for Saliency Maps" (arXiv 1810.03292). Two departures, both so that no network has to be
trained: weights are shuffled within each tensor instead of drawn anew, which keeps their scale, so that signals neither
die nor grow; and for shuffled labels the last layer alone is fitted to them, on the features that the network has.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.stats import rankdata
from torch import Tensor, nn

from derm_core.explanation.split_network import SplitNetwork

CLASSIFIER = "classifier"
_STABILISERS = (0.01**2, 0.03**2)
"""K1 and K2 of SSIM, squared, for values up to 1."""
_WINDOW = 1.5
"""Standard deviation of SSIM's window in pixels."""


def cascade(network: SplitNetwork, *, seed: int = 0) -> Iterator[tuple[str, SplitNetwork]]:
    """Yields a copy of a network whose parts lose what they learnt one after the other, the classifier first.

    Each step is named after the part that was shuffled last: "classifier", then "stage 3", "stage 2", ... to the first.
    A step's network is only good until the next one is asked for.
    """
    forgetting = _copied(network)
    generator = torch.Generator().manual_seed(seed)
    stages = [(f"stage {number}", part) for number, part in enumerate(forgetting.stages, start=1)]
    for name, part in [(CLASSIFIER, forgetting.head), *reversed(stages)]:
        _shuffle(part, generator)
        yield name, replace(forgetting)


def with_shuffled_labels(
    network: SplitNetwork, images: Tensor, labels: Tensor, *, seed: int = 0
) -> tuple[SplitNetwork, float]:
    """Returns a copy whose last layer was fitted, by least squares, to labels that were dealt out at random.

    Args:
        network: ends in a linear layer.
        images: float32 (N, 3, S, S), normalised.
        labels: int64 (N,), true classes.
        seed: of the shuffling.

    Returns:
        The copy, and the share of the shuffled labels that it has learnt.
    """
    fitted = _copied(network)
    last = [module for module in fitted.head.modules() if isinstance(module, nn.Linear)][-1]
    features = torch.cat([_input_of(last, fitted, image[None]) for image in images]).double()
    dealt = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]
    wanted = nn.functional.one_hot(dealt, last.out_features).double()
    bias, centre = wanted.mean(dim=0), features.mean(dim=0)
    weight = torch.linalg.pinv(features - centre) @ (wanted - bias)
    with torch.no_grad():
        last.weight.copy_(weight.T)
        if last.bias is not None:
            last.bias.copy_(bias - centre @ weight)
    learnt = ((features - centre) @ weight + bias).argmax(dim=1) == dealt
    return fitted, float(learnt.double().mean())


def rank_correlation(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Returns Spearman's correlation of two maps (H, W), in [-1, 1]; 0 where one of them is the same everywhere."""
    ranks = [rankdata(heatmap) for heatmap in (first, second)]
    ranks = [values - values.mean() for values in ranks]
    scale = float(np.sqrt((ranks[0] ** 2).sum() * (ranks[1] ** 2).sum()))
    return float((ranks[0] * ranks[1]).sum()) / scale if scale > 0 else 0.0


def structural_similarity(first: NDArray[np.float32], second: NDArray[np.float32]) -> float:
    """Returns the mean SSIM of two maps (H, W) in [0, 1] (Wang et al., IEEE TIP 13:600, 2004), 1 where they agree."""
    one, two = first.astype(np.float64), second.astype(np.float64)
    mean_one, mean_two = (gaussian_filter(heatmap, _WINDOW) for heatmap in (one, two))
    variance_one = gaussian_filter(one * one, _WINDOW) - mean_one**2
    variance_two = gaussian_filter(two * two, _WINDOW) - mean_two**2
    covariance = gaussian_filter(one * two, _WINDOW) - mean_one * mean_two
    c1, c2 = _STABILISERS
    likeness = (2 * mean_one * mean_two + c1) * (2 * covariance + c2)
    likeness /= (mean_one**2 + mean_two**2 + c1) * (variance_one + variance_two + c2)
    return float(likeness.mean())


def _copied(network: SplitNetwork) -> SplitNetwork:
    body, head = copy.deepcopy(nn.ModuleList([network.body, network.head]))
    return replace(network, body=body, head=head)


def _shuffle(part: nn.Module, generator: torch.Generator) -> None:
    """Shuffles the values within each weight matrix and kernel; what normalises stays."""
    with torch.no_grad():
        for parameter in part.parameters():
            if parameter.ndim > 1:
                order = torch.randperm(parameter.numel(), generator=generator).to(parameter.device)
                parameter.copy_(parameter.flatten()[order].view_as(parameter))


def _input_of(layer: nn.Module, network: SplitNetwork, images: Tensor) -> Tensor:
    """What a layer of the head is given, averaged over the views: (N, K)."""
    given: list[Tensor] = []
    handle = layer.register_forward_pre_hook(lambda module, inputs: given.append(inputs[0]))
    try:
        with torch.inference_mode(False), torch.no_grad():
            network.logits(images)
    finally:
        handle.remove()
    return given[0].unflatten(0, (network.views, -1)).mean(dim=0)
