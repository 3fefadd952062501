"""Whether a model does better for some groups than for others, beyond what chance would show. Runs no network.

Groups are shuffled among lesions (a permutation test, exact for any size of group), and the p-values are corrected for
their number (Holm, Scand J Statist 6:65, 1979).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from derm_core.evaluation.malignancy import SMALLEST_GROUP, number_of
from derm_core.evaluation.subgroups import UNKNOWN

SIGNIFICANT = 0.05
PERMUTATIONS = 2000


def group_differences(
    outcomes: Mapping[str, np.ndarray],
    groups: Mapping[str, Mapping[str, np.ndarray]],
    lesions: np.ndarray,
    *,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> list[dict[str, Any]]:
    """Tests each figure for differences between the groups of each kind.

    Groups of few lesions, and those of which it is not known, are left out; so is a figure of which fewer than two
    groups have a photograph.

    Args:
        outcomes: name of a figure -> float (N,), 1 for a photograph where it was right and 0 where not, NaN for one
            that it is not about (of a benign lesion, for sensitivity).
        groups: kind -> group -> bool (N,), as `subgroups_of` gives them.
        lesions: (N,), the lesion that each photograph shows.
        permutations: how often groups are shuffled.
        seed: of the shuffling.

    Returns:
        For each test `kind`, `figure`, `groups` (name -> share right, by photograph), `p`, `p_adjusted` and `differs`
        (`p_adjusted` below 0.05).
    """
    found: list[dict[str, Any]] = []
    for kind, members in groups.items():
        for figure, outcome in outcomes.items():
            measured = {
                name: mask & np.isfinite(outcome)
                for name, mask in members.items()
                if name != UNKNOWN and number_of(lesions[mask]) >= SMALLEST_GROUP
            }
            measured = {name: mask for name, mask in measured.items() if mask.any()}
            if len(measured) > 1:
                p = _p_value(outcome, list(measured.values()), lesions, permutations, seed)
                shares = {name: float(outcome[mask].mean()) for name, mask in measured.items()}
                found.append({"kind": kind, "figure": figure, "groups": shares, "p": p})
    adjusted = _holm([test["p"] for test in found])
    return [
        test | {"p_adjusted": p, "differs": p < SIGNIFICANT} for test, p in zip(found, adjusted, strict=True)
    ]


def _p_value(
    outcome: np.ndarray, members: Sequence[np.ndarray], lesions: np.ndarray, permutations: int, seed: int
) -> float:
    """Tests the spread of the groups' means; a lesion is one value, in the group of its first photograph."""
    group = np.full(len(outcome), -1)
    for place, mask in enumerate(members):
        group[mask] = place
    kept = group >= 0
    _, first, lesion = np.unique(lesions[kept], return_index=True, return_inverse=True)
    value = np.bincount(lesion, weights=outcome[kept]) / np.bincount(lesion)
    group = group[kept][first]
    value = value - value.mean()
    sizes = np.maximum(np.bincount(group, minlength=len(members)), 1)

    def spread(order: np.ndarray) -> float:
        sums = np.bincount(group, weights=value[order], minlength=len(members))
        return float((sums**2 / sizes).sum())

    generator = np.random.Generator(np.random.PCG64(seed))
    # Sums in another order differ by rounding, which is no difference.
    reached = spread(np.arange(len(value))) * (1 - 1e-9)
    as_far = sum(spread(generator.permutation(len(value))) >= reached for _ in range(permutations))
    return (1 + as_far) / (1 + permutations)


def _holm(p_values: Sequence[float]) -> list[float]:
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
